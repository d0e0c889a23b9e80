"""Jobs run on their grids in a real event loop, whatever APScheduler and the wall clock do. So do callbacks."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from time import monotonic
from typing import Any

import pytest

from redis_pulse.scheduling import STARTUP_STAGGER, MissedRuns, PollPace, Scheduler
from tests.harness import eventually


class SchedulerHarness:
    """A scheduler, and what it reported."""

    def __init__(self) -> None:
        self.missed: list[tuple[str, MissedRuns]] = []
        self.errors: list[tuple[str, str]] = []
        self.scheduler = Scheduler(
            monotonic,
            on_missed=lambda kind, missed: self.missed.append((kind, missed)),
            on_error=lambda kind, error: self.errors.append((kind, type(error).__name__)),
            on_lag=lambda _seconds: None,
        )


def ignore(_missed: MissedRuns) -> None:
    """Ignore missed runs."""


def assert_on_grid(dues: list[float], interval: float) -> None:
    """Check that every moment is a whole number of intervals after the one before."""
    steps = [round((later - earlier) / interval, 6) for earlier, later in pairwise(dues)]
    assert all(step >= 1 and step == int(step) for step in steps), steps


@pytest.fixture
async def harness() -> AsyncIterator[SchedulerHarness]:
    harness = SchedulerHarness()
    harness.scheduler.start()
    yield harness
    await harness.scheduler.stop(0.1)


async def test_job_runs_on_its_grid(harness: SchedulerHarness) -> None:
    dues: list[float] = []

    async def run(due: float) -> None:
        dues.append(due)

    harness.scheduler.add_async_job(0.05, "poll", "t", run, ignore)
    await eventually(lambda: len(dues) >= 4)
    assert_on_grid(dues, 0.05)


async def test_job_can_also_run_at_once(harness: SchedulerHarness) -> None:
    ran = asyncio.Event()

    async def run(_due: float) -> None:
        ran.set()

    harness.scheduler.add_async_job(3600, "poll", "t", run, ignore, now=True)
    await asyncio.wait_for(ran.wait(), 60)


async def test_immediate_runs_of_many_jobs_are_staggered(harness: SchedulerHarness) -> None:
    """A thousand polls in one iteration of the loop would delay all pings by seconds.

    The planned moments are compared. On a busy machine several of them may have passed at once.
    """
    planned: list[float] = []

    async def run(_due: float) -> None:
        planned.append(harness.scheduler._latest_start)

    began = monotonic()
    for number in range(5):
        harness.scheduler.add_async_job(3600, "poll", str(number), run, ignore, now=True)
    await eventually(lambda: len(planned) == 5)
    assert planned[-1] - began >= 4 * STARTUP_STAGGER


async def test_queued_immediate_run_gives_way_to_one_that_is_due(
    harness: SchedulerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redis_pulse.scheduling.scheduler.STARTUP_STAGGER", 3600)
    missed: list[MissedRuns] = []
    ran = asyncio.Event()

    async def nothing(_due: float) -> None:
        pass

    async def run(_due: float) -> None:
        ran.set()

    harness.scheduler.add_async_job(3600, "poll", "first", nothing, ignore, now=True)
    harness.scheduler.add_async_job(0.02, "poll", "second", run, missed.append, now=True)
    await asyncio.wait_for(ran.wait(), 60)
    assert all(each.overrun == 0 for each in missed)


async def test_runs_missed_by_a_blocked_loop_are_reported(harness: SchedulerHarness) -> None:
    """The first run blocks the loop for several intervals of the job."""
    missed: list[MissedRuns] = []
    runs = 0

    async def run(_due: float) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            end = monotonic() + 0.25
            while monotonic() < end:
                pass

    harness.scheduler.add_async_job(0.05, "poll", "t", run, missed.append)
    await eventually(lambda: runs >= 2)
    assert sum(sum(each) for each in missed) >= 3
    assert harness.missed == [("poll", count) for count in missed]


async def test_runs_of_one_job_never_overlap_and_overruns_count(harness: SchedulerHarness) -> None:
    missed: list[MissedRuns] = []
    release, running, max_running, runs = asyncio.Event(), 0, 0, 0

    async def run(_due: float) -> None:
        nonlocal running, max_running, runs
        runs += 1
        running += 1
        max_running = max(max_running, running)
        await release.wait()
        running -= 1

    harness.scheduler.add_async_job(0.02, "poll", "t", run, missed.append, now=True)
    await eventually(lambda: len(missed) >= 1)
    release.set()
    await eventually(lambda: runs >= 2)
    assert max_running == 1


async def test_job_that_fails_is_reported_and_goes_on(harness: SchedulerHarness) -> None:
    runs = 0

    async def run(_due: float) -> None:
        nonlocal runs
        runs += 1
        raise RuntimeError("a fault")

    harness.scheduler.add_async_job(0.02, "poll", "t", run, ignore)
    await eventually(lambda: runs >= 3)
    assert harness.errors[:3] == [("poll", "RuntimeError")] * 3


async def test_cancelled_job_is_not_run_again(harness: SchedulerHarness) -> None:
    runs = 0

    async def run(_due: float) -> None:
        nonlocal runs
        runs += 1

    harness.scheduler.add_async_job(0.02, "poll", "t", run, ignore)
    await eventually(lambda: runs >= 1)
    await harness.scheduler.cancel("poll", "t")
    await harness.scheduler.cancel("poll", "never added")
    before = runs
    await asyncio.sleep(0.06)
    assert runs == before


async def test_cancelling_a_job_ends_the_run_that_has_begun(harness: SchedulerHarness) -> None:
    """A poll of a removed target must not write its samples later."""
    begun, ended = asyncio.Event(), False

    async def run(_due: float) -> None:
        nonlocal ended
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended = True

    harness.scheduler.add_async_job(3600, "poll", "t", run, ignore, now=True)
    await begun.wait()
    await harness.scheduler.cancel("poll", "t")
    assert ended


@pytest.mark.parametrize("now", [True, False])
async def test_cancelled_run_is_no_error(
    harness: SchedulerHarness, caplog: pytest.LogCaptureFixture, now: bool
) -> None:
    """A target that moves is cancelled in the middle of its poll. APScheduler would log that as an error."""
    begun = asyncio.Event()

    async def run(_due: float) -> None:
        begun.set()
        await asyncio.Event().wait()

    harness.scheduler.add_async_job(3600 if now else 0.02, "poll", "t", run, ignore, now=now)
    await begun.wait()
    await harness.scheduler.cancel("poll", "t")
    await asyncio.sleep(0.01)
    assert harness.errors == []
    assert caplog.records == []


async def test_job_finds_its_grid_again_after_a_clock_step(harness: SchedulerHarness) -> None:
    """The wall clock stepped back by a year, so APScheduler would wait for a year."""
    runs = 0

    async def run(_due: float) -> None:
        nonlocal runs
        runs += 1

    harness.scheduler.add_async_job(0.02, "poll", "t", run, ignore)
    await eventually(lambda: runs >= 1)
    job: Any = harness.scheduler._scheduler.get_job("poll t")
    job.modify(next_run_time=job.next_run_time.replace(year=job.next_run_time.year + 1))
    before = runs
    harness.scheduler.realign()
    await eventually(lambda: runs > before)


async def test_callback_runs_on_its_grid_until_the_scheduler_stops(harness: SchedulerHarness) -> None:
    dues: list[float] = []
    harness.scheduler.add_callback(0.05, "probe", "t", dues.append, lambda *_: None)
    await eventually(lambda: len(dues) >= 4)
    assert_on_grid(dues, 0.05)
    await harness.scheduler.stop(0.1)
    before = len(dues)
    await asyncio.sleep(0.12)
    assert len(dues) == before


async def test_thousand_callbacks_need_no_job_of_apscheduler(harness: SchedulerHarness) -> None:
    """So the wall clock, by which APScheduler plans, cannot delay them."""
    served: set[int] = set()

    def add(number: int) -> None:
        harness.scheduler.add_callback(0.2, "probe", str(number), lambda _due: served.add(number), lambda *_: None)

    for number in range(1000):
        add(number)
    assert harness.scheduler._scheduler.get_jobs() == []
    await eventually(lambda: len(served) == 1000)
    for number in range(1000):
        await harness.scheduler.cancel("probe", str(number))
    served.clear()
    await asyncio.sleep(0.25)
    assert served == set()


async def test_callback_missed_by_a_blocked_loop_is_reported(harness: SchedulerHarness) -> None:
    dues: list[float] = []
    skipped: list[int] = []

    def serve(due: float) -> None:
        dues.append(due)
        while len(dues) == 1 and monotonic() < due + 0.25:
            pass

    harness.scheduler.add_callback(0.05, "probe", "t", serve, lambda count, _newest: skipped.append(count))
    await eventually(lambda: len(dues) >= 3)
    assert_on_grid(dues, 0.05)
    assert sum(skipped) >= 3
    assert sum(skipped) == round((dues[-1] - dues[0]) / 0.05) - len(dues) + 1
    assert harness.missed == [("probe", MissedRuns(count, 0)) for count in skipped]


async def test_stopping_waits_for_runs_that_have_begun() -> None:
    harness, ended = SchedulerHarness(), False
    harness.scheduler.start()
    begun = asyncio.Event()

    async def run(_due: float) -> None:
        nonlocal ended
        begun.set()
        await asyncio.sleep(0.05)
        ended = True

    harness.scheduler.add_async_job(0.01, "poll", "t", run, ignore)
    await begun.wait()
    await harness.scheduler.stop(5)
    assert ended


async def test_stopping_cancels_runs_that_do_not_end_in_time() -> None:
    harness, cancelled = SchedulerHarness(), False
    harness.scheduler.start()
    begun = asyncio.Event()

    async def run(_due: float) -> None:
        nonlocal cancelled
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    harness.scheduler.add_async_job(0.01, "poll", "t", run, ignore)
    await begun.wait()
    await harness.scheduler.stop(0.01)
    assert cancelled


async def test_scheduler_that_never_started_can_be_stopped() -> None:
    await SchedulerHarness().scheduler.stop(0.1)


async def test_replaced_job_keeps_its_moments_and_its_run_is_cancelled(harness: SchedulerHarness) -> None:
    """A target moved. Its polls stay at their moments, and none is missed."""
    begun, ended = asyncio.Event(), asyncio.Event()
    dues: list[float] = []

    async def hang(_due: float) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def run(due: float) -> None:
        dues.append(due)

    assert harness.scheduler.add_async_job(0.05, "poll", "t", hang, ignore, now=True) is None
    grid = harness.scheduler._jobs["poll", "t"].grid
    await begun.wait()
    cancelled = harness.scheduler.add_async_job(0.05, "poll", "t", run, ignore)
    assert cancelled is not None
    await asyncio.wait({cancelled})
    assert ended.is_set()
    await eventually(lambda: len(dues) >= 3)
    assert harness.scheduler._jobs["poll", "t"].grid is grid
    assert all(abs((due - grid.origin) / 0.05 - round((due - grid.origin) / 0.05)) < 1e-6 for due in dues)
    harness.scheduler.add_async_job(0.07, "poll", "t", run, ignore)
    assert harness.scheduler._jobs["poll", "t"].grid is not grid, "another interval has moments of its own"


async def test_callback_can_be_replaced_between_two_moments(harness: SchedulerHarness) -> None:
    dues: list[tuple[int, float]] = []
    skipped: list[int] = []

    def add(number: int) -> None:
        harness.scheduler.add_callback(
            0.02,
            "probe",
            "t",
            lambda due: dues.append((number, due)),
            lambda count, _: skipped.append(count if dues else 0),  # the test counts from the first served moment
        )

    def was_called(number: int) -> bool:
        return any(each == number for each, _ in dues)

    for number in range(4):
        add(number)
        await eventually(partial(was_called, number))
    assert_on_grid([due for _, due in dues], 0.02)
    passed = round((dues[-1][1] - dues[0][1]) / 0.02) + 1
    assert len(dues) + sum(skipped) == passed, "no moment was lost or served twice"


async def test_removed_job_is_not_run_by_a_trigger_that_fired_before(harness: SchedulerHarness) -> None:
    """Else the samples of a removed target would return to the store, and a connection would stay open."""
    runs: list[float] = []

    async def run(due: float) -> None:
        runs.append(due)

    harness.scheduler.add_async_job(0.02, "poll", "t", run, ignore)
    job = harness.scheduler._jobs["poll", "t"]
    await eventually(lambda: len(runs) >= 1)
    harness.scheduler.remove("poll", "t")
    before = len(runs)
    await asyncio.sleep(0.03)
    await harness.scheduler._on_trigger(job)
    assert len(runs) == before


async def test_poll_starts_at_once_and_goes_on(harness: SchedulerHarness) -> None:
    polls: list[bool] = []

    async def poll(_due: float, complete: bool) -> None:
        polls.append(complete)

    harness.scheduler.add_poll(PollPace(0.05, 0.05, aligns=True), "poll", "t", poll, ignore)
    await eventually(lambda: len(polls) >= 3)
    assert all(polls)
    assert not harness.errors


async def test_order_of_polls_is_known(harness: SchedulerHarness) -> None:
    async def poll(_due: float, _complete: bool) -> None:
        """Poll nothing."""

    scheduler = harness.scheduler
    for number in range(20):
        pace = PollPace(3600.0 if number % 2 else 60.0, 5.0, aligns=True)
        scheduler.add_poll(pace, "poll", f"t{number}", poll, ignore)
    names = sorted((f"t{number}" for number in range(21)), key=lambda name: scheduler.poll_order("poll", name))
    origins = [scheduler._polls["poll", name].grid.origin for name in names[:20]]
    assert [int(name[1:]) % 2 for name in names[:20]] == [0] * 10 + [1] * 10
    for some in (origins[:10], origins[10:]):  # the order is that of a ring, because a grid begins anywhere
        assert sum(later < earlier for earlier, later in pairwise([*some, some[0]])) == 1
    assert names[20] == "t20"


async def test_replaced_poll_is_cancelled_and_keeps_its_grid_and_place(harness: SchedulerHarness) -> None:
    started = asyncio.Event()

    async def poll(_due: float, _complete: bool) -> None:
        started.set()
        await asyncio.Event().wait()

    pace = PollPace(3600.0, 5.0, aligns=True)
    harness.scheduler.add_poll(pace, "poll", "t", poll, ignore)
    before = harness.scheduler._polls["poll", "t"]
    await asyncio.wait_for(started.wait(), 60)
    cancelled = harness.scheduler.add_poll(pace, "poll", "t", poll, ignore)
    assert cancelled is not None
    await asyncio.wait({cancelled})
    after = harness.scheduler._polls["poll", "t"]
    assert (after.grid, after.place) == (before.grid, before.place)
    assert harness.scheduler.planner.targets == 1
    await harness.scheduler.cancel("poll", "t")
    assert harness.scheduler.planner.targets == 0


async def test_stop_waits_for_polls_and_starts_no_more(harness: SchedulerHarness) -> None:
    ended: list[float] = []
    started = asyncio.Event()

    async def poll(_due: float, _complete: bool) -> None:
        started.set()
        await asyncio.sleep(0.02)
        ended.append(monotonic())

    harness.scheduler.add_poll(PollPace(0.01, 0.01, aligns=False), "poll", "t", poll, ignore)
    await asyncio.wait_for(started.wait(), 60)
    await harness.scheduler.stop(5)
    assert ended
    assert not harness.scheduler._poll_queue._queue
    assert harness.scheduler._poll_queue._timer is None
