"""Who is due when. APScheduler wakes us; what is due, and what was missed, we count on a monotonic grid of our own.

APScheduler lives by the wall clock and drops runs silently (after a stall it merges them, at high rates it loses
some). So: the n-th run of a job is due at ``origin + n·interval`` on the monotonic clock, the trigger only translates
the next one into wall time, and a run that finds that others before it never came reports them. When somebody sets
the wall clock, ``realign()`` makes every job find its grid again.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

#: Seconds by which APScheduler may wake us early (it rounds to microseconds) and still serve the run that is due.
EARLY = 0.001
#: Fraction of an interval between the phases of two jobs: the golden ratio spreads any number of them evenly.
_GOLDEN = (math.sqrt(5) - 1) / 2

Run = Callable[[float], Awaitable[None]]


class Missed(NamedTuple):
    """Runs that were due and never started: ``late``, we were not there; ``overrun``, the run before was not over."""

    late: int
    overrun: int


OnMissed = Callable[[Missed], None]


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

    def take(self, busy_until: float = -math.inf) -> tuple[float, Missed] | None:
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
        return self.origin + index * self.interval, Missed(missed - overrun, overrun)

    def _index(self, at: float | None = None) -> int:
        at = self._clock() if at is None else at
        return -1 if at == -math.inf else max(-1, math.floor((at - self.origin + EARLY) / self.interval))


class _Trigger(BaseTrigger):  # type: ignore[misc]
    """Tells APScheduler in wall time when the grid is next due."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        return now + timedelta(seconds=self._grid.seconds_to_next())


class Job:
    """One thing to do at every moment of a grid. Runs of one job never overlap."""

    __slots__ = ("busy_until", "grid", "kind", "missed", "run", "task")

    def __init__(self, kind: str, grid: Grid, run: Run, missed: OnMissed) -> None:
        self.kind = kind
        self.grid = grid
        self.run = run
        self.missed = missed
        self.busy_until = -math.inf
        self.task: asyncio.Task[Any] | None = None


class Schedule:
    """The jobs of the daemon, in one event loop.

    ``on_missed(kind, missed)`` and ``on_error(kind, exception)`` tell of runs that never started and of runs that
    ended in an exception; the job goes on.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        on_missed: Callable[[str, Missed], None],
        on_error: Callable[[str, Exception], None],
    ) -> None:
        self._clock = clock
        self._on_missed = on_missed
        self._on_error = on_error
        self._running: set[asyncio.Task[Any]] = set()
        self._jobs: dict[tuple[str, str], Job] = {}
        self._added = 0
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._scheduler.start()

    def every(self, interval: float, kind: str, key: str, run: Run, missed: OnMissed, *, now: bool = False) -> None:
        """Do ``run(due)`` every ``interval`` seconds from a phase of its own on; ``now``: and once at once besides.

        ``missed`` is told of moments that passed without a run.
        """
        self._added += 1
        phase = (self._added * _GOLDEN) % 1.0 * interval
        job = Job(kind, Grid(interval, self._clock() + phase, self._clock), run, missed)
        self._jobs[kind, key] = job
        self._scheduler.add_job(self._fire, _Trigger(job.grid), args=[job], id=f"{kind} {key}", replace_existing=True)
        if now:
            self._spawn(job)

    async def cancel(self, kind: str, key: str) -> None:
        """Stop doing it; a run that has begun is cancelled, and is over when this returns."""
        if job := self._jobs.pop((kind, key), None):
            self._scheduler.remove_job(f"{kind} {key}")
            if job.task is not None:
                job.task.cancel()
                await asyncio.wait({job.task})

    def realign(self) -> None:
        """Find every grid again: the wall clock was set."""
        for (kind, key), job in self._jobs.items():
            self._scheduler.reschedule_job(f"{kind} {key}", trigger=_Trigger(job.grid))

    async def stop(self, grace: float) -> None:
        """Start nothing more, let what runs end within ``grace`` seconds, then cancel it.

        APScheduler's own ``shutdown(wait=True)`` does not wait for coroutines.
        """
        self._jobs.clear()
        if self._scheduler.running:
            self._scheduler.remove_all_jobs()
        running = self._running - {asyncio.current_task()}
        if running:
            _, late = await asyncio.wait(running, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _spawn(self, job: Job) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(job, self._clock()))
        job.task = task
        self._keep(task)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _fire(self, job: Job) -> None:
        """Run a job that APScheduler found due; it does not call this while it runs the same job already."""
        if (due := job.grid.take(job.busy_until)) is None:
            return
        moment, missed = due
        if job.task is not None:  # the extra run at the start is not over yet
            missed = Missed(missed.late, missed.overrun + 1)
        if any(missed):
            self._on_missed(job.kind, missed)
            job.missed(missed)
        task = asyncio.current_task()
        if job.task is None and task is not None:
            job.task = task
            self._keep(task)
            await self._guard(job, moment)

    async def _guard(self, job: Job, due: float) -> None:
        try:
            await job.run(due)
        except Exception as error:  # noqa: BLE001  # whatever a job does, the others and its next run go on
            self._on_error(job.kind, error)
        finally:
            job.task = None
            job.busy_until = self._clock()
