"""Bounds the work that a flood of stalls makes: what a second may cost, whatever stalls.

The first stalls are worked on in full. Those beyond the budget are counted and recorded too, with less evidence.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

#: Seconds for which stalls beyond the budget share one look at the other targets.
SHARED_FOR: Final = 1.0


class TokenBucket:
    """Allows ``burst`` pieces of work at once, and then ``per_second``. ``clock`` is in seconds."""

    __slots__ = ("_burst", "_clock", "_per_second", "_tokens", "_updated")

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = monotonic) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._updated = clock()

    @property
    def is_empty(self) -> bool:
        """Whether nothing may be taken now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._per_second)
        self._updated = now
        return self._tokens < 1

    def take(self) -> bool:
        """Take one piece. Return False if there were too many in the last seconds."""
        if self.is_empty:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True, slots=True)
class SharedLook:
    """Which targets stalled between two times, counted once for many stalls that end together."""

    at: float
    started: float
    ended: float
    stalled: set[str]
    stalled_by_host: Mapping[str, int]
    watched_by_host: Mapping[str, int]

    @classmethod
    def take(cls, at: float, started: float, ended: float, stalled: set[str], hosts: Mapping[str, str]) -> "SharedLook":
        """Count the targets of each host."""
        by_host = Counter(host for name in stalled if (host := hosts.get(name)) is not None)
        return cls(at, started, ended, stalled, by_host, Counter(hosts.values()))

    def is_of(self, now: float, started: float, ended: float) -> bool:
        """Whether this look is new, and of about the same time."""
        return (
            now - self.at <= SHARED_FOR
            and abs(started - self.started) <= SHARED_FOR
            and abs(ended - self.ended) <= SHARED_FOR
        )
