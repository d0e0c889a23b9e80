"""What the web needs to know of the daemon: a port that ``app`` implements, and plain values that cross it.

Nothing here holds a secret: addresses are ``host:port`` or a socket's path, texts are safe to show.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class InfoSummary:
    """Of the newest INFO samples of a target; None where the server does not say."""

    connected_clients: int | None
    used_memory_bytes: int | None
    total_commands_processed: int | None
    keyspace_hits: int | None
    keyspace_misses: int | None


class FailingCollector(NamedTuple):
    """A collector whose newest run failed."""

    name: str
    reason: str
    #: safe to show
    error: str
    #: the commands that are denied, as an ACL names them
    commands: Sequence[str]
    #: the user that they are denied to
    user: str


@dataclass(frozen=True, slots=True)
class TargetView:
    """One target as the pages show it, at one moment."""

    name: str
    #: ``host:port`` or the socket's path
    address: str
    #: ``connected``, ``disconnected`` or ``error: <reason>: <safe text>``
    status: str
    #: the newest probe succeeded within its deadline
    up: bool
    latency_seconds: float | None
    #: how long ago the newest probe ended
    probe_age_seconds: float | None
    #: ``closed``, ``open`` or ``half_open``
    breaker: str
    software: str
    version: str
    role: str
    #: age of the oldest sample that is served
    sample_age_seconds: float | None
    labels: Mapping[str, str]
    #: None when no sample is fresh enough
    stats: InfoSummary | None
    #: the collectors whose newest run failed
    failing: Sequence[FailingCollector]


Only = Literal["exporter", "targets"]


class MetricsFilter(NamedTuple):
    """A part of the metrics; None is everything."""

    #: names of collectors: what the servers say through others is left out
    collectors: frozenset[str] | None = None
    #: names of families, as ``# TYPE`` of the text format spells them
    names: frozenset[str] | None = None
    #: of what: the daemon itself, the targets, or both
    only: Only | None = None


class SdTarget(NamedTuple):
    """A target as service discovery needs to know it."""

    name: str
    address: str
    labels: Mapping[str, str]


class PendingChange(NamedTuple):
    """A change of a target that failed, and is tried again."""

    target: str
    #: ``open``, ``move`` or ``close``
    step: str
    #: safe to show
    error: str


class DaemonInterface(Protocol):
    """The running exporter, seen from its pages. Nothing here touches a target's network."""

    version: str

    async def metrics(self, *, openmetrics: bool, gzip: bool) -> bytes:
        """Return the whole page of metrics, already compressed when ``gzip``."""
        ...

    async def filtered_metrics(
        self, target: str | None, wanted: MetricsFilter, *, openmetrics: bool, gzip: bool
    ) -> bytes:
        """Return a part of the metrics: of one target, by its name, or of all and of the daemon itself."""
        ...

    def find(self, wanted: str) -> str | None:
        """Return the name of the target that has this name or address, or None."""
        ...

    def target_names(self) -> Sequence[str]:
        """Return the names of all targets."""
        ...

    def sd_targets(self) -> Iterable[SdTarget]:
        """Yield every target as service discovery needs it."""
        ...

    def collectors(self) -> Sequence[str]:
        """Return the names of all collectors."""
        ...

    def metric_names(self) -> Sequence[str]:
        """Return the names of all families that there may be."""
        ...

    def scrape_failed(self) -> None:
        """Take note of a request for one target that could not be served."""
        ...

    def targets(self) -> Sequence[TargetView]:
        """Return every target, in the order of the configuration."""
        ...

    def pending(self) -> Sequence[PendingChange]:
        """Return the changes of targets that failed and are tried again."""
        ...

    def ready(self) -> bool:
        """Whether the first samples are in."""
        ...

    def healthy(self) -> bool:
        """Whether our own loop turns; a Redis that is down does not matter."""
        ...

    def uptime_seconds(self) -> float:
        """Return the time since start."""
        ...

    async def reload(self) -> str | None:
        """Read the configuration again, all or nothing: None, or a text for the user that says why not."""
        ...

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Take note of one answer: ``path`` is a known route or ``other``, ``seconds`` what making it took."""
        ...
