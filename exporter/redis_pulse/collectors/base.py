"""What a collector is, and the interface through which the poller uses it."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from redis_pulse.commands import Args, Commands
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


@runtime_checkable
class Requesting(Protocol):
    """A collector that says before it runs what it will send.

    The poller sends these commands of all collectors at once, so that a poll needs one round trip. The collector then
    sends them as usual, and gets the replies that are there.
    """

    def requests(self, server: Server, options: Any) -> Sequence[Args]:
        """Return the commands that ``collect`` will send, as far as they are certain.

        It is called before INFO was read in this poll, and again after it. Before that, ``server`` shows what INFO
        said in the last poll, and ``server.newest_info`` is None.
        """
        ...


@runtime_checkable
class Writing(Protocol):
    """A collector that can write its lines straight from the replies; see ``support/written.py``."""

    async def write(
        self, server: Server, commands: Commands, options: Any, target: str
    ) -> Sequence[CollectorItem] | None:
        """Return the results with their lines written, or None if ``collect`` must read the replies.

        ``target`` is the label of the target, as a line has it. Raise only what ``commands`` raises.
        """
        ...


class Stateless:
    """Base class of collectors that remember nothing: all targets share one."""

    def for_target(self) -> Self:
        """Return ``self``."""
        return self
