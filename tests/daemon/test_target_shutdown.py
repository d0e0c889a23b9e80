"""What is closed beside: after the runs are over, each thing by itself, again and again until it works."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from redis_pulse.backoff import Backoff
from redis_pulse.config import ProbeSettings
from redis_pulse.daemon import target_shutdown
from redis_pulse.daemon.pending_changes import PendingChanges, Step
from redis_pulse.daemon.target_shutdown import MonitoredTarget, TargetShutdown
from redis_pulse.polling import TargetPoller
from redis_pulse.sample_store import SampleStore
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually, metric_value
from tests.probe.test_prober import PATIENT


class Around:
    """What ``TargetShutdown`` needs, and one target with a connection of its prober and one of its polls."""

    def __init__(self, url: str) -> None:
        self.failures: list[Step] = []
        self.pending = PendingChanges(self.failures.append)
        self.leaving = TargetShutdown(self.pending, lambda: Backoff(0.01, 0.01))
        self.watched = TargetHarness(url, breaker=PATIENT, probe=ProbeSettings(interval=1, timeout=3))
        one = self.watched
        sampler = TargetPoller(
            one.client,
            [],
            SampleStore(lambda *_: {}, one.clock),
            one.of_target,
            one.heard,
            trouble=lambda: None,
            clock=one.clock,
        )
        self.watch = MonitoredTarget(one.target, one.breaker, one.client, one.prober, sampler, one.of_target)

    async def connect(self) -> None:
        await self.watched.probe_due()
        await self.watched.ended(1)
        await self.watched.client.commands("info", self.watched.clock() + 5).execute("INFO")


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
async def around(server: FakeServer) -> Around:
    around = Around(server.url)
    await around.connect()
    return around


async def test_closing_is_done_beside(around: Around, server: FakeServer) -> None:
    around.leaving.close(around.watch)
    assert server.connected == 2
    await eventually(lambda: server.connected == 0)
    assert around.failures == []


async def test_what_cannot_be_closed_is_tried_again_and_the_other_things_are_closed(
    around: Around, server: FakeServer
) -> None:
    stop, is_broken = around.watched.prober.stop, True

    async def fail() -> None:
        if is_broken:
            raise RuntimeError("a fault")
        await stop()

    around.watched.prober.stop = fail  # type: ignore[method-assign]
    around.leaving.close(around.watch)
    await eventually(lambda: len(around.failures) >= 3 and server.connected == 1)
    assert [(one.target, one.step) for one in around.pending] == [("t", "close")]
    is_broken = False
    await eventually(lambda: server.connected == 0)
    await eventually(lambda: list(around.pending) == [])


async def test_draining_closes_the_polls_at_once_and_the_pings_when_they_have_ended(
    around: Around, server: FakeServer
) -> None:
    server.hold()
    await around.watched.slots(1)
    await server.arrived("PING", 2)
    around.leaving.drain(around.watch, [])
    await eventually(lambda: server.connected == 1)
    server.release()
    await eventually(lambda: server.connected == 0)
    assert around.watched.heard.reasons == ["ok", "ok"]


async def test_a_ping_that_never_ends_by_a_fault_of_ours_is_a_failure(
    around: Around, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_shutdown, "DRAIN_GRACE", 0.05 - 2 * 3)  # less two timeouts
    server.hold()
    await around.watched.slots(1)
    around.watched.prober._timer.stop()
    around.leaving.drain(around.watch, [])
    await eventually(lambda: around.watched.heard.reasons == ["ok", "other"])
    assert around.watched.prober.balanced
    assert "close" in around.failures


async def test_closing_a_target_ends_its_drains(around: Around, server: FakeServer) -> None:
    server.hold()
    await around.watched.slots(1)
    around.leaving.drain(around.watch, [])
    await asyncio.sleep(0)
    around.leaving.close(around.watch)
    await eventually(lambda: server.connected == 0)
    assert around.watched.prober.in_flight == 0
    assert around.watched.heard.reasons == ["ok"]
    assert metric_value(around.watched.instruments, "redis_operations_in_flight") == 0


async def test_a_run_that_swallows_its_cancellation_is_cancelled_again(
    around: Around, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would connect anew after everything was closed."""
    monkeypatch.setattr(target_shutdown, "CLOSE_WITHIN", 0.2)

    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    run = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    run.cancel()
    around.leaving.close(around.watch, [None, run])
    await eventually(lambda: run.done() and server.connected == 0)


async def test_stopping_waits_for_all_of_it_but_not_for_long(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_shutdown, "STOP_WITHIN", 0.05)
    ended = False

    async def never() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            ended = True

    around.leaving.beside(never())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await around.leaving.stop([around.watch])
    await eventually(lambda: ended)
    await around.watched.close()
