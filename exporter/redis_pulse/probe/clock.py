"""Whether the kernel's stamp of a reply can be believed, and what the round trip was.

The stamp is on the wall's clock, CLOCK_REALTIME, which somebody may set at any moment. So the wall's clock is held
against our monotonic one at every ping and every reply: when it has moved against it by more than slewing explains, a
new epoch begins. A stamp counts when its ping left in the same epoch, and when it lies between the moment of sending
and that of reading. Otherwise the round trip is taken from our own monotonic clock: later by what our loop was late,
but never wrong by a step.
"""

from collections.abc import Callable
from typing import NamedTuple

#: ns by which the two clocks may disagree beyond slewing.
CLOCK_TOLERANCE_NS = 200_000
#: Of the time that passes: how fast the wall's clock may be slewed before we call it set.
MAX_SLEW_RATIO = 0.001
#: Seconds. Two readings further apart were torn by a preemption and say nothing.
MAX_READ_GAP = 20e-6


class WallClockMonitor:
    """Our monotonic clock (seconds) beside that of the wall (ns), and the number of times that the latter was set."""

    __slots__ = ("_at", "_epoch", "_offset", "now", "wall")

    def __init__(self, now: Callable[[], float], wall: Callable[[], int]) -> None:
        self.now = now
        self.wall = wall
        self._epoch = 0
        self._at = now()
        self._offset = wall() - self._at * 1e9

    def epoch(self) -> int:
        """Hold the clocks against each other, and return the epoch that we are in."""
        now, wall = self.now, self.wall
        for _ in range(3):
            before = now()
            real = wall()
            if now() - before < MAX_READ_GAP:
                offset = real - before * 1e9
                if abs(offset - self._offset) > CLOCK_TOLERANCE_NS + (before - self._at) * 1e9 * MAX_SLEW_RATIO:
                    self._epoch += 1
                self._offset, self._at = offset, before
                break
        return self._epoch


class RoundTrip(NamedTuple):
    """A round trip in seconds; ``late``: what of the time until we read the reply the kernel's stamp took off it."""

    seconds: float
    late: float | None

    @property
    def clock(self) -> str:
        """Whose clock said when the reply came: ``kernel`` or ``user``."""
        return "user" if self.late is None else "kernel"


def round_trip(
    sent: float, sent_ns: int, read: float, read_ns: int, stamp: int | None, *, same_epoch: bool
) -> RoundTrip:
    """Return how long a reply took that was sent and read at these moments: seconds on our clock, ns on the wall's."""
    waited = read - sent
    if stamp is not None and same_epoch and sent_ns <= stamp <= read_ns + CLOCK_TOLERANCE_NS:
        took = stamp - sent_ns
        if took <= waited * 1e9 + CLOCK_TOLERANCE_NS:
            return RoundTrip(took / 1e9, max(0, read_ns - stamp) / 1e9)
    return RoundTrip(max(0.0, waited), None)
