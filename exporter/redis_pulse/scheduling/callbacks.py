"""Call functions at the moments of their grids, by one timer of the event loop.

The loop keeps its timers on the monotonic clock, so a step of the wall clock moves no call. The timer is set to the
earliest moment of all callbacks. A timer for each callback would be simpler. With 1000 pings a second it took 2 to 4 %
more CPU time. Garbage collections were four times as many, because each timer lived for a whole interval.
"""

import asyncio
import heapq
import math
from collections.abc import Callable

from redis_pulse.scheduling.grid import Grid, MissedRuns

#: Seconds by which a moment may be served early, for rounding errors.
TIMER_MAX_EARLY = 1e-6
#: Seconds. Shorter delays of the event loop are not reported.
MIN_LAG = 0.01

#: Receives the moment that is due.
OnDue = Callable[[float], None]
#: Receives the number of missed moments, and the newest of them.
OnSkipped = Callable[[int, float], None]


def _ignore(*_: float) -> None:
    """Do nothing."""


class ScheduledCallback:
    """A function to call at every moment of a grid."""

    __slots__ = ("_queue", "grid", "is_removed", "kind", "number", "on_due", "on_skipped")

    def __init__(self, kind: str, grid: Grid, on_due: OnDue, on_skipped: OnSkipped, queue: "CallbackQueue") -> None:
        self._queue = queue
        #: Its place among equal moments in the queue, or None while another process serves its moments.
        self.number: int | None = None
        self.kind = kind
        self.grid = grid
        self.on_due = on_due
        self.on_skipped = on_skipped
        self.is_removed = False

    def hand_over(self, on_due: OnDue, on_skipped: OnSkipped) -> None:
        """Call these functions from now on, at the same moments. No moment is lost."""
        self.on_due, self.on_skipped = on_due, on_skipped

    def pause(self) -> None:
        """Make no calls until ``resume``: something else serves the moments."""
        self.number = None

    def resume(self, moment: float) -> None:
        """Serve the moments from this one on. Those that have passed are late, or skipped."""
        if not self.is_removed and self.number is None:
            self.grid.continue_at(moment)
            self._queue.add(self)

    def remove(self) -> None:
        """Make no more calls, even if one is due in this iteration of the loop."""
        self.is_removed = True
        self.on_due = self.on_skipped = _ignore  # the queue keeps this object until its moment, but not the target


class CallbackQueue:
    """Serves each callback at its moments.

    A moment is served if the loop comes to it less than an interval late. Otherwise it is reported as skipped.
    ``on_missed``, ``on_error`` and ``on_lag`` are those of the scheduler.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        on_missed: Callable[[str, MissedRuns], None],
        on_error: Callable[[str, Exception], None],
        on_lag: Callable[[float], None],
    ) -> None:
        self._clock = clock
        self._on_missed = on_missed
        self._on_error = on_error
        self._on_lag = on_lag
        #: a heap of the next moment of each callback; the number of the callback orders equal moments
        self._queue: list[tuple[float, int, ScheduledCallback]] = []
        self._added = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        #: when the loop must run the timer: later than its moment, if that had passed already
        self._timer_due = math.inf

    def add(self, callback: ScheduledCallback) -> None:
        """Serve another callback until it is removed. The loop must be running."""
        self._added += 1
        callback.number = self._added
        heapq.heappush(self._queue, (callback.grid.next_unclaimed, self._added, callback))
        self._set_timer()

    def clear(self) -> None:
        """Serve no callback any more."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, math.inf

    def _set_timer(self) -> None:
        first = self._queue[0][0] if self._queue else math.inf
        if first >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        now = self._clock()
        self._timer_due = max(first, now)
        delay = self._timer_due - now
        self._timer, self._timer_at = asyncio.get_running_loop().call_later(delay, self._on_timer), first

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, math.inf
        now = self._clock()  # read once: callbacks that become due meanwhile wait until the loop has read its sockets
        try:
            if (lag := now - self._timer_due) >= MIN_LAG:
                self._on_lag(lag)
            while self._queue and self._queue[0][0] <= now:
                self._serve_first()
        finally:
            self._set_timer()

    def _serve_first(self) -> None:
        _, number, callback = self._queue[0]
        if callback.is_removed or callback.number != number:
            heapq.heappop(self._queue)
            return
        claimed = callback.grid.claim_due()
        heapq.heapreplace(self._queue, (callback.grid.next_unclaimed, number, callback))
        if claimed is None:
            return
        due, missed = claimed
        if missed.late:
            self._guard(callback, self._on_missed, callback.kind, missed)
            self._guard(callback, callback.on_skipped, missed.late, due - callback.grid.interval)
        self._guard(callback, callback.on_due, due)

    def _guard(self, callback: ScheduledCallback, function: Callable[..., None], *args: object) -> None:
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001  # other callbacks and the next moment are served all the same
            self._on_error(callback.kind, error)
