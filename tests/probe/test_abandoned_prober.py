"""A target that moves: each of its pings has one outcome. Only results at the new address say whether it is up."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from redis_pulse.client import TargetClient
from redis_pulse.config import PollSettings, ProbeSettings
from redis_pulse.probe import Prober, WallClockMonitor
from tests.fakes import CountingBreaker, FakeServer, Reply
from tests.harness import RecordingObserver, TargetHarness, eventually, metric_value, target_settings
from tests.probe.test_prober import PATIENT

SLOW = ProbeSettings(interval=1, timeout=3)


class MovingTarget(TargetHarness):
    """A monitored target that can move to another address."""

    def __init__(self, url: str, **changes: Any) -> None:
        super().__init__(url, **changes)
        self.changes = changes
        self.before: list[tuple[Prober, TargetClient, RecordingObserver, asyncio.Task[None]]] = []

    def move(self, url: str, **changes: Any) -> None:
        """Continue at another address. The pings in flight are drained."""
        before, client, observer = self.prober, self.client, self.observer
        self.observer = RecordingObserver()
        self.target = target_settings(url, **{**self.changes, **changes})
        self.breaker = CountingBreaker(self.target.breaker, self.clock, on_change=lambda *_: None)
        clocks = WallClockMonitor(self.clock, lambda: round(self.clock() * 1e9))
        self.client = TargetClient(self.target, self.breaker, self.observer, clock=self.clock, wall_clock=clocks.wall)
        self.prober = Prober(
            self.client, self.breaker, self.target_metrics, self.observer, wall_clock=clocks, predecessor=before
        )
        self.before.append((before, client, observer, asyncio.ensure_future(before.drain())))

    @property
    def in_flight(self) -> float:
        """The published number of pings in flight."""
        return metric_value(self.metrics, "redis_operations_in_flight", operation="ping")

    @property
    def up(self) -> float:
        return metric_value(self.metrics, "redis_up")

    @property
    def outcomes(self) -> float:
        """The number of probes that ended, according to the counters."""
        reasons = ("timeout", "refused", "reset", "other", "skipped", "protocol", "rejected")
        successes = metric_value(self.metrics, "redis_operation_duration_seconds_count", operation="ping")
        return successes + sum(self.failures(one) for one in reasons) - self.failures("timeout")

    def assert_every_probe_is_accounted_for(self) -> None:
        assert self.prober.balanced
        assert self.total() == self.outcomes + self.in_flight
        assert metric_value(self.metrics, "redis_exporter_accounting_errors_total") == 0

    async def close(self) -> None:
        for before, client, _, task in self.before:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await before.stop()
            await client.aclose()
        await super().close()


@pytest.fixture
async def old() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
async def new() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def target_with_pings_in_flight(old: FakeServer, **changes: Any) -> MovingTarget:
    """Return a target that is up and has two pings in flight."""
    moving = MovingTarget(old.url, **{"breaker": PATIENT, "probe": SLOW, **changes})
    await moving.probe_due()
    await moving.ended(1)
    old.hold()
    await moving.probes_due(2)
    await old.arrived("PING", 3)
    assert (moving.up, moving.in_flight) == (1, 2)
    return moving


async def test_reply_from_the_old_address_is_a_success_but_sets_nothing_up(old: FakeServer, new: FakeServer) -> None:
    moving = await target_with_pings_in_flight(old)
    new.script("PING", "never")
    moving.move(new.url)
    assert (moving.up, moving.in_flight) == (0, 2)
    moving.assert_every_probe_is_accounted_for()
    old.release()
    before, _, observer, drained = moving.before[0]
    await drained
    assert moving.in_flight == 0
    assert moving.up == 0
    assert (moving.prober.last, moving.prober.last_failure) == (None, None)
    assert (moving.total(), moving.outcomes) == (3, 3)
    assert observer.reasons == ["ok"], "results of an old address are not reported"
    moving.assert_every_probe_is_accounted_for()
    await eventually(lambda: old.connected == 0)
    assert before.in_flight == 0
    await moving.close()


async def test_ping_without_reply_times_out_although_the_target_moved(old: FakeServer, new: FakeServer) -> None:
    moving = await target_with_pings_in_flight(old)
    moving.move(new.url)
    await moving.probes_due(1)
    await moving.ended(1)
    assert moving.up == 1
    moving.clock.advance(2)
    await moving.before[0][3]
    assert moving.failures("timeout") == 2
    assert moving.up == 1, "the newest result at the present address"
    assert moving.prober.last_failure is None
    assert (moving.total(), moving.outcomes, moving.in_flight) == (4, 4, 0)
    assert moving.breaker.failures == 0
    await eventually(lambda: old.connected == 0)
    await moving.close()


async def test_connection_lost_while_draining_fails_its_pings(old: FakeServer, new: FakeServer) -> None:
    moving = await target_with_pings_in_flight(old)
    moving.move(new.url)
    await old.drop()
    await moving.before[0][3]
    assert moving.failures("reset") == 2
    moving.assert_every_probe_is_accounted_for()
    await moving.close()


async def test_probe_that_waits_for_a_connection_ends_at_the_old_address(new: FakeServer) -> None:
    """Nothing listens there: it is refused, and that does not affect the new address."""
    moving = MovingTarget("redis://127.0.0.1:1", breaker=PATIENT, probe=SLOW)
    moving.prober.probe_due(moving.clock())
    moving.move(new.url)
    assert moving.in_flight == 1
    await moving.before[0][3]
    assert moving.failures("refused") == 1
    await moving.probe_due()
    await moving.ended(1)
    assert moving.observer.reasons == ["ok"]
    moving.assert_every_probe_is_accounted_for()
    await moving.close()


async def test_second_move_while_the_first_is_drained_loses_no_probe(old: FakeServer, new: FakeServer) -> None:
    moving = await target_with_pings_in_flight(old)
    async with FakeServer() as third:
        new.hold()
        moving.move(new.url)
        await moving.probes_due(1, apart=0.5)
        await new.arrived("PING")
        moving.move(third.url)
        await moving.probes_due(1, apart=0.1)
        await moving.ended(1)
        assert (moving.up, moving.in_flight) == (1, 3)
        moving.assert_every_probe_is_accounted_for()
        new.release()
        await moving.before[1][3]
        assert moving.in_flight == 2
        old.release()
        await moving.before[0][3]
        assert (moving.total(), moving.outcomes, moving.in_flight) == (5, 5, 0)
        assert moving.up == 1
        moving.assert_every_probe_is_accounted_for()
        await moving.close()


async def test_target_removed_while_draining_drops_its_pings(old: FakeServer, new: FakeServer) -> None:
    moving = await target_with_pings_in_flight(old)
    moving.move(new.url)
    await moving.close()
    assert moving.in_flight == 0
    assert moving.prober.balanced
    await eventually(lambda: old.connected == 0)


async def test_move_to_a_dead_address_shows_the_target_down(old: FakeServer) -> None:
    moving = MovingTarget(old.url, breaker=PATIENT)
    await moving.probe_due()
    await moving.ended(1)
    assert moving.up == 1
    moving.move("redis://127.0.0.1:1")
    assert moving.up == 0
    await moving.probe_due()
    await moving.ended(1)
    assert moving.observer.reasons == ["refused"]
    assert moving.up == 0
    moving.move(old.url)
    await moving.probe_due()
    await moving.ended(1)
    assert moving.up == 1
    await moving.close()


async def test_new_settings_at_the_same_address_keep_up_and_count_drained_pings(
    old: FakeServer,
) -> None:
    """``redis_up`` is the newest result at the present address, and the address did not change."""
    moving = await target_with_pings_in_flight(old)
    moving.move(old.url, poll=PollSettings(interval=30))
    assert moving.up == 1
    assert moving.prober.last is not None
    old.script("PING", Reply(b"-LOADING Redis is loading the dataset in memory\r\n"))
    old.release()
    await moving.before[0][3]
    assert moving.up == 0
    assert moving.prober.last_failure is not None
    assert moving.prober.last_failure.reason == "loading"
    assert moving.total() == 3
    assert moving.failures("loading") == 2
    await moving.close()


async def test_longest_duration_includes_drained_pings(old: FakeServer, new: FakeServer) -> None:
    moving = await target_with_pings_in_flight(old)
    moving.move(new.url)
    moving.clock.advance(3)
    await moving.before[0][3]
    assert metric_value(moving.metrics, "redis_operation_duration_max_seconds") == 3
    await moving.close()
