"""A target manager and a fake server, for the tests of the daemon."""

from collections.abc import AsyncIterator
from time import monotonic

import pytest

from redis_pulse.backoff import Backoff
from redis_pulse.collectors import load
from redis_pulse.config import TargetSettings
from redis_pulse.daemon.target_manager import TargetManager
from redis_pulse.exposition import render_steps
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import Scheduler
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import FakeServer
from tests.harness import metric_value, target_settings


def target(name: str, url: str = "redis://127.0.0.1:1", **changes: object) -> TargetSettings:
    return target_settings(url, name=name, **changes)


class ManagerHarness:
    """A target manager with everything it needs."""

    def __init__(self) -> None:
        self.metrics = ExporterMetrics("x")
        self.store = SampleStore(render_steps, monotonic)
        self.scheduler = Scheduler(
            monotonic, on_missed=lambda *_: None, on_error=lambda *_: None, on_lag=lambda _: None
        )
        self.targets = TargetManager(
            load(),
            self.store,
            self.metrics,
            self.scheduler,
            clock=monotonic,
            make_backoff=lambda: Backoff(0.02, 0.02, floor=0.02),
        )

    @property
    def pings(self) -> float:
        return metric_value(self.metrics, "redis_operations_total", operation="ping")

    def up(self, name: str) -> float:
        return metric_value(self.metrics, "redis_up", target=name)


@pytest.fixture
async def manager() -> AsyncIterator[ManagerHarness]:
    harness = ManagerHarness()
    harness.scheduler.start()
    yield harness
    await harness.scheduler.stop(1)
    await harness.targets.stop()


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server
