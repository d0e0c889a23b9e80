"""Targets are closed in the background after their runs have ended. Each step is retried until it works."""

import asyncio
from contextlib import suppress

import pytest

from redis_pulse.backoff import Backoff
from redis_pulse.config import ProbeSettings
from redis_pulse.daemon import target_shutdown
from redis_pulse.daemon.pending_changes import PendingChanges, Step
from redis_pulse.daemon.target_shutdown import MonitoredTarget, TargetShutdown
from redis_pulse.exposition import render_steps
from redis_pulse.polling import TargetPoller
from redis_pulse.sample_store import SampleStore
from redis_pulse.slices import SharedTurns
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually, metric_value
from tests.patience import at_most
from tests.probe.test_prober import PATIENT


class ShutdownHarness:
    """A ``TargetShutdown``, and one target with a connection of its prober and one of its poller."""

    def __init__(self, url: str) -> None:
        self.failures: list[Step] = []
        self.pending = PendingChanges(self.failures.append)
        self.shutdown = TargetShutdown(self.pending, lambda: Backoff(0.01, 0.01))
        self.target = TargetHarness(url, breaker=PATIENT, probe=ProbeSettings(interval=1, timeout=3))
        target = self.target
        poller = TargetPoller(
            target.client,
            [],
            SampleStore(render_steps, target.clock),
            target.target_metrics,
            target.observer,
            ping_error=lambda: None,
            turns=SharedTurns(),
            clock=target.clock,
        )
        self.monitored = MonitoredTarget(
            target.target, target.breaker, target.client, target.prober, poller, target.target_metrics
        )

    async def connect(self) -> None:
        await self.target.probe_due()
        await self.target.ended(1)
        await self.target.client.commands("info", self.target.clock() + 5).execute("INFO")


@pytest.fixture
async def harness(server: FakeServer) -> ShutdownHarness:
    harness = ShutdownHarness(server.url)
    await harness.connect()
    return harness


async def test_closing_runs_in_the_background(harness: ShutdownHarness, server: FakeServer) -> None:
    harness.shutdown.close(harness.monitored)
    assert server.connected == 2
    await eventually(lambda: server.connected == 0)
    assert harness.failures == []


async def test_failed_close_is_retried_and_the_other_parts_are_closed(
    harness: ShutdownHarness, server: FakeServer
) -> None:
    stop, is_broken = harness.target.prober.stop, True

    async def fail() -> None:
        if is_broken:
            raise RuntimeError("a fault")
        await stop()

    harness.target.prober.stop = fail  # type: ignore[method-assign]
    harness.shutdown.close(harness.monitored)
    await eventually(lambda: len(harness.failures) >= 3 and server.connected == 1)
    assert [(change.target, change.step) for change in harness.pending] == [("t", "close")]
    is_broken = False
    await eventually(lambda: server.connected == 0)
    await eventually(lambda: list(harness.pending) == [])


async def test_draining_closes_the_poller_at_once_and_the_prober_after_its_pings(
    harness: ShutdownHarness, server: FakeServer
) -> None:
    server.hold()
    await harness.target.probes_due(1)
    await server.arrived("PING", 2)
    harness.shutdown.drain(harness.monitored, [])
    await eventually(lambda: server.connected == 1)
    server.release()
    await eventually(lambda: server.connected == 0)
    assert harness.target.observer.reasons == ["ok", "ok"]


async def test_ping_that_never_ends_by_a_bug_is_a_failure(
    harness: ShutdownHarness, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_shutdown, "DRAIN_GRACE", 0.05 - 2 * 3)  # two timeouts are added
    server.hold()
    await harness.target.probes_due(1)
    harness.target.prober._timer.stop()
    harness.shutdown.drain(harness.monitored, [])
    await eventually(lambda: harness.target.observer.reasons == ["ok", "other"])
    assert harness.target.prober.balanced
    assert "close" in harness.failures


async def test_closing_a_target_cancels_its_drains(harness: ShutdownHarness, server: FakeServer) -> None:
    server.hold()
    await harness.target.probes_due(1)
    harness.shutdown.drain(harness.monitored, [])
    await asyncio.sleep(0)
    harness.shutdown.close(harness.monitored)
    await eventually(lambda: server.connected == 0)
    assert harness.target.prober.in_flight == 0
    assert harness.target.observer.reasons == ["ok"]
    assert metric_value(harness.target.metrics, "redis_operations_in_flight") == 0


async def test_run_that_swallows_its_cancellation_is_cancelled_again(
    harness: ShutdownHarness, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it could connect again after everything was closed."""
    monkeypatch.setattr(target_shutdown, "CLOSE_TIMEOUT", 0.2)

    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    run = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    run.cancel()
    harness.shutdown.close(harness.monitored, [None, run])
    await eventually(lambda: run.done() and server.connected == 0)


async def test_stopping_waits_a_short_time_for_background_tasks(
    harness: ShutdownHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_shutdown, "STOP_TIMEOUT", 0.05)
    has_ended = False

    async def never() -> None:
        nonlocal has_ended
        try:
            await asyncio.Event().wait()
        finally:
            has_ended = True

    harness.shutdown.run_in_background(never())
    await asyncio.sleep(0)
    async with at_most(5):
        await harness.shutdown.stop([harness.monitored])
    await eventually(lambda: has_ended)
    await harness.target.close()
