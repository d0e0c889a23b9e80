"""Every moment of every poll is started once or reported once, on the grid and before scrapes."""

import asyncio
from collections.abc import Coroutine, Generator, Iterator
from itertools import pairwise
from typing import Any

import pytest

from redis_pulse.scheduling.callbacks import TIMER_MAX_EARLY
from redis_pulse.scheduling.grid import Grid, MissedRuns
from redis_pulse.scheduling.planner import PollPace, PollPlanner
from redis_pulse.scheduling.polls import PollJob, PollQueue
from tests.fakes import ManualClock
from tests.scheduling.test_callbacks import ManualLoop

FIRST = 107.0
PACE = PollPace(15.0, 5.0, aligns=True)


class _Pause:
    """Suspends a poll until the test resumes it."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class ManualTask:
    """A task that a test resumes."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.coroutine = coroutine
        self.has_ended = False

    def resume(self, error: BaseException | None = None) -> None:
        try:
            if error is None:
                self.coroutine.send(None)
            else:
                self.coroutine.throw(error)
        except StopIteration:
            self.has_ended = True

    def cancel(self) -> None:
        if not self.has_ended:
            self.resume(asyncio.CancelledError())


class TaskLoop(ManualLoop):
    """Also starts tasks, after the timers that are due."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.new_tasks: list[ManualTask] = []

    def create_task(self, coroutine: Coroutine[Any, Any, None]) -> ManualTask:
        task = ManualTask(coroutine)
        self.new_tasks.append(task)
        return task

    def run_due_timers(self) -> None:
        super().run_due_timers()
        tasks, self.new_tasks = self.new_tasks, []
        for task in tasks:
            task.resume()


class PollHarness:
    """The polls of one target on a manual clock, and what was reported."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pace: PollPace = PACE) -> None:
        self.clock = ManualClock(100.0)
        self.loop = TaskLoop(self.clock)
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self.loop)
        self.missed: list[MissedRuns] = []
        self.missed_of_job: list[MissedRuns] = []
        self.errors: list[str] = []
        self.polls: list[tuple[float, bool]] = []
        self.is_slow = False
        self.tasks: list[ManualTask] = []
        self.planner = PollPlanner(self.clock, lambda _scraper: self.queue.replan())
        self.queue = PollQueue(
            self.clock,
            self.planner,
            on_missed=lambda _kind, missed: self.missed.append(missed),
            on_error=lambda _kind, error: self.errors.append(str(error)),
            track=self.tasks.append,  # type: ignore[arg-type]
        )
        grid = Grid(pace.interval, FIRST, self.clock, max_early=TIMER_MAX_EARLY)
        self.job = PollJob("poll", "it", pace, grid, 0.5, self._poll, self.missed_of_job.append)
        self.queue.add(self.job)

    async def _poll(self, _due: float, complete: bool) -> None:
        self.polls.append((self.clock(), complete))
        if self.is_slow:
            await _Pause()

    def run_to(self, moment: float, *, scrapes_every: float | None = None) -> None:
        """Let time pass in steps of 10 ms, with scrapes at whole multiples of a period."""
        while self.clock() < moment:
            before = self.clock()
            self.clock.advance(0.01)
            if scrapes_every and before // scrapes_every < self.clock() // scrapes_every:
                self.planner.scraped("10.0.0.1 x", None)
            self.loop.run_due_timers()

    def jump_to(self, moment: float) -> None:
        self.clock.now = moment
        self.loop.run_due_timers()

    @property
    def moments(self) -> list[float]:
        return [round(moment, 1) for moment, _ in self.polls]


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[PollHarness]:
    harness = PollHarness(monkeypatch)
    yield harness
    harness.queue.remove(harness.job)  # no poll may be left without a loop


def test_unscraped_target_is_polled_on_its_grid(harness: PollHarness) -> None:
    harness.run_to(200)
    assert harness.moments == [107, 122, 137, 152, 167, 182, 197]
    assert all(complete for _, complete in harness.polls)
    assert not harness.missed


def test_scraped_target_is_polled_before_scrapes_and_then_on_its_grid_again(harness: PollHarness) -> None:
    """The scrapes end at 200: ten more periods are polled, then the moments of the grid return."""
    harness.run_to(200, scrapes_every=5)
    assert harness.moments[:2] == pytest.approx([107, 119.94], abs=0.1), "it does not wait for its grid any more"
    assert harness.moments[-4:] == pytest.approx([185, 190, 195, 200], abs=0.15)
    harness.run_to(330)
    gaps = [later - earlier for earlier, later in pairwise(harness.moments)]
    assert 4.9 <= min(gaps) <= max(gaps) <= 15.1
    assert harness.moments[-3:] == [302, 317] or harness.moments[-2:] == [302, 317]
    assert not harness.missed


def test_expensive_collectors_keep_the_rate_of_the_grid(harness: PollHarness) -> None:
    harness.run_to(500, scrapes_every=5)
    complete = [moment for moment, complete in harness.polls if complete]
    assert len(complete) in {26, 27}  # 393 s at 15 s
    assert max(later - earlier for earlier, later in pairwise(complete)) <= 20.1


def test_poll_longer_than_the_grid_is_an_overrun(harness: PollHarness) -> None:
    harness.is_slow = True
    harness.run_to(108)
    harness.jump_to(140)
    harness.tasks[0].resume()
    harness.run_to(153)
    assert harness.missed == harness.missed_of_job == [MissedRuns(0, 2)]
    assert harness.moments == [107, 152]


def test_poll_longer_than_a_period_waits_for_a_later_scrape(harness: PollHarness) -> None:
    """The settings permit its duration. So it is no failure, even if scrapes come more often."""
    harness.run_to(180, scrapes_every=5)
    harness.is_slow = True
    harness.run_to(197, scrapes_every=5)
    harness.is_slow = False
    harness.tasks[-1].resume()  # began at 184.9; 189.9 and 194.9 passed
    harness.run_to(201, scrapes_every=5)
    assert not harness.missed
    assert harness.moments[-2:] == pytest.approx([185, 198.7], abs=0.15), "it starts earlier, because it was slow"


def test_poll_longer_than_intervals_before_scrapes_is_an_overrun(harness: PollHarness) -> None:
    harness.run_to(180, scrapes_every=5)
    harness.is_slow = True
    harness.run_to(217, scrapes_every=5)
    harness.tasks[-1].resume()
    harness.run_to(220, scrapes_every=5)
    assert harness.missed == [MissedRuns(0, 2)]


def test_late_event_loop_is_reported_in_both_modes(harness: PollHarness) -> None:
    harness.jump_to(140)
    assert harness.missed == [MissedRuns(2, 0)]
    assert harness.moments == [140]
    harness.run_to(200, scrapes_every=5)
    harness.jump_to(217)
    assert harness.missed == [MissedRuns(2, 0), MissedRuns(1, 0)]
    assert harness.moments[-1] == 217


def test_failed_poll_is_reported_and_the_next_one_comes(harness: PollHarness) -> None:
    harness.is_slow = True
    harness.run_to(108)
    harness.tasks[0].resume(RuntimeError("broken"))
    harness.is_slow = False
    harness.run_to(123)
    assert harness.errors == ["broken"]
    assert harness.moments == [107, 122]


def test_removed_target_is_cancelled_and_not_polled_again(harness: PollHarness) -> None:
    harness.is_slow = True
    harness.run_to(108)
    task = harness.queue.remove(harness.job)
    assert task is harness.tasks[0]
    assert harness.tasks[0].has_ended
    harness.run_to(150)
    assert harness.moments == [107]
    assert harness.planner.targets == 0


def test_cleared_queue_starts_nothing(harness: PollHarness) -> None:
    harness.queue.clear()
    harness.run_to(150)
    assert not harness.polls
