"""What a collector is, and the interface through which the poller uses it."""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol, Self

from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.metric import CollectorItem, MetricSpec
from redis_pulse.server_info import Server


class Collector(Protocol):
    """One source of server metrics: a module or package in ``collectors/`` that ends in ``COLLECTOR = X()``.

    The collector only reads. The poller (``redis_pulse.polling``) measures its run time, isolates its errors and
    reports them. The poller also remembers which servers do not support or permit its commands.

    ``COLLECTOR`` is a prototype: ``for_target`` clones it for each target. A collector that remembers data between
    polls returns a new object, so that targets do not share the data. A stateless collector returns itself.
    """

    #: Its name in settings, and the value of the labels ``collector`` and ``operation``.
    name: ClassVar[str]
    #: All metrics that it may yield.
    metrics: ClassVar[tuple[MetricSpec, ...]]
    #: The class of its settings; ``Options`` if it has none.
    options: ClassVar[type[Options]]
    #: Whether it runs for targets that do not configure it.
    default: ClassVar[bool]
    #: The commands that it sends, as an ACL names them: ``("slowlog|get", "slowlog|len")``.
    commands: ClassVar[tuple[str, ...]]

    def for_target(self) -> Self:
        """Return the collector of one target: ``self`` if it is stateless, otherwise a clone.

        A clone has the same constructor arguments, such as the clock, but none of the remembered data.
        """
        ...

    def applies(self, server: Server) -> bool:
        """Return whether a server with this role, mode and version can have the data."""
        ...

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        """Read the server and return the results. Raise only what ``commands`` raises."""
        ...


class Stateless:
    """Base class of collectors that remember nothing: all targets share one."""

    def for_target(self) -> Self:
        """Return ``self``."""
        return self
