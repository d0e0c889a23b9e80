"""Jobs and members of cohorts run on their grids in a real loop, whatever APScheduler and the wall clock do."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest

from redis_pulse.scheduling import STARTUP_STAGGER, MissedRuns, Scheduler
from redis_pulse.scheduling.phase_group import WAKE_LEAD
from tests.harness import eventually


class Kept:
    """A schedule and what it told."""

    def __init__(self) -> None:
        self.missed: list[tuple[str, MissedRuns]] = []
        self.errors: list[tuple[str, str]] = []
        self.schedule = Scheduler(
            monotonic,
            on_missed=lambda kind, count: self.missed.append((kind, count)),
            on_error=lambda kind, error: self.errors.append((kind, type(error).__name__)),
        )


def ignore(_missed: MissedRuns) -> None:
    """Do not care about missed runs."""


def assert_on_grid(dues: list[float], interval: float) -> None:
    """Every moment is a whole number of intervals after the one before."""
    steps = [round((later - earlier) / interval, 6) for earlier, later in pairwise(dues)]
    assert all(step >= 1 and step == int(step) for step in steps), steps


def set_ahead(job: Any) -> None:
    """Let APScheduler's next wake-up lie far ahead, as after a step back of the wall's clock."""
    job.modify(next_run_time=job.next_run_time.replace(year=job.next_run_time.year + 1))


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    kept = Kept()
    kept.schedule.start()
    yield kept
    await kept.schedule.stop(0.1)


async def test_a_job_runs_on_its_grid(kept: Kept) -> None:
    dues: list[float] = []

    async def run(due: float) -> None:
        dues.append(due)

    kept.schedule.add_async_job(0.05, "probe", "t", run, ignore)
    await eventually(lambda: len(dues) >= 4)
    assert_on_grid(dues, 0.05)


async def test_a_job_can_run_at_once_besides(kept: Kept) -> None:
    ran = asyncio.Event()

    async def run(_due: float) -> None:
        ran.set()

    kept.schedule.add_async_job(3600, "poll", "t", run, ignore, now=True)
    await asyncio.wait_for(ran.wait(), 5)


async def test_the_runs_at_once_of_many_jobs_do_not_come_all_in_one_turn_of_the_loop(kept: Kept) -> None:
    """A thousand polls in one turn would stop the loop, and all pings with it, for seconds."""
    ran: list[float] = []

    async def run(_due: float) -> None:
        ran.append(monotonic())

    for number in range(5):
        kept.schedule.add_async_job(3600, "poll", str(number), run, ignore, now=True)
    await eventually(lambda: len(ran) == 5)
    assert ran[-1] - ran[0] >= 3 * STARTUP_STAGGER


async def test_a_run_at_once_that_still_waits_gives_way_to_one_that_is_due(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redis_pulse.scheduling.scheduler.STARTUP_STAGGER", 3600)
    missed: list[MissedRuns] = []
    ran = asyncio.Event()

    async def nothing(_due: float) -> None:
        pass

    async def run(_due: float) -> None:
        ran.set()

    kept.schedule.add_async_job(3600, "poll", "first", nothing, ignore, now=True)
    kept.schedule.add_async_job(0.02, "poll", "second", run, missed.append, now=True)
    await asyncio.wait_for(ran.wait(), 5)
    assert all(each.overrun == 0 for each in missed)


async def test_runs_that_a_blocked_loop_missed_are_reported(kept: Kept) -> None:
    """The loop is blocked by hand, in whole intervals of the job."""
    missed: list[MissedRuns] = []
    runs = 0

    async def run(_due: float) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            end = monotonic() + 0.25
            while monotonic() < end:
                pass

    kept.schedule.add_async_job(0.05, "probe", "t", run, missed.append)
    await eventually(lambda: runs >= 2)
    assert sum(sum(each) for each in missed) >= 3
    assert kept.missed == [("probe", count) for count in missed]


async def test_runs_of_one_job_never_overlap_and_the_overrun_is_counted(kept: Kept) -> None:
    missed: list[MissedRuns] = []
    release, running, most, runs = asyncio.Event(), 0, 0, 0

    async def run(_due: float) -> None:
        nonlocal running, most, runs
        runs += 1
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1

    kept.schedule.add_async_job(0.02, "poll", "t", run, missed.append, now=True)
    await eventually(lambda: len(missed) >= 1)
    release.set()
    await eventually(lambda: runs >= 2)
    assert most == 1


async def test_a_job_that_fails_is_reported_and_goes_on(kept: Kept) -> None:
    runs = 0

    async def run(_due: float) -> None:
        nonlocal runs
        runs += 1
        raise RuntimeError("a fault")

    kept.schedule.add_async_job(0.02, "poll", "t", run, ignore)
    await eventually(lambda: runs >= 3)
    assert kept.errors[:3] == [("poll", "RuntimeError")] * 3


async def test_a_cancelled_job_is_not_run_again(kept: Kept) -> None:
    runs = 0

    async def run(_due: float) -> None:
        nonlocal runs
        runs += 1

    kept.schedule.add_async_job(0.02, "poll", "t", run, ignore)
    await eventually(lambda: runs >= 1)
    await kept.schedule.cancel("poll", "t")
    await kept.schedule.cancel("poll", "never there")
    seen = runs
    await asyncio.sleep(0.06)
    assert runs == seen


async def test_cancelling_a_job_ends_the_run_that_has_begun(kept: Kept) -> None:
    """A poll of a target that is gone must not write its samples after it."""
    begun, over = asyncio.Event(), False

    async def run(_due: float) -> None:
        nonlocal over
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            over = True

    kept.schedule.add_async_job(3600, "poll", "t", run, ignore, now=True)
    await begun.wait()
    await kept.schedule.cancel("poll", "t")
    assert over


@pytest.mark.parametrize("now", [True, False])
async def test_a_run_that_is_cancelled_is_no_fault(kept: Kept, caplog: pytest.LogCaptureFixture, now: bool) -> None:
    """APScheduler would log it as an error: a target that moves is cancelled in the middle of its poll."""
    begun = asyncio.Event()

    async def run(_due: float) -> None:
        begun.set()
        await asyncio.Event().wait()

    kept.schedule.add_async_job(3600 if now else 0.02, "poll", "t", run, ignore, now=now)
    await begun.wait()
    await kept.schedule.cancel("poll", "t")
    await asyncio.sleep(0.01)
    assert kept.errors == []
    assert caplog.records == []


async def test_a_job_finds_its_grid_again_after_the_wall_clock_was_set(kept: Kept) -> None:
    """As after a step back by an hour: APScheduler's next wake-up lies an hour ahead until it is told."""
    runs = 0

    async def run(_due: float) -> None:
        nonlocal runs
        runs += 1

    kept.schedule.add_async_job(0.02, "poll", "t", run, ignore)
    await eventually(lambda: runs >= 1)
    set_ahead(kept.schedule._scheduler.get_job("poll t"))
    seen = runs
    kept.schedule.realign()
    await eventually(lambda: runs > seen)


async def test_a_thousand_members_cost_twenty_firings_a_second(kept: Kept) -> None:
    schedule = kept.schedule
    for number in range(1000):
        schedule.add_callback(1.0, "probe", str(number), lambda _due: None, lambda *_: None)
    assert len(schedule._scheduler.get_jobs()) == 20
    for number in range(1000):
        await schedule.cancel("probe", str(number))
    assert schedule._scheduler.get_jobs() == []


async def test_members_run_evenly_and_find_their_grid_again_after_the_wall_clock_was_set(kept: Kept) -> None:
    dues: list[float] = []
    kept.schedule.add_callback(0.05, "probe", "t", dues.append, lambda *_: None)
    await eventually(lambda: len(dues) >= 4)
    assert_on_grid(dues, 0.05)
    (job,) = kept.schedule._scheduler.get_jobs()
    set_ahead(job)
    await asyncio.sleep(WAKE_LEAD)
    seen = len(dues)
    kept.schedule.realign()
    await eventually(lambda: len(dues) > seen + 1)
    await kept.schedule.stop(0.1)
    seen = len(dues)
    await asyncio.sleep(0.12)
    assert len(dues) == seen, "nobody is served after the end"


async def test_stopping_waits_for_runs_that_have_begun() -> None:
    kept, ended = Kept(), False
    kept.schedule.start()
    begun = asyncio.Event()

    async def run(_due: float) -> None:
        nonlocal ended
        begun.set()
        await asyncio.sleep(0.05)
        ended = True

    kept.schedule.add_async_job(0.01, "poll", "t", run, ignore)
    await begun.wait()
    await kept.schedule.stop(5)
    assert ended


async def test_stopping_cancels_what_does_not_end_in_time() -> None:
    kept, cancelled = Kept(), False
    kept.schedule.start()
    begun = asyncio.Event()

    async def run(_due: float) -> None:
        nonlocal cancelled
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    kept.schedule.add_async_job(0.01, "poll", "t", run, ignore)
    await begun.wait()
    await kept.schedule.stop(0.01)
    assert cancelled


async def test_a_schedule_that_never_started_can_be_stopped() -> None:
    await Kept().schedule.stop(0.1)


async def test_a_job_that_is_replaced_keeps_its_moments_and_its_old_run_is_cancelled() -> None:
    """A target that moved: its polls stay where they were, and nothing is missed."""
    kept = Kept()
    kept.schedule.start()
    begun, ended = asyncio.Event(), asyncio.Event()
    ran: list[float] = []

    async def hang(_due: float) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def run(due: float) -> None:
        ran.append(due)

    assert kept.schedule.add_async_job(0.05, "poll", "t", hang, lambda _: None, now=True) is None
    grid = kept.schedule._jobs["poll", "t"].grid
    await begun.wait()
    old = kept.schedule.add_async_job(0.05, "poll", "t", run, lambda _: None)
    assert old is not None
    await asyncio.wait({old})
    assert ended.is_set()
    await eventually(lambda: len(ran) >= 3)
    assert kept.schedule._jobs["poll", "t"].grid is grid
    assert all(abs((due - grid.origin) / 0.05 - round((due - grid.origin) / 0.05)) < 1e-6 for due in ran)
    kept.schedule.add_async_job(0.07, "poll", "t", run, lambda _: None)
    assert kept.schedule._jobs["poll", "t"].grid is not grid, "another interval has moments of its own"
    await kept.schedule.stop(0.1)


async def test_who_is_called_for_each_moment_can_be_replaced_between_two_of_them() -> None:
    kept = Kept()
    kept.schedule.start()
    dues: list[tuple[int, float]] = []
    for number in range(4):
        kept.schedule.add_callback(0.02, "probe", "t", lambda due, n=number: dues.append((n, due)), lambda *_: None)  # type: ignore[misc]
        await eventually(lambda number=number: any(n == number for n, _ in dues))  # type: ignore[misc]
    steps = [round((after - before) / 0.02, 3) for (_, before), (_, after) in pairwise(dues)]
    assert steps == [1] * len(steps), "no moment was lost or served twice"
    phase = kept.schedule._members["probe", "t"]._members["t"].offset
    kept.schedule.add_callback(0.03, "probe", "t", lambda due: dues.append((9, due)), lambda *_: None)
    assert kept.schedule._members["probe", "t"].interval == 0.03
    assert len(kept.schedule._groups) == 1
    assert phase >= 0
    await kept.schedule.stop(0.1)


async def test_a_firing_that_has_just_begun_does_not_run_a_job_that_was_removed(kept: Kept) -> None:
    """The samples of a target that was dropped were in the store again, and a connection stayed open."""
    runs: list[float] = []

    async def run(due: float) -> None:
        runs.append(due)

    kept.schedule.add_async_job(0.02, "poll", "t", run, ignore)
    job = kept.schedule._jobs["poll", "t"]
    await eventually(lambda: len(runs) >= 1)
    kept.schedule.remove("poll", "t")
    seen = len(runs)
    await asyncio.sleep(0.03)
    await kept.schedule._on_trigger(job)
    assert len(runs) == seen
