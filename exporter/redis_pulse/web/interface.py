"""What the pages need from the daemon: a protocol that ``daemon`` implements, and the values that it returns.

No value holds a secret: addresses are ``host:port`` or the path of a socket, and texts are safe to show.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from redis_pulse.stalls import StallRecord

if TYPE_CHECKING:
    from redis_pulse.web.status_interface import StatusInterface


@dataclass(frozen=True, slots=True)
class InfoSummary:
    """Some of the newest INFO samples of a target. Values that the server does not report are None."""

    connected_clients: int | None
    used_memory_bytes: int | None
    total_commands_processed: int | None
    keyspace_hits: int | None
    keyspace_misses: int | None


class FailingCollector(NamedTuple):
    """A collector that failed in its newest run."""

    name: str
    reason: str
    #: safe to show
    error: str
    #: the denied commands, in the spelling of an ACL
    commands: Sequence[str]
    #: the user who lacks the permission for these commands
    user: str


@dataclass(frozen=True, slots=True)
class TargetView:
    """The state of one target at one moment, as the pages show it."""

    name: str
    #: ``host:port`` or the path of a socket
    address: str
    #: ``connected``, ``disconnected`` or ``error: <reason>: <safe text>``
    status: str
    #: whether the newest probe succeeded within its deadline
    up: bool
    latency_seconds: float | None
    #: time since the newest probe ended
    probe_age_seconds: float | None
    #: ``closed``, ``open`` or ``half_open``
    breaker: str
    software: str
    version: str
    role: str
    #: ``standalone``, ``cluster`` or ``sentinel``, or empty
    mode: str
    #: the managed service that runs the server, or empty
    service: str
    #: age of the INFO samples
    sample_age_seconds: float | None
    labels: Mapping[str, str]
    #: the collectors that failed in their newest run
    failing: Sequence[FailingCollector]
    #: the newest stall, or None
    last_stall: StallRecord | None = None
    #: whether it is monitored only because a scrape named it
    is_adopted: bool = False


Only = Literal["exporter", "targets"]


class MetricsFilter(NamedTuple):
    """Selects a part of the metrics. A field of None selects everything."""

    #: names of collectors; metrics of other collectors are left out
    collectors: frozenset[str] | None = None
    #: names of families, in the spelling of ``# TYPE`` in the text format
    names: frozenset[str] | None = None
    #: only the metrics of the daemon itself, or only those of the targets
    only: Only | None = None


class SendablePage(Protocol):
    """A page of metrics, ready to be sent."""

    @property
    def size(self) -> int:
        """The bytes that are sent."""
        ...

    @property
    def stored(self) -> Sized:
        """What holds the page in memory. Its length is its bytes. Several bodies may share it."""
        ...

    def pieces(self, longest: int) -> Iterator[bytes]:
        """Yield the body in pieces of at most ``longest`` bytes."""
        ...


class SdTarget(NamedTuple):
    """A target for the service discovery of Prometheus."""

    name: str
    address: str
    labels: Mapping[str, str]


class PendingChange(NamedTuple):
    """A change of a target that failed and will be retried."""

    target: str
    #: ``open``, ``move`` or ``close``
    step: str
    #: safe to show
    error: str


class AdoptionInterface(Protocol):
    """Starts to monitor targets that a scrape names, if the configuration allows it."""

    @property
    def is_enabled(self) -> bool:
        """Whether the configuration allows to adopt targets."""
        ...

    async def prepare(self, text: str, known: str | None, module: str | None, within: float) -> str:
        """Return the name of the target to serve. Raises ``QueryError`` if it cannot be served.

        ``known`` is its name if it is monitored. Otherwise monitor the server ``text``. Wait up to ``within`` seconds
        for the first ping and the first poll of an adopted target.
        """
        ...

    def refuse_browser(self) -> None:
        """Count a request that was refused before ``prepare``, because a browser sent it."""
        ...


class DaemonInterface(Protocol):
    """The running daemon as its pages see it. No method connects to a target, except those of ``adoption``."""

    version: str

    @property
    def adoption(self) -> AdoptionInterface:
        """What starts to monitor targets that a scrape names."""
        ...

    @property
    def status(self) -> "StatusInterface":
        """What the pages for people read."""
        ...

    async def metrics(self, *, openmetrics: bool, gzip: bool) -> bytes | SendablePage:
        """Return the whole page of metrics, compressed if ``gzip``."""
        ...

    async def filtered_metrics(
        self, target: str | None, metrics_filter: MetricsFilter, *, openmetrics: bool, gzip: bool
    ) -> bytes | SendablePage:
        """Return a part of the metrics: of one target, or, for None, of all targets and of the daemon itself."""
        ...

    async def protobuf_metrics(
        self, target: str | None, metrics_filter: MetricsFilter, *, gzip: bool
    ) -> bytes | SendablePage:
        """Return the metrics in protobuf, or a part of them. Their meaning is that of ``filtered_metrics``."""
        ...

    def find(self, name_or_address: str) -> str | None:
        """Return the name of the target with this name or address, or None if there is no such target."""
        ...

    def target(self, name: str) -> TargetView:
        """Return the target with this name. Raises ``KeyError`` if there is no such target."""
        ...

    def stats(self, name: str) -> InfoSummary | None:
        """Return values of the newest INFO of a target, or None if no sample is fresh enough."""
        ...

    def target_names(self) -> Sequence[str]:
        """Return the names of all targets."""
        ...

    def sd_targets(self) -> Iterable[SdTarget]:
        """Yield all targets for service discovery."""
        ...

    def collectors(self) -> Sequence[str]:
        """Return the names of all collectors."""
        ...

    def metric_names(self) -> Sequence[str]:
        """Return the names of all families that the page of metrics can have."""
        ...

    def scraped(self, target: str | None, client: str) -> None:
        """Record that ``client`` scrapes the page of a target, or the whole page."""
        ...

    def scrape_failed(self) -> None:
        """Count a request for one target that could not be served."""
        ...

    def targets(self) -> Sequence[TargetView]:
        """Return all targets, in the order of the configuration."""
        ...

    def stalls(self, target: str | None, cause: str | None, limit: int) -> Iterable[StallRecord]:
        """Return stalls, the running ones first, then the newest first. None selects all targets, or all causes."""
        ...

    def pending(self) -> Sequence[PendingChange]:
        """Return the changes of targets that failed and will be retried."""
        ...

    def ready(self) -> bool:
        """Return whether every target was polled once."""
        ...

    def healthy(self) -> bool:
        """Return whether the event loop of the daemon runs on time, whatever the state of the targets."""
        ...

    def uptime_seconds(self) -> float:
        """Return the time since the start of the daemon."""
        ...

    async def reload(self) -> str | None:
        """Read the configuration again, and apply all of it or nothing. Return None, or the reason for the user."""
        ...

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a response. ``path`` is a known route or ``other``, ``seconds`` the time to make the response."""
        ...
