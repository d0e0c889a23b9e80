"""What the pages for people need from the daemon: a protocol that ``daemon`` implements, and its values.

No value holds a secret. Times are Unix time in seconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from redis_pulse.config import EffectiveValue
from redis_pulse.discovery import SourceReport
from redis_pulse.stalls import StallRecord
from redis_pulse.status import Hour, Risk, StatusEvent, TargetState
from redis_pulse.web.interface import FailingCollector

if TYPE_CHECKING:
    from redis_pulse.keyspace import KeyspaceReport


@dataclass(frozen=True, slots=True)
class StatusView:
    """The state of one target, with its last hour."""

    name: str
    #: ``host:port`` or the path of a socket
    address: str
    host: str
    port: int
    user: str
    is_tls: bool
    labels: Mapping[str, str]
    state: TargetState
    since: float
    #: whether the state lasts since the exporter began to watch
    since_start: bool
    #: the reason of the newest failure, and its safe text; empty while pings succeed
    reason: str
    error: str
    #: segments that the kernel of the server has not acknowledged, or None
    unacked: int | None
    #: the trouble that ended last: its state, its text, and when it began
    last_trouble: tuple[TargetState, str, float] | None
    risks: Sequence[Risk]
    failing: Sequence[FailingCollector]
    breaker: str
    next_try_seconds: float | None
    #: the objective of the latency, in seconds
    objective: float
    #: the last hour
    hour: Hour
    #: the current minute of ``hour``
    minute: int
    #: the stalls of this hour, the newest first
    stalls: Sequence[StallRecord]
    #: share of maxmemory that is used, or None
    memory: float | None
    software: str
    version: str
    role: str
    #: ``standalone``, ``cluster`` or ``sentinel``, or empty
    mode: str
    #: the managed service that runs the server, or empty
    service: str


class CollectorView(NamedTuple):
    """How a collector of one target does."""

    name: str
    #: ``ok``, ``failing``, ``denied`` or ``unsupported``
    outcome: str
    #: seconds of the newest run
    seconds: float | None
    #: age of its samples in seconds
    age: float | None
    #: safe to show
    error: str = ""
    #: the denied commands, in the spelling of an ACL
    commands: Sequence[str] = ()


class Replication(NamedTuple):
    """What a server says about its replication."""

    master: str
    link_up: bool | None
    replicas: int
    lag_bytes: float | None


@dataclass(frozen=True, slots=True)
class StatusDetails:
    """What only the page of one target shows. None is what the server does not report."""

    #: for each reason 60 counts, the oldest first
    failures: Mapping[str, Sequence[int]]
    events: Sequence[StatusEvent]
    collectors: Sequence[CollectorView]
    replication: Replication
    #: values of INFO by the name of the metric
    numbers: Mapping[str, float]
    policy: str
    #: smoothed and least round trip of TCP in seconds, and segments sent again
    rtt: float | None
    min_rtt: float | None
    retransmits: int | None
    connected_since: float | None
    #: the name and the seconds of the newest slow command
    slow_command: tuple[str, float] | None
    #: what names the target: a place in the configuration, a source, or a scrape; empty if it was forgotten meanwhile
    declared_in: str


@dataclass(frozen=True, slots=True)
class OwnStatus:
    """The state of the exporter itself."""

    version: str
    python: str
    started: float
    is_healthy: bool
    #: when the configuration in force was read
    loaded_at: float
    #: the newest reload that was refused after that, and why
    refused_at: float | None
    problem: str
    #: the configuration file, or an empty text
    file: str
    declared: int
    sources: Sequence[SourceReport]
    #: pings that were sent late or not at all in this hour
    late_pings: int
    #: pings that were due in this hour
    due_pings: int
    #: the longest delay of the event loop in this hour, in seconds
    max_lag: float | None
    cpu_share: float
    resident_bytes: int
    #: when ``/metrics`` was read last, and its size
    scraped: tuple[float, int] | None


class StatusInterface(Protocol):
    """What the pages for people read. No method connects to a target."""

    def now(self) -> float:
        """Return the Unix time."""
        ...

    def view(self, name: str) -> StatusView:
        """Return the state of a target. Raises ``KeyError`` if there is no such target."""
        ...

    def views(self) -> Iterator[StatusView]:
        """Yield the state of each target. A caller may give the event loop a turn in between."""
        ...

    def details(self, name: str) -> StatusDetails:
        """Return what the page of one target shows. Raises ``KeyError`` if there is no such target."""
        ...

    def own(self) -> OwnStatus:
        """Return the state of the exporter itself."""
        ...

    def events(self, since: float) -> Iterator[StatusEvent]:
        """Yield the events of all targets and of the exporter, the newest first."""
        ...

    def configuration(self) -> Sequence[EffectiveValue]:
        """Return the effective configuration."""
        ...

    def keyspaces(self) -> Sequence[str]:
        """Return the names of the targets whose keys are sampled."""
        ...

    def keyspace(self, name: str) -> "KeyspaceReport | None":
        """Return what fills a target, or None if that is unknown. Raises ``KeyError`` if there is no such target."""
        ...
