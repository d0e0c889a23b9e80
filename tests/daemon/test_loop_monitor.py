"""The pulse tells how late the loop wakes, whether it turns at all, and when the wall clock was set."""

import asyncio
import time
from time import monotonic

import pytest

from redis_pulse.daemon.runtime_monitor import INTERVAL, STALLED_AFTER, LoopMonitor
from tests.fakes import ManualClock
from tests.harness import eventually


class Felt:
    def __init__(self) -> None:
        self.clock, self.wall = ManualClock(), ManualClock(1e9)
        self.lags: list[float] = []
        self.steps = 0
        self.pulse = LoopMonitor(self.lags.append, self._stepped, clock=self.clock, wall=self.wall)
        self.pulse.tick()
        self.lags.clear()

    def _stepped(self) -> None:
        self.steps += 1

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.wall.advance(seconds)


def test_lateness_is_what_passed_beyond_the_interval() -> None:
    felt = Felt()
    felt.advance(INTERVAL + 0.02)
    felt.pulse.tick()
    felt.advance(INTERVAL)
    felt.pulse.tick()
    assert [round(lag, 6) for lag in felt.lags] == [0.02, 0]


def test_a_wall_clock_that_was_set_is_noticed_once_and_slewing_is_not() -> None:
    felt = Felt()
    felt.advance(INTERVAL)
    felt.wall.advance(0.001)
    felt.pulse.tick()
    assert felt.steps == 0
    felt.wall.advance(-3600)
    felt.pulse.tick()
    felt.pulse.tick()
    assert felt.steps == 1


def test_whoever_wants_is_called_at_every_beat() -> None:
    beats = []
    pulse = LoopMonitor(lambda _lag: None, lambda: None, clock=ManualClock(), on_beat=lambda: beats.append(1))
    pulse.tick()
    pulse.tick()
    assert len(beats) == 2


def test_a_loop_that_does_not_turn_is_not_healthy() -> None:
    felt = Felt()
    assert felt.pulse.healthy
    felt.advance(INTERVAL + STALLED_AFTER + 0.1)
    assert not felt.pulse.healthy
    felt.pulse.tick()
    assert felt.pulse.healthy


async def test_it_beats_by_itself_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis_pulse.daemon.runtime_monitor.INTERVAL", 0.01)
    lags: list[float] = []
    pulse = LoopMonitor(lags.append, lambda: None, clock=monotonic)
    pulse.start()
    await eventually(lambda: len(lags) >= 2)
    pulse.stop()
    pulse.stop()
    await asyncio.sleep(0)
    assert pulse._handle is None


async def test_a_fault_of_whom_it_calls_does_not_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis_pulse.daemon.runtime_monitor.INTERVAL", 0.01)
    beats: list[int] = []

    def fail() -> None:
        beats.append(1)
        raise OSError("no descriptor")

    pulse = LoopMonitor(lambda _lag: None, lambda: None, clock=time.monotonic, on_beat=fail)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    pulse.start()
    await eventually(lambda: len(beats) >= 3)
    pulse.stop()
