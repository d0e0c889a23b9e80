"""The moments at which something is due, and the count of the moments that were missed."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from apscheduler.triggers.base import BaseTrigger

#: Seconds by which APScheduler may wake us early and still serve the run that is due. It rounds to microseconds.
APSCHEDULER_MAX_EARLY = 0.001


class MissedRuns(NamedTuple):
    """Runs that were due and never started: ``late`` because we were late, ``overrun`` because another run went on."""

    late: int
    overrun: int


class Grid:
    """The moments at which a job is due: ``origin + n·interval`` in monotonic seconds. The caller passes the clock."""

    __slots__ = ("_clock", "_last", "_max_early", "interval", "origin")

    def __init__(
        self, interval: float, origin: float, clock: Callable[[], float], *, max_early: float = APSCHEDULER_MAX_EARLY
    ) -> None:
        self.interval = interval
        self.origin = origin
        self._clock = clock
        self._max_early = max_early
        self._last = -1

    @property
    def next_unclaimed(self) -> float:
        """The first moment after the newest claimed one. It may have passed."""
        return self.origin + (self._last + 1) * self.interval

    def seconds_to_next(self) -> float:
        """Return how long until the next moment comes, claimed or not."""
        return self.origin + (self._index() + 1) * self.interval - self._clock()

    def claim_due(self, busy_until: float = -math.inf) -> tuple[float, MissedRuns] | None:
        """Return the newest moment that is due and what was missed before it, or None if it was claimed already.

        Every moment of the grid is claimed or counted as missed exactly once. Missed moments up to ``busy_until``
        count as ``overrun``: an earlier run still went on then.
        """
        index = self._index()
        if index <= self._last:
            return None
        missed = index - self._last - 1
        overrun = min(missed, max(0, self._index(busy_until) - self._last))
        self._last = index
        return self.origin + index * self.interval, MissedRuns(missed - overrun, overrun)

    def next_after(self, at: float) -> float:
        """Return the first moment after ``at`` that is not claimed yet."""
        return self.origin + (max(self._index(at), self._last) + 1) * self.interval

    def index_at(self, at: float) -> int:
        """Return the number of the newest moment at a time."""
        return self._index(at)

    def pass_over(self) -> None:
        """Claim the moments up to now without a run: they were replaced by moments that are not on the grid."""
        self._last = max(self._last, self._index())

    def continue_at(self, moment: float) -> None:
        """Regard all moments before this one as claimed, and no other. ``moment`` is on the grid."""
        self._last = round((moment - self.origin) / self.interval) - 1

    def _index(self, at: float | None = None) -> int:
        at = self._clock() if at is None else at
        return -1 if at == -math.inf else max(-1, math.floor((at - self.origin + self._max_early) / self.interval))


class GridTrigger(BaseTrigger):  # type: ignore[misc]
    """Translates the next moment of a grid into wall-clock time for APScheduler."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """Return when the next moment of the grid comes."""
        return now + timedelta(seconds=self._grid.seconds_to_next())
