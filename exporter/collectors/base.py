"""What a collector is, and the one port through which it reads a server."""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from exporter.config import Options
from exporter.metric import Metric, Sample, Unreadable
from exporter.targets import Server


class Commands(Protocol):
    """A way to ask one server: the real client, or a dict of recorded replies in a test.

    Replies come as the protocol gives them (RESP2): ``bytes``, ``int``, ``None`` or nested lists of these.
    Errors are ``exporter.errors.TargetError``. Within one poll the same command is sent only once.
    """

    async def execute(self, *args: str | int) -> Any:
        """Send one command and return its reply."""
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

    def applies(self, server: Server) -> bool:
        """Whether this server (its role, mode, version) can have it at all."""
        ...

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Sample | Unreadable]:
        """Read the server; raise nothing but what ``commands`` raises."""
        ...
