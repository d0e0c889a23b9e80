"""The interface of a source of targets, and the context in which a source works."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import DiscoverySettings, Endpoint, SourceSettings, TargetSettings
from redis_pulse.telemetry import DiscoveryMetrics
from redis_pulse.tokens import TokenRegistry


class Reject(Protocol):
    """Records that entries are not used."""

    def __call__(self, reason: str, description: str, count: int = 1, /) -> None:
        """Record ``count`` entries, with a reason such as ``unreadable`` and a description without secrets."""
        ...


async def _learn_nothing(_hosts: Iterable[str]) -> None:
    """Look up no host: the default of a source that announces none."""


class DiscoveryError(Exception):
    """A source cannot name its targets; ``str(error)`` is the reason and contains no secret."""


class PartlyFoundError(DiscoveryError):
    """A part of a source failed.

    ``targets`` are all targets of the source. The failed part contributes the targets of its last success.
    """

    def __init__(self, message: str, targets: Sequence[TargetSettings]) -> None:
        super().__init__(message)
        self.targets = targets


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How a source of targets does. Times are Unix time, and None if there was no such moment."""

    kind: str
    name: str
    targets: int
    last_success: float | None
    failing_since: float | None
    #: the newest error, without secrets; empty while it does not fail
    error: str


class ProbeStatus(NamedTuple):
    """The current state of a watched target, as its probe measures it."""

    address: str
    up: bool
    #: ``master``, ``slave``, ``sentinel``; empty while unknown
    role: str
    #: whether a probe has ended at this address
    was_probed: bool = False
    #: time of the last successful probe, in seconds of the monotonic clock
    last_reply_at: float | None = None
    #: estimated start of the current silence; None while the target replies
    silent_since: float | None = None


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What the daemon provides to a source."""

    metrics: DiscoveryMetrics
    #: monotonic seconds
    clock: Callable[[], float]
    #: every new connection waits for a permit of this limiter
    connect_limiter: ConnectLimiter
    #: requests a refresh before the next scheduled one, for example after a message
    request_refresh: Callable[[], None]
    #: records that entries are not used
    reject: Reject
    #: returns the state of the watched target with this name, or None if no target has it
    probe_status: Callable[[str], ProbeStatus | None]
    #: whether this shard publishes the metrics of the whole set; one shard does so, and no other
    is_owner: bool = True
    #: whether this shard has the target with this name
    owns: Callable[[str], bool] = lambda _name: True
    #: whether the exporter may connect and log in to a server that was only announced (``announced``)
    is_allowed: Callable[[Endpoint], bool] = lambda _endpoint: False
    #: looks up announced hosts, so that ``is_allowed`` can decide about them
    learn_announced: Callable[[Iterable[str]], Awaitable[None]] = _learn_nothing
    #: the limit of targets (``discovery.max_targets``)
    max_targets: Callable[[], int] = lambda: DiscoverySettings().max_targets
    #: the targets that this source named last, also before a reload that replaced the source
    known_targets: Callable[[], Sequence[TargetSettings]] = tuple
    #: logins that expire, shared with the targets
    tokens: TokenRegistry = field(default_factory=TokenRegistry)


class TargetSource(Protocol):
    """A source of targets, made from its settings and a context; two refreshes never overlap."""

    settings: SourceSettings

    async def refresh(self) -> Sequence[TargetSettings]:
        """Return all targets that exist now.

        Raises DiscoveryError or TargetError; the caller then keeps the known targets. The caller cancels a refresh
        that takes longer than ``manager.REFRESH_TIMEOUT``.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections; no refresh follows."""
        ...
