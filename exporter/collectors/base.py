"""What a collector is, and the one port through which it reads a server."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol, Self

from exporter.config import Options
from exporter.errors import PermissionDeniedError, UnknownCommandError
from exporter.metric import Found, Metric
from exporter.targets import Server

#: What ``execute`` raises for a command that the server lacks or denies: ``except UNSUPPORTED`` where a collector can
#: do without it. It is sent once and remembered: later calls raise the same without asking the server again.
UNSUPPORTED = (UnknownCommandError, PermissionDeniedError)


#: A word of a command: text, a number, or bytes where it is a name that users chose, which need not be UTF-8.
Word = str | int | bytes


class Commands(Protocol):
    """A way to ask one server: the real client, or a dict of recorded replies in a test.

    Replies come as the protocol gives them (RESP2): ``bytes``, ``int``, ``None`` or nested lists of these.
    Errors are ``exporter.errors.TargetError``. Within one poll the same command is sent only once.
    """

    async def execute(self, *args: Word, db: int | None = None) -> Any:
        """Send one command, in the target's own database unless ``db`` names another, and return its reply."""
        ...

    async def pipeline(self, commands: Sequence[tuple[Word, ...]], *, db: int | None = None) -> list[Any]:
        """Send several commands at once and return as many replies, in their order.

        A command that the server answered with an error has a ``TargetError`` in its place; so the others stay where
        they belong. Raises TargetError when the connection fails.
        """
        ...


class Collector(Protocol):
    """One further source of what a server says: a file in ``exporter/collectors/`` that ends in ``COLLECTOR = X()``.

    The collector only reads. The runner (``exporter.sampler``) times it, isolates it, reports it, and remembers when
    a server does not support or permit its commands.
    """

    #: Its name in settings, and the value of the labels ``collector`` and ``operation``.
    name: ClassVar[str]
    #: Every row that it may yield.
    metrics: ClassVar[tuple[Metric, ...]]
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

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Found]:
        """Read the server; raise nothing but what ``commands`` raises."""
        ...


class Stateless:
    """For collectors that remember nothing: all targets share one."""

    def for_target(self) -> Self:
        """Return ``self``."""
        return self
