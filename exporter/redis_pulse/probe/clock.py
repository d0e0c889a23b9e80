"""Decides whether the kernel timestamp of a reply can be trusted, and computes the round trip.

That of a PING is decided on when it is sent (``ProbeConnection.ping``).

The kernel timestamp is on the wall clock, CLOCK_REALTIME, which an administrator or NTP may set at any moment. So the
wall clock is compared with the monotonic clock at every ping and at every reply. If it moved against the monotonic
clock by more than slewing explains, a new *epoch* begins.

A timestamp is used only if the ping was sent in the same epoch. It must also lie between the send and the read, and
the round trip must not exceed the wait. Otherwise the round trip is taken from the monotonic clock. It then includes
the delay of the exporter's own event loop, but it is never wrong by a clock step.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

#: Nanoseconds by which the two clocks may differ in addition to slewing.
CLOCK_TOLERANCE_NS = 200_000
#: The largest share of the elapsed time that slewing may add or remove. A larger change means that the clock was set.
MAX_SLEW_RATIO = 0.001
#: Seconds. Two readings further apart were separated by a preemption and are not comparable.
MAX_READ_GAP = 20e-6


class WallClockMonitor:
    """The monotonic clock (``now``, in seconds), the wall clock (``wall``, in ns), and how often that was set."""

    __slots__ = ("_compared_at", "_epoch", "_offset", "now", "wall")

    def __init__(self, now: Callable[[], float], wall: Callable[[], int]) -> None:
        self.now = now
        self.wall = wall
        self._epoch = 0
        self._compared_at = now()
        self._offset = wall() - self._compared_at * 1e9

    def epoch(self) -> int:
        """Compare the clocks and return the number of the current epoch."""
        now, wall = self.now, self.wall
        for _ in range(3):
            before = now()
            wall_ns = wall()
            if now() - before < MAX_READ_GAP:
                offset = wall_ns - before * 1e9
                max_slew = (before - self._compared_at) * 1e9 * MAX_SLEW_RATIO
                if abs(offset - self._offset) > CLOCK_TOLERANCE_NS + max_slew:
                    self._epoch += 1
                self._offset, self._compared_at = offset, before
                break
        return self._epoch


class RoundTrip(NamedTuple):
    """A round trip in seconds.

    ``overhead`` is the time from the kernel timestamp until the reply was read, which is not part of ``seconds``.
    Without a usable timestamp, ``overhead`` has the value None.
    """

    seconds: float
    overhead: float | None

    @property
    def clock(self) -> str:
        """The clock that timed the reply: ``kernel`` or ``user``."""
        return "user" if self.overhead is None else "kernel"


def round_trip(
    sent: float, sent_ns: int, read: float, read_ns: int, kernel_timestamp: int | None, *, same_epoch: bool
) -> RoundTrip:
    """Return the round trip of a reply.

    ``sent`` and ``read`` are on the monotonic clock, in seconds. ``sent_ns``, ``read_ns`` and ``kernel_timestamp`` are
    on the wall clock, in ns.
    """
    waited = read - sent
    if kernel_timestamp is not None and same_epoch and sent_ns <= kernel_timestamp <= read_ns + CLOCK_TOLERANCE_NS:
        took_ns = kernel_timestamp - sent_ns
        if took_ns <= waited * 1e9 + CLOCK_TOLERANCE_NS:
            return RoundTrip(took_ns / 1e9, max(0, read_ns - kernel_timestamp) / 1e9)
    return RoundTrip(max(0.0, waited), None)


class OneShotTimer:
    """Calls ``callback()`` once, after a delay. It can be set again."""

    __slots__ = ("_callback", "_handle")

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether a call is scheduled."""
        return self._handle is not None

    def set(self, seconds: float) -> None:
        """Schedule the call after ``seconds``, or as soon as possible if that is negative. Replaces an earlier call."""
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(max(0.0, seconds), self._run)

    def stop(self) -> None:
        """Cancel the call, if one is scheduled."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self) -> None:
        self._handle = None
        self._callback()
