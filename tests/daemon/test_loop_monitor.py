"""The loop monitor measures lag, detects a stalled loop, and detects steps of the wall clock."""

import asyncio
import time
from time import monotonic

import pytest

from redis_pulse.daemon.runtime_monitor import STALLED_AFTER, TICK_INTERVAL, LoopMonitor
from tests.fakes import ManualClock
from tests.harness import eventually


class MonitorHarness:
    """A loop monitor on manual clocks, and what it reported."""

    def __init__(self) -> None:
        self.clock, self.wall_clock = ManualClock(), ManualClock(1e9)
        self.lags: list[float] = []
        self.steps = 0
        self.monitor = LoopMonitor(self.lags.append, self._on_clock_step, clock=self.clock, wall_clock=self.wall_clock)
        self.monitor.tick()
        self.lags.clear()

    def _on_clock_step(self) -> None:
        self.steps += 1

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.wall_clock.advance(seconds)


def test_lag_is_the_time_beyond_the_interval() -> None:
    harness = MonitorHarness()
    harness.advance(TICK_INTERVAL + 0.02)
    harness.monitor.tick()
    harness.advance(TICK_INTERVAL)
    harness.monitor.tick()
    assert [round(lag, 6) for lag in harness.lags] == [0.02, 0]


def test_clock_step_is_reported_once_and_slewing_is_not() -> None:
    harness = MonitorHarness()
    harness.advance(TICK_INTERVAL)
    harness.wall_clock.advance(0.001)
    harness.monitor.tick()
    assert harness.steps == 0
    harness.wall_clock.advance(-3600)
    harness.monitor.tick()
    harness.monitor.tick()
    assert harness.steps == 1


def test_hook_is_called_at_every_tick() -> None:
    ticks = []
    monitor = LoopMonitor(lambda _lag: None, lambda: None, clock=ManualClock(), on_tick=lambda: ticks.append(1))
    monitor.tick()
    monitor.tick()
    assert len(ticks) == 2


def test_stalled_loop_is_not_healthy() -> None:
    harness = MonitorHarness()
    assert harness.monitor.healthy
    harness.advance(TICK_INTERVAL + STALLED_AFTER + 0.1)
    assert not harness.monitor.healthy
    harness.monitor.tick()
    assert harness.monitor.healthy


async def test_monitor_ticks_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis_pulse.daemon.runtime_monitor.TICK_INTERVAL", 0.01)
    lags: list[float] = []
    monitor = LoopMonitor(lags.append, lambda: None, clock=monotonic)
    monitor.start()
    await eventually(lambda: len(lags) >= 2)
    monitor.stop()
    monitor.stop()
    await asyncio.sleep(0)
    assert monitor._timer is None


async def test_exception_in_the_hook_does_not_stop_the_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis_pulse.daemon.runtime_monitor.TICK_INTERVAL", 0.01)
    ticks: list[int] = []

    def fail() -> None:
        ticks.append(1)
        raise OSError("no descriptor")

    monitor = LoopMonitor(lambda _lag: None, lambda: None, clock=time.monotonic, on_tick=fail)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    monitor.start()
    await eventually(lambda: len(ticks) >= 3)
    monitor.stop()
