"""A test waits longer if the machine kept its processes from running, and not otherwise."""

import asyncio
import itertools

import pytest

from tests import patience
from tests.fakes import ManualClock
from tests.patience import Patience, Stopwatch, at_most


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    monkeypatch.setattr(patience, "monotonic", clock)
    monkeypatch.setattr(patience, "started", set())
    return clock


def test_only_time_in_which_a_process_could_run_counts(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    delays = {"self": {"1": 5.0}, "42": {"7": 1.0, "8": 0.0}}
    monkeypatch.setattr(patience, "run_delays", lambda process: dict(delays[process]))
    waiting = Patience(10, 42)
    clock.advance(9.9)
    assert not waiting.is_over
    delays["42"] = {"7": 3.0, "8": 1.0}  # one thread waited for 2 s, another for 1 s at the same time
    clock.advance(2)
    assert not waiting.is_over
    clock.advance(0.2)
    assert waiting.is_over


def test_system_that_counts_no_delays_has_the_plain_deadline(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "run_delays", lambda _process: {})
    waiting = Patience(10)
    clock.advance(9)
    assert not waiting.is_over
    clock.advance(2)
    assert waiting.is_over


def test_delays_of_processes_add_up_and_stay_after_their_end(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test waits for the daemon, and the daemon for its server. A process started later counts too."""
    delays = {"self": {"1": 5.0}, "42": {"7": 1.0}, "43": {"9": 0.0}}
    monkeypatch.setattr(patience, "run_delays", lambda process: dict(delays.get(process, {})))
    watch = Stopwatch(42)
    patience.started.add(43)
    clock.advance(10)
    delays |= {"self": {"1": 6.0}, "42": {"7": 3.0}, "43": {"9": 0.5}}
    assert watch.delay == 3.5
    assert watch.seconds == 6.5
    patience.started.remove(43)
    del delays["42"], delays["43"]
    assert watch.seconds == 6.5


def test_deadline_passes_however_busy_the_machine_is(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "run_delays", lambda _process: {"1": clock()})
    waiting = Patience(10)
    clock.advance(199)
    assert not waiting.is_over
    clock.advance(1)
    assert waiting.is_over


async def test_block_is_cut_off_when_its_seconds_are_over() -> None:
    with pytest.raises(TimeoutError):
        async with at_most(0.01):
            await asyncio.Event().wait()


async def test_block_gets_the_time_that_the_machine_took(monkeypatch: pytest.MonkeyPatch) -> None:
    delays = itertools.count()
    monkeypatch.setattr(patience, "run_delays", lambda _process: {"1": 60.0 * next(delays)})
    async with at_most(0.01):
        await asyncio.sleep(0.05)


async def test_block_that_ends_in_time_is_not_cut_off_later() -> None:
    async with at_most(0.01):
        pass
    await asyncio.sleep(0.03)
