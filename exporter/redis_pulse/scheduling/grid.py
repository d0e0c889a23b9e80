"""The moments at which something is due, and the count of those that nobody served."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from apscheduler.triggers.base import BaseTrigger

#: Seconds by which APScheduler may wake us early (it rounds to microseconds) and still serve the run that is due.
EARLY = 0.001


class MissedRuns(NamedTuple):
    """Runs that were due and never started: ``late``, we were not there; ``overrun``, the run before was not over."""

    late: int
    overrun: int


class Grid:
    """The moments at which a job is due: ``origin + n·interval``, monotonic seconds. Pure; the clock is passed in."""

    __slots__ = ("_clock", "_last", "interval", "origin")

    def __init__(self, interval: float, origin: float, clock: Callable[[], float]) -> None:
        self.interval = interval
        self.origin = origin
        self._clock = clock
        self._last = -1

    def seconds_to_next(self) -> float:
        """Return how long until the next run is due."""
        return self.origin + (self._index() + 1) * self.interval - self._clock()

    def claim_due(self, busy_until: float = -math.inf) -> tuple[float, MissedRuns] | None:
        """Serve the run that is due: its moment, and what was missed before it. None when it was served already.

        Every moment of the grid is served or counted as missed exactly once; one at or before ``busy_until`` fell
        into an earlier run.
        """
        index = self._index()
        if index <= self._last:
            return None
        missed = index - self._last - 1
        overrun = min(missed, max(0, self._index(busy_until) - self._last))
        self._last = index
        return self.origin + index * self.interval, MissedRuns(missed - overrun, overrun)

    def _index(self, at: float | None = None) -> int:
        at = self._clock() if at is None else at
        return -1 if at == -math.inf else max(-1, math.floor((at - self.origin + EARLY) / self.interval))


class Trigger(BaseTrigger):  # type: ignore[misc]
    """Tells APScheduler in wall time when the grid is next due."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """Return when the grid is next due."""
        return now + timedelta(seconds=self._grid.seconds_to_next())
