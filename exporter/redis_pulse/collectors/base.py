"""What a collector is, and the one port through which it reads a server."""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol, Self

from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.metric import CollectorItem, MetricSpec
from redis_pulse.server_info import Server


class Collector(Protocol):
    """One further source of what a server says: a file in ``exporter/collectors/`` that ends in ``COLLECTOR = X()``.

    The collector only reads. The poller (``redis_pulse.polling``) times it, isolates it, reports it, and remembers when
    a server does not support or permit its commands.
    """

    #: Its name in settings, and the value of the labels ``collector`` and ``operation``.
    name: ClassVar[str]
    #: Every row that it may yield.
    metrics: ClassVar[tuple[MetricSpec, ...]]
    #: Its settings; ``Options`` itself when it has none.
    options: ClassVar[type[Options]]
    #: Whether a target has it unless its settings say otherwise.
    default: ClassVar[bool]
    #: What it sends, as an ACL names it: ``("slowlog|get", "slowlog|len")``.
    commands: ClassVar[tuple[str, ...]]

    def for_target(self) -> Self:
        """Return the collector of one target: ``self``, or a copy of its own when it remembers things between runs."""
        ...

    def applies(self, server: Server) -> bool:
        """Whether this server (its role, mode, version) can have it at all."""
        ...

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        """Read the server; raise nothing but what ``commands`` raises."""
        ...


class Stateless:
    """For collectors that remember nothing: all targets share one."""

    def for_target(self) -> Self:
        """Return ``self``."""
        return self
