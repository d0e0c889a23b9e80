"""Who is due when. APScheduler wakes us; what is due, and what was missed, we count on a monotonic grid of our own.

APScheduler lives by the wall clock and drops runs silently (after a stall it merges them, at high rates it loses
some). So: the n-th run of a job is due at ``origin + n·interval`` on the monotonic clock, the trigger only translates
the next one into wall time, and a run that finds that others before it never came reports them. When somebody sets
the wall clock, ``realign()`` makes every job find its grid again.

Two kinds of jobs: ``every``, one firing of APScheduler a run, for what takes its time; and ``each``, for the many and
quick, where one firing serves a whole cohort of them.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from redis_pulse.scheduling.grid import Grid, MissedRuns, Trigger
from redis_pulse.scheduling.phase_group import Due, PhaseGroup, Skipped, phases

#: Fraction of an interval between the phases of two jobs: the golden ratio spreads any number of them evenly.
_GOLDEN = (math.sqrt(5) - 1) / 2
#: Seconds between two of the extra runs at the start.
STARTUP_STAGGER = 0.005

Run = Callable[[float], Awaitable[None]]


OnMissed = Callable[[MissedRuns], None]


class ScheduledJob:
    """One thing to do at every moment of a grid. Runs of one job never overlap."""

    __slots__ = ("busy_until", "grid", "is_gone", "is_queued", "kind", "missed", "run", "task")

    def __init__(self, kind: str, grid: Grid, run: Run, missed: OnMissed) -> None:
        self.kind = kind
        self.grid = grid
        self.run = run
        self.missed = missed
        self.busy_until = -math.inf
        self.is_queued = False
        #: whether it was removed: a firing that APScheduler has just begun must not run it
        self.is_gone = False
        self.task: asyncio.Task[Any] | None = None


class Scheduler:
    """The jobs of the daemon, in one event loop.

    ``on_missed(kind, missed)`` and ``on_error(kind, exception)`` tell of runs that never started and of runs that
    ended in an exception; the job goes on.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        on_missed: Callable[[str, MissedRuns], None],
        on_error: Callable[[str, Exception], None],
    ) -> None:
        self._clock = clock
        self._on_missed = on_missed
        self._on_error = on_error
        self._running: set[asyncio.Task[Any]] = set()
        self._jobs: dict[tuple[str, str], ScheduledJob] = {}
        self._groups: dict[tuple[str, float, int], PhaseGroup] = {}
        self._members: dict[tuple[str, str], PhaseGroup] = {}
        self._newest_first = -math.inf
        self._started = clock()
        self._phase = random.random()  # noqa: S311
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._scheduler.start()

    def add_async_job(
        self, interval: float, kind: str, key: str, run: Run, missed: OnMissed, *, now: bool = False
    ) -> asyncio.Task[Any] | None:
        """Do ``run(due)`` every ``interval`` seconds from a phase of its own on; ``now``: and once at once besides.

        ``missed`` is told of moments that passed without a run. A job of that kind and key is replaced: its run
        that has begun is cancelled, and returned. The new one keeps its moments when the interval is the same.
        """
        old = self._jobs.get((kind, key))
        begun = self.remove(kind, key)
        if old is not None and old.grid.interval == interval:
            job = ScheduledJob(kind, old.grid, run, missed)
            job.busy_until = old.busy_until if begun is None else self._clock()
        else:
            job = ScheduledJob(
                kind, Grid(interval, self._clock() + self._next_phase() * interval, self._clock), run, missed
            )
        self._jobs[kind, key] = job
        self._scheduler.add_job(
            self._on_trigger, Trigger(job.grid), args=[job], id=f"{kind} {key}", replace_existing=True
        )
        if now:
            self._run_now(job)
        return begun

    def add_callback(self, interval: float, kind: str, key: str, due: Due, skipped: Skipped) -> None:
        """Call ``due(moment)`` every ``interval`` seconds from a phase of its own on: it must return at once.

        ``skipped(count, newest)`` is told of moments that came while we were late by an interval or more. Whoever is
        called for that kind and key is replaced, and the new one keeps the moments when the interval is the same.
        """
        if (known := self._members.get((kind, key))) is not None:
            if known.interval == interval:
                known.hand_over(key, due, skipped)
                return
            self.remove(kind, key)
        offset = self._next_phase() * interval
        width = interval / phases(interval)
        place = (kind, interval, int(offset / width))
        if (cohort := self._groups.get(place)) is None:
            start = self._started + place[2] * width
            cohort = PhaseGroup(kind, interval, start, self._clock, on_missed=self._on_missed, on_error=self._on_error)
            self._groups[place] = cohort
            trigger = Trigger(cohort.grid)
            self._scheduler.add_job(cohort.fire, trigger, id=_cohort_id(place), replace_existing=True)
        cohort.add(key, offset - place[2] * width, due, skipped)
        self._members[kind, key] = cohort

    async def cancel(self, kind: str, key: str) -> None:
        """Stop doing it; a run that has begun is cancelled, and is over when this returns."""
        if (run := self.remove(kind, key)) is not None:
            await asyncio.wait({run})

    def remove(self, kind: str, key: str) -> asyncio.Task[Any] | None:
        """Stop doing it; return the run that has begun, which is cancelled."""
        if cohort := self._members.pop((kind, key), None):
            cohort.remove(key)
            self._tidy()
        if job := self._jobs.pop((kind, key), None):
            self._scheduler.remove_job(f"{kind} {key}")
            job.is_gone = True
            if job.task is not None:
                job.task.cancel()
                return job.task
        return None

    def realign(self) -> None:
        """Find every grid again: the wall clock was set."""
        for (kind, key), job in self._jobs.items():
            self._scheduler.reschedule_job(f"{kind} {key}", trigger=Trigger(job.grid))
        for place, cohort in self._groups.items():
            self._scheduler.reschedule_job(_cohort_id(place), trigger=Trigger(cohort.grid))

    async def stop(self, grace: float) -> None:
        """Start nothing more, let what runs end within ``grace`` seconds, then cancel it.

        APScheduler's own ``shutdown(wait=True)`` does not wait for coroutines.
        """
        self._jobs.clear()
        self._members.clear()
        for cohort in self._groups.values():
            cohort.clear()
        self._groups.clear()
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

    def _next_phase(self) -> float:
        """Return a phase in [0, 1), as far as can be from those before, the first at random."""
        self._phase = (self._phase + _GOLDEN) % 1.0
        return self._phase

    def _tidy(self) -> None:
        """Fire no cohort that has no members any more."""
        for place in [place for place, cohort in self._groups.items() if not len(cohort)]:
            del self._groups[place]
            self._scheduler.remove_job(_cohort_id(place))

    def _run_now(self, job: ScheduledJob) -> None:
        task = asyncio.get_running_loop().create_task(self._run_staggered(job))
        job.task = task
        self._track(task)

    async def _run_staggered(self, job: ScheduledJob) -> None:
        """Run it at once, or a little after the others: a thousand polls in one turn of the loop would stop it."""
        self._newest_first = max(self._clock(), self._newest_first + STARTUP_STAGGER)
        job.is_queued = True
        await asyncio.sleep(self._newest_first - self._clock())
        job.is_queued = False
        await self._run_job(job, self._clock())

    def _track(self, task: asyncio.Task[Any]) -> None:
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _on_trigger(self, job: ScheduledJob) -> None:
        """Run a job that APScheduler found due; it does not call this while it runs the same job already."""
        if job.is_gone or (due := job.grid.claim_due(job.busy_until)) is None:
            return
        moment, missed = due
        if job.is_queued and job.task is not None:  # the extra run at the start comes too late to be one
            job.task.cancel()
            job.task, job.is_queued = None, False
        if job.task is not None:  # the extra run at the start is not over yet
            missed = MissedRuns(missed.late, missed.overrun + 1)
        if any(missed):
            self._on_missed(job.kind, missed)
            job.missed(missed)
        task = asyncio.current_task()
        if job.task is None and task is not None:
            job.task = task
            self._track(task)
            with suppress(asyncio.CancelledError):  # by us: APScheduler would log it as a job that failed
                await self._run_job(job, moment)

    async def _run_job(self, job: ScheduledJob, due: float) -> None:
        try:
            await job.run(due)
        except Exception as error:  # noqa: BLE001  # whatever a job does, the others and its next run go on
            self._on_error(job.kind, error)
        finally:
            job.task = None
            job.busy_until = self._clock()


def _cohort_id(place: tuple[str, float, int]) -> str:
    return f"cohort of {place[0]} every {place[1]} s, phase {place[2]}"
