"""The interface of a source of targets, and the context in which a source works."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import Endpoint, SourceSettings, TargetSettings
from redis_pulse.telemetry import DiscoveryMetrics


class DiscoveryError(Exception):
    """A source cannot name its targets; ``str(error)`` is the reason and contains no secret."""


class PartlyFoundError(DiscoveryError):
    """A part of a source failed.

    ``targets`` are all targets of the source. The failed part contributes the targets of its last success.
    """

    def __init__(self, message: str, targets: Sequence[TargetSettings]) -> None:
        super().__init__(message)
        self.targets = targets


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
    #: records that a target is not used: a reason such as ``unreadable``, and a description without secrets
    reject: Callable[[str, str], None]
    #: returns the state of the watched target with this name, or None if no target has it
    probe_status: Callable[[str], ProbeStatus | None]
    #: whether this shard publishes the metrics of the whole set; one shard does so, and no other
    is_owner: bool = True
    #: whether the exporter may connect and log in to a server that was only announced (``discovery.allow``)
    is_allowed: Callable[[Endpoint], bool] = lambda _endpoint: False
    #: the targets that this source named last, also before a reload that replaced the source
    known_targets: Callable[[], Sequence[TargetSettings]] = tuple


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
