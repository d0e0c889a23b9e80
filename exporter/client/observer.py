"""Who is told what a client does: a hook, since nothing here calls up."""

from typing import Protocol

from exporter.errors import TargetError


class Observer(Protocol):
    """Who wants to know what a client does."""

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Take note of an attempt to connect: its seconds, and the error it ended in."""
        ...

    def retried(self, operation: str) -> None:
        """Take note of a read that is sent a second time."""
        ...
