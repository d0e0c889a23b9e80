"""What a source of targets is, and what it is given to work with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import Endpoint, SourceSettings, TargetSettings
from redis_pulse.telemetry import DiscoveryMetrics


class DiscoveryError(Exception):
    """A source could not say what there is; ``str(error)`` names why and holds no secret."""


class PartlyFoundError(DiscoveryError):
    """A part of a source failed; ``targets`` is all that there is, with what the failing part said before."""

    def __init__(self, message: str, targets: Sequence[TargetSettings]) -> None:
        super().__init__(message)
        self.targets = targets


class ProbeStatus(NamedTuple):
    """How a watched target does just now, as its probe feels it."""

    address: str
    up: bool
    #: ``master``, ``slave``, ``sentinel``; empty while unknown
    role: str
    #: whether it was probed at all at this address
    is_tried: bool = False
    #: when it last answered a probe well, in seconds on our clock
    answered: float | None = None
    #: since when it does not, as near as can be said; None while it does
    silent_since: float | None = None


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What the daemon lends to a source."""

    metrics: DiscoveryMetrics
    #: monotonic seconds
    clock: Callable[[], float]
    #: all connecting waits for a turn of it
    connect_limiter: ConnectLimiter
    #: called when the source has reason to be refreshed before its time: a message came, a file changed
    request_refresh: Callable[[], None]
    #: told why something that the source names is not taken (``unreadable`` …), and what, in words without a secret
    reject: Callable[[str, str], None]
    #: how the watched target of that name does; None when there is none
    probe_status: Callable[[str], ProbeStatus | None]
    #: whether what is true of the whole set, not of one server, is published by this shard and not by another
    is_owner: bool = True
    #: whether a server that was only announced may be connected to, and so shown credentials (``discovery.allow``)
    allowed: Callable[[Endpoint], bool] = lambda _endpoint: False
    #: the targets that this source named last, also before a reload that made it anew
    known: Callable[[], Sequence[TargetSettings]] = tuple


class TargetSource(Protocol):
    """Names targets. Made with its settings and surroundings; ``refresh`` is never called twice at once."""

    settings: SourceSettings

    async def refresh(self) -> Sequence[TargetSettings]:
        """Return all that there is now. Raises DiscoveryError or TargetError; then what was known stays.

        A refresh that takes longer than its source's timeout is cancelled.
        """
        ...

    async def aclose(self) -> None:
        """Close what is open; it will not be asked again."""
        ...
