"""Start the polls of all targets: before scrapes if their moments are known, otherwise on the grid of each target.

One timer of the event loop serves all targets, as ``CallbackQueue`` does for pings. A poll is planned when the one
before it has ended, so no two polls of a target overlap.
"""

import asyncio
import heapq
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from redis_pulse.scheduling.callbacks import TIMER_MAX_EARLY
from redis_pulse.scheduling.grid import Grid, MissedRuns
from redis_pulse.scheduling.planner import PlannedTarget, PollPace, PollPlanner
from redis_pulse.scheduling.windows import PLAY

#: Polls that are started in one turn of the event loop. The pings that are due meanwhile come between.
_STARTS_PER_TURN = 4
#: Polls that are planned again in one turn of the event loop, so that pings come between them.
_PLANS_PER_TURN = 100
#: Share by which the remembered duration of a poll falls if polls become faster.
_FORGET = 0.2

#: Polls a target. ``complete`` is false if only the collectors that follow scrapes run.
RunPoll = Callable[[float, bool], Awaitable[None]]
#: Receives the polls that never started.
OnMissedPoll = Callable[[MissedRuns], None]


async def _do_nothing(_due: float, _complete: bool) -> None:
    """Poll nothing."""


def _ignore(_missed: MissedRuns) -> None:
    """Count nothing."""


class PollJob:
    """The polls of one target."""

    __slots__ = (
        *("busy_until", "complete_index", "entry", "grid", "is_aligned", "is_planned", "is_queued", "is_removed"),
        *("key", "kind", "missed", "newest", "pace", "place", "run", "seconds", "task"),
    )

    def __init__(
        self, kind: str, key: str, pace: PollPace, grid: Grid, place: float, run: RunPoll, missed: OnMissedPoll
    ) -> None:
        self.kind = kind
        self.key = key
        self.pace = pace
        self.grid = grid
        #: from 0 to 1: the place among all targets in a window before a scrape
        self.place = place
        self.run = run
        self.missed = missed
        #: when the newest poll started and ended, and how long polls take
        self.newest = self.busy_until = -math.inf
        self.seconds = 0.0
        #: the moment of the grid up to which all collectors have run
        self.complete_index = -math.inf
        #: whether the next poll is before a scrape, and whether the newest one was
        self.is_planned = self.is_aligned = False
        #: the number of its valid entry in the queue, or 0 if it has none
        self.entry = 0
        #: whether the extra run at the start still waits for its turn
        self.is_queued = False
        self.is_removed = False
        self.task: asyncio.Task[Any] | None = None

    @property
    def planned_target(self) -> PlannedTarget:
        """What the planner needs of the target."""
        return PlannedTarget(self.key, self.pace, self.place, self.seconds)

    def continue_from(self, old: "PollJob", busy_until: float) -> None:
        """Take over what another job has measured at the same target."""
        self.newest, self.busy_until, self.seconds = old.newest, busy_until, old.seconds
        self.is_aligned = old.is_aligned


class PollQueue:
    """Starts polls at their moments. ``clock`` is monotonic. The other functions are those of the scheduler."""

    def __init__(
        self,
        clock: Callable[[], float],
        planner: PollPlanner,
        *,
        on_missed: Callable[[str, MissedRuns], None],
        on_error: Callable[[str, Exception], None],
        track: Callable[[asyncio.Task[Any]], None],
    ) -> None:
        self._clock = clock
        self._planner = planner
        self._on_missed = on_missed
        self._on_error = on_error
        self._track = track
        self._queue: list[tuple[float, int, PollJob]] = []
        self._entries = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def add(self, job: PollJob) -> None:
        """Serve a job until it is removed. The loop must be running."""
        self._planner.targets += job.pace.aligns
        self._plan(job)

    def remove(self, job: PollJob) -> asyncio.Task[Any] | None:
        """Start no more polls of a job. Return its run, which is cancelled, or None if none has begun."""
        if not job.is_removed:
            self._planner.targets -= job.pace.aligns
        job.is_removed = True
        job.entry = 0
        job.run, job.missed = _do_nothing, _ignore  # the queue keeps this object until its moment, but not the target
        if (task := job.task) is not None:
            task.cancel()
        return task

    def replan(self) -> None:
        """Plan all polls again, because a scraper was found. Otherwise each target waits for its grid once more."""
        self._replan_some([job for _, entry, job in self._queue if entry == job.entry])

    def _replan_some(self, jobs: list[PollJob]) -> None:
        for job in jobs[:_PLANS_PER_TURN]:
            if job.entry and job.newest > -math.inf:
                self._plan(job)
        if left := jobs[_PLANS_PER_TURN:]:
            asyncio.get_running_loop().call_soon(self._replan_some, left)

    def clear(self) -> None:
        """Start nothing any more."""
        for _, _, job in self._queue:
            job.is_removed = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, math.inf

    async def run(self, job: PollJob, due: float, *, complete: bool = True) -> None:
        """Run a poll now, measure it, and plan the next one."""
        started = self._begin(job)
        if complete:
            job.complete_index = job.grid.index_at(started)
        try:
            await job.run(due, complete)
        except Exception as error:  # noqa: BLE001  # other polls and the next one go on
            self._on_error(job.kind, error)
        finally:
            job.task = None
            job.busy_until = self._clock()
            if not job.is_removed:
                seconds = job.busy_until - started
                job.seconds = max(seconds, job.seconds - _FORGET * (job.seconds - seconds))
                self._plan(job)

    def _begin(self, job: PollJob) -> float:
        job.newest = now = self._clock()
        job.is_aligned = job.is_planned
        if job.is_planned:
            job.grid.pass_over()
        return now

    def _plan(self, job: PollJob) -> None:
        """Put the next poll of a job into the queue."""
        is_new = job.newest == -math.inf  # its first poll is the extra run at the start, or one of the grid
        moment = None if is_new else self._planner.next(job.planned_target, job.newest)
        job.is_planned = moment is not None
        if moment is None:
            moment = job.grid.next_after(self._clock())
            shortest = job.pace.shortest
            if job.is_aligned and moment - job.newest < shortest:  # the newest poll was not on the grid
                moment, job.is_planned = max(self._clock(), job.newest + shortest), True
        self._entries += 1
        job.entry = self._entries
        heapq.heappush(self._queue, (moment, job.entry, job))
        self._set_timer()

    def _set_timer(self) -> None:
        first = self._queue[0][0] if self._queue else math.inf
        if first >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        delay = max(0.0, first - self._clock())
        self._timer, self._timer_at = asyncio.get_running_loop().call_later(delay, self._on_timer), first

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, math.inf
        now, starts = self._clock() + TIMER_MAX_EARLY, 0
        try:
            while self._queue and self._queue[0][0] <= now and starts < _STARTS_PER_TURN:
                moment, entry, job = heapq.heappop(self._queue)
                if entry == job.entry:
                    starts += 1
                    self._serve(job, moment, now)
        finally:
            self._set_timer()

    def _serve(self, job: PollJob, moment: float, now: float) -> None:
        job.entry = 0
        if job.is_queued and job.task is not None:  # the extra run at the start is no longer needed
            job.task.cancel()
            job.task, job.is_queued = None, False
        if job.task is not None:
            return  # the extra run at the start has not ended: it plans the next poll
        due, missed = self._claim(job, moment, now)
        complete = not job.is_planned or job.grid.index_at(now) > job.complete_index
        if any(missed):
            self._on_missed(job.kind, missed)
            job.missed(missed)
        self._planner.load.started(now - due, job.pace.interval / job.pace.shortest)
        job.task = asyncio.get_running_loop().create_task(self._run(job, due, complete=complete))
        self._track(job.task)

    async def _run(self, job: PollJob, due: float, *, complete: bool) -> None:
        with suppress(asyncio.CancelledError):
            await self.run(job, due, complete=complete)

    def _claim(self, job: PollJob, moment: float, now: float) -> tuple[float, MissedRuns]:
        """Return the newest moment that is due, and what was missed before it.

        Before scrapes, a poll is missed if there was none for an interval. A scrape alone demands none, as the server
        may be too slow for its period.
        """
        if not job.is_planned and (claimed := job.grid.claim_due(job.busy_until)) is not None:
            return claimed
        longest = job.pace.interval * (1 + PLAY)
        missed = int((now - job.newest) / longest)
        overrun = min(missed, int((job.busy_until - job.newest) / longest))
        return moment, MissedRuns(missed - overrun, overrun)
