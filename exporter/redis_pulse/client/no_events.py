"""Events of redis-py, which nothing here listens to.

Each connection and each pool of redis-py makes a dispatcher with six lists and eight objects, 1.5 KB. Its listeners log
connections in again with a new token. Here a connection with a new login takes the place of the old one.
"""

from typing import Any

from redis.event import EventDispatcherInterface


class NoEvents(EventDispatcherInterface):
    """Ignores all events. All connections share one."""

    def dispatch(self, event: object) -> None:
        """Ignore an event."""

    async def dispatch_async(self, event: object) -> None:
        """Ignore an event."""

    def register_listeners(self, mappings: Any) -> None:
        """Ignore listeners. Only clients and clusters of redis-py have some."""

    def unregister_listeners(self, mappings: Any) -> None:
        """Ignore listeners."""


NO_EVENTS = NoEvents()
