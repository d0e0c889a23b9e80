"""Start jobs, polls and callbacks at their moments, and count the moments that were missed.

The n-th run of a job is due at ``origin + n·interval`` on the monotonic clock (``Grid``). Three kinds of work use such
grids:

- A job (``add_async_job``) is a coroutine that takes its time: a discovery, a canary, a cold connect. APScheduler
  starts it every few seconds. It keeps the list of jobs, runs each in a task, and lets no two runs of a job overlap.
  One start costs about 120 µs.
- A poll (``add_poll``) is such a coroutine too. It leaves its grid to come just before a scrape (``planner``). Its
  moments change with each scrape, so a timer of the event loop serves them (``PollQueue``).
- A callback (``add_callback``) returns at once. It sends one ping. A thousand targets need a thousand calls a second.
  A timer of the event loop serves them (``CallbackQueue``), which costs about 2 µs a call. It uses the monotonic
  clock, so a step of the wall clock moves no ping.

APScheduler plans by the wall clock, and it drops runs silently. It merges runs after a stall, and it loses some at
high rates. So ``GridTrigger`` only translates the next moment of the grid into wall-clock time. Each run reports the
moments before it that had no run. After a step of the wall clock ``realign()`` computes the next moment of every job
again.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from redis_pulse.scheduling.callbacks import TIMER_MAX_EARLY, CallbackQueue, OnDue, OnSkipped, ScheduledCallback
from redis_pulse.scheduling.grid import APSCHEDULER_MAX_EARLY, Grid, GridTrigger, MissedRuns
from redis_pulse.scheduling.planner import PollPace, PollPlanner
from redis_pulse.scheduling.polls import OnMissedPoll, PollJob, PollQueue, RunPoll
from redis_pulse.scheduling.scrapers import Scraper

#: Fraction of an interval between the phases of two jobs. The golden ratio spreads any number of them evenly.
_GOLDEN = (math.sqrt(5) - 1) / 2
#: Seconds between two of the extra runs at the start.
STARTUP_STAGGER = 0.005

Run = Callable[[float], Awaitable[None]]
OnMissed = Callable[[MissedRuns], None]


class ScheduledJob:
    """A coroutine to run at every moment of a grid. Runs of one job never overlap."""

    __slots__ = ("busy_until", "grid", "is_queued", "is_removed", "kind", "missed", "run", "task")

    def __init__(self, kind: str, grid: Grid, run: Run, missed: OnMissed) -> None:
        self.kind = kind
        self.grid = grid
        self.run = run
        self.missed = missed
        self.busy_until = -math.inf
        #: whether the extra run at the start still waits for its turn
        self.is_queued = False
        #: whether it was removed: APScheduler may have begun to start it just before
        self.is_removed = False
        self.task: asyncio.Task[Any] | None = None


class Scheduler:
    """The jobs and callbacks of the daemon, in one event loop.

    ``on_missed(kind, missed)`` receives the runs that never started. ``on_error(kind, exception)`` receives the
    exception of a run. The job or callback goes on. ``on_lag(seconds)`` receives a delay of the event loop, by the
    timer of the callbacks: 0.01 s or more.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        on_missed: Callable[[str, MissedRuns], None],
        on_error: Callable[[str, Exception], None],
        on_lag: Callable[[float], None],
        on_scraper: Callable[[Scraper], None] = lambda _scraper: None,
    ) -> None:
        self._clock = clock
        self._on_missed = on_missed
        self._on_error = on_error
        self._running: set[asyncio.Task[Any]] = set()
        self._jobs: dict[tuple[str, str], ScheduledJob] = {}
        self._callbacks: dict[tuple[str, str], ScheduledCallback] = {}
        self._queue = CallbackQueue(clock, on_missed=on_missed, on_error=on_error, on_lag=on_lag)
        #: learns when pages are scraped, and plans polls just before
        self.planner = PollPlanner(clock, self._on_scraper)
        self._on_scraper_found = on_scraper
        self._polls: dict[tuple[str, str], PollJob] = {}
        self._poll_queue = PollQueue(clock, self.planner, on_missed=on_missed, on_error=on_error, track=self._track)
        self._latest_start = -math.inf
        self._started = clock()
        self._phase = random.random()  # noqa: S311
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )

    def start(self) -> None:
        """Start the jobs. The loop must be running."""
        self._scheduler.start()

    def add_async_job(
        self, interval: float, kind: str, key: str, run: Run, missed: OnMissed, *, now: bool = False
    ) -> asyncio.Task[Any] | None:
        """Run ``run(due)`` every ``interval`` seconds at a unique phase. With ``now``, also run it immediately.

        ``missed`` receives the moments that passed without a run. The job replaces the one with the same kind and key.
        Its moments stay if the interval is the same. Return the run of the replaced job, which is cancelled, or None.
        """
        old = self._jobs.get((kind, key))
        cancelled = self.remove(kind, key)
        if old is not None and old.grid.interval == interval:
            job = ScheduledJob(kind, old.grid, run, missed)
            job.busy_until = old.busy_until if cancelled is None else self._clock()
        else:
            job = ScheduledJob(kind, self._new_grid(interval), run, missed)
        self._jobs[kind, key] = job
        self._scheduler.add_job(
            self._on_trigger, GridTrigger(job.grid), args=[job], id=f"{kind} {key}", replace_existing=True
        )
        if now:
            self._run_now(job)
        return cancelled

    def add_poll(
        self, pace: PollPace, kind: str, key: str, run: RunPoll, missed: OnMissedPoll
    ) -> asyncio.Task[Any] | None:
        """Poll a target now, then before scrapes, or every ``pace.interval`` seconds at a unique phase.

        The job replaces the one with the same kind and key. Its moments stay if the interval is the same. Return the
        run of the replaced job, which is cancelled, or None.
        """
        old = self._polls.get((kind, key))
        cancelled = self.remove(kind, key)
        if old is not None and old.grid.interval == pace.interval:
            job = PollJob(kind, key, pace, old.grid, old.place, run, missed)
            job.continue_from(old, self._clock() if cancelled is not None else old.busy_until)
        else:
            grid = self._new_grid(pace.interval, max_early=TIMER_MAX_EARLY)
            job = PollJob(kind, key, pace, grid, self._phase, run, missed)
        self._polls[kind, key] = job
        self._poll_queue.add(job)
        task = asyncio.get_running_loop().create_task(self._poll_staggered(job))
        job.task = task
        self._track(task)
        return cancelled

    def poll_order(self, kind: str, key: str) -> tuple[float, float]:
        """Return what keys are sorted by, so that they are in the order of their polls. Unknown ones come last."""
        job = self._polls.get((kind, key))
        return (math.inf, 0.0) if job is None else (job.pace.interval, job.place)

    def add_callback(
        self, interval: float, kind: str, key: str, on_due: OnDue, on_skipped: OnSkipped
    ) -> ScheduledCallback:
        """Call ``on_due(moment)`` every ``interval`` seconds at a unique phase. It must return at once.

        ``on_skipped(count, newest)`` receives the moments to which the loop came an interval or more too late. The
        callback replaces the one with the same kind and key. Its moments stay if the interval is the same. Return what
        is scheduled.
        """
        old = self._callbacks.get((kind, key))
        if old is not None and old.grid.interval == interval:
            old.hand_over(on_due, on_skipped)
            return old
        self.remove(kind, key)
        grid = self._new_grid(interval, max_early=TIMER_MAX_EARLY)
        self._callbacks[kind, key] = callback = ScheduledCallback(kind, grid, on_due, on_skipped, self._queue)
        self._queue.add(callback)
        return callback

    async def cancel(self, kind: str, key: str) -> None:
        """Remove a job or callback, and wait until its run has ended, which is cancelled."""
        if (run := self.remove(kind, key)) is not None:
            await asyncio.wait({run})

    def remove(self, kind: str, key: str) -> asyncio.Task[Any] | None:
        """Remove a job or callback. Return its run, which is cancelled, or None if none has begun."""
        if callback := self._callbacks.pop((kind, key), None):
            callback.remove()
        if poll := self._polls.pop((kind, key), None):
            return self._poll_queue.remove(poll)
        if job := self._jobs.pop((kind, key), None):
            self._scheduler.remove_job(f"{kind} {key}")
            job.is_removed = True
            if job.task is not None:
                job.task.cancel()
                return job.task
        return None

    def realign(self) -> None:
        """Compute the next moment of every job again after a step of the wall clock. Callbacks do not need it."""
        for (kind, key), job in self._jobs.items():
            self._scheduler.reschedule_job(f"{kind} {key}", trigger=GridTrigger(job.grid))

    async def stop(self, grace: float) -> None:
        """Start nothing more, wait up to ``grace`` seconds for the runs that have begun, then cancel them.

        APScheduler's own ``shutdown(wait=True)`` does not wait for coroutines.
        """
        self._jobs.clear()
        for callback in self._callbacks.values():
            callback.remove()
        self._callbacks.clear()
        self._queue.clear()
        for poll in self._polls.values():
            poll.is_removed = True
        self._polls.clear()
        self._poll_queue.clear()
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

    def _new_grid(self, interval: float, *, max_early: float = APSCHEDULER_MAX_EARLY) -> Grid:
        """Return a grid at the phase farthest from all phases before. Its first moment comes within one interval.

        Phases are counted from one common moment, so they spread evenly whenever the jobs are added.
        """
        self._phase = (self._phase + _GOLDEN) % 1.0
        now, first = self._clock(), self._started + self._phase * interval
        return Grid(interval, first + math.ceil((now - first) / interval) * interval, self._clock, max_early=max_early)

    def _on_scraper(self, scraper: Scraper) -> None:
        self._poll_queue.replan()
        self._on_scraper_found(scraper)

    def _run_now(self, job: ScheduledJob) -> None:
        task = asyncio.get_running_loop().create_task(self._run_staggered(job))
        job.task = task
        self._track(task)

    async def _run_staggered(self, job: ScheduledJob) -> None:
        """Run a job at once, or shortly after the others. A thousand polls in one iteration would block the loop."""
        await self._wait_for_turn(job)
        await self._run_job(job, self._clock())

    async def _poll_staggered(self, job: PollJob) -> None:
        await self._wait_for_turn(job)
        await self._poll_queue.run(job, self._clock())

    async def _wait_for_turn(self, job: ScheduledJob | PollJob) -> None:
        self._latest_start = max(self._clock(), self._latest_start + STARTUP_STAGGER)
        job.is_queued = True
        await asyncio.sleep(self._latest_start - self._clock())
        job.is_queued = False

    def _track(self, task: asyncio.Task[Any]) -> None:
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _on_trigger(self, job: ScheduledJob) -> None:
        """Run a job that APScheduler found due. APScheduler does not call this while the job runs already."""
        if job.is_removed or (claimed := job.grid.claim_due(job.busy_until)) is None:
            return
        due, missed = claimed
        if job.is_queued and job.task is not None:  # the extra run at the start is no longer needed
            job.task.cancel()
            job.task, job.is_queued = None, False
        if job.task is not None:  # the extra run at the start has not ended
            missed = MissedRuns(missed.late, missed.overrun + 1)
        if any(missed):
            self._on_missed(job.kind, missed)
            job.missed(missed)
        task = asyncio.current_task()
        if job.task is None and task is not None:
            job.task = task
            self._track(task)
            with suppress(asyncio.CancelledError):  # APScheduler would log our own cancel as a failed job
                await self._run_job(job, due)

    async def _run_job(self, job: ScheduledJob, due: float) -> None:
        try:
            await job.run(due)
        except Exception as error:  # noqa: BLE001  # other jobs and the next run go on
            self._on_error(job.kind, error)
        finally:
            job.task = None
            job.busy_until = self._clock()
