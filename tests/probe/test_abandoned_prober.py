"""A target that moves: each of its pings has one outcome, and only the newest one at the new address says how it is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import TargetClient
from redis_pulse.config import PollSettings, ProbeSettings
from redis_pulse.probe import Prober, WallClockMonitor
from redis_pulse.server_info import Target
from tests.fakes import FakeServer, Reply
from tests.harness import RecordingObserver, TargetHarness, eventually, metric_value, target_settings
from tests.probe.test_prober import PATIENT

SLOW = ProbeSettings(interval=1, timeout=3)


class Moving(TargetHarness):
    """A watched target that can be put to another address."""

    def __init__(self, url: str, **changes: Any) -> None:
        super().__init__(url, **changes)
        self.changes = changes
        self.left: list[tuple[Prober, TargetClient, RecordingObserver, asyncio.Task[None]]] = []

    def move(self, url: str, **changes: Any) -> None:
        """Go on at another address; the pings in flight are drained."""
        before, client, heard = self.prober, self.client, self.heard
        self.heard = RecordingObserver()
        self.target = Target.of(target_settings(url, **{**self.changes, **changes}))
        self.breaker = CircuitBreaker(self.target.settings.breaker, self.clock, on_change=lambda *_: None)
        clocks = WallClockMonitor(self.clock, lambda: round(self.clock() * 1e9))
        self.client = TargetClient(self.target, self.breaker, self.heard, clock=self.clock, wall=clocks.wall)
        self.prober = Prober(self.client, self.breaker, self.of_target, self.heard, clocks=clocks, before=before)
        self.left.append((before, client, heard, asyncio.ensure_future(before.drain())))

    @property
    def in_flight(self) -> float:
        """As the page says it."""
        return metric_value(self.instruments, "redis_operations_in_flight", operation="ping")

    @property
    def up(self) -> float:
        return metric_value(self.instruments, "redis_up")

    @property
    def outcomes(self) -> float:
        """Slots that ended, by the counters."""
        reasons = ("timeout", "refused", "reset", "other", "skipped", "protocol", "rejected")
        successes = metric_value(self.instruments, "redis_operation_duration_seconds_count", operation="ping")
        return successes + sum(self.failures(one) for one in reasons) - self.failures("timeout")

    def assert_every_slot_has_one_place(self) -> None:
        assert self.prober.balanced
        assert self.total() == self.outcomes + self.in_flight
        assert metric_value(self.instruments, "redis_exporter_accounting_errors_total") == 0

    async def close(self) -> None:
        for before, client, _, task in self.left:
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


async def in_the_middle(old: FakeServer, **changes: Any) -> Moving:
    """Return a target that is up and has two pings in flight."""
    moving = Moving(old.url, **{"breaker": PATIENT, "probe": SLOW, **changes})
    await moving.probe_due()
    await moving.ended(1)
    old.hold()
    await moving.slots(2)
    await old.arrived("PING", 3)
    assert (moving.up, moving.in_flight) == (1, 2)
    return moving


async def test_replies_that_are_on_their_way_at_a_move_are_successes_and_say_nothing_of_the_new_address(
    old: FakeServer, new: FakeServer
) -> None:
    moving = await in_the_middle(old)
    new.script("PING", "never")
    moving.move(new.url)
    assert (moving.up, moving.in_flight) == (0, 2)
    moving.assert_every_slot_has_one_place()
    old.release()
    before, _, heard, drained = moving.left[0]
    await drained
    assert moving.in_flight == 0
    assert moving.up == 0
    assert (moving.prober.last, moving.prober.last_failure) == (None, None)
    assert (moving.total(), moving.outcomes) == (3, 3)
    assert heard.reasons == ["ok"], "an old address is not reported on"
    moving.assert_every_slot_has_one_place()
    await eventually(lambda: old.connected == 0)
    assert before.in_flight == 0
    await moving.close()


async def test_a_ping_that_has_no_reply_times_out_at_its_deadline_although_the_target_moved(
    old: FakeServer, new: FakeServer
) -> None:
    moving = await in_the_middle(old)
    moving.move(new.url)
    await moving.slots(1)
    await moving.ended(1)
    assert moving.up == 1
    moving.clock.advance(2)
    await moving.left[0][3]
    assert moving.failures("timeout") == 2
    assert moving.up == 1, "the newest outcome at the present address"
    assert moving.prober.last_failure is None
    assert (moving.total(), moving.outcomes, moving.in_flight) == (4, 4, 0)
    assert moving.breaker.failures == 0
    await eventually(lambda: old.connected == 0)
    await moving.close()


async def test_a_connection_that_breaks_while_it_is_drained_ends_its_pings(old: FakeServer, new: FakeServer) -> None:
    moving = await in_the_middle(old)
    moving.move(new.url)
    await old.drop()
    await moving.left[0][3]
    assert moving.failures("reset") == 2
    moving.assert_every_slot_has_one_place()
    await moving.close()


async def test_a_slot_that_waits_for_a_connection_ends_at_the_old_address(new: FakeServer) -> None:
    """Nothing listens there: it is refused, and the new address is not blamed for it."""
    moving = Moving("redis://127.0.0.1:1", breaker=PATIENT, probe=SLOW)
    moving.prober.probe_due(moving.clock())
    moving.move(new.url)
    assert moving.in_flight == 1
    await moving.left[0][3]
    assert moving.failures("refused") == 1
    await moving.probe_due()
    await moving.ended(1)
    assert moving.heard.reasons == ["ok"]
    moving.assert_every_slot_has_one_place()
    await moving.close()


async def test_a_second_move_while_the_first_is_drained_loses_no_slot(old: FakeServer, new: FakeServer) -> None:
    moving = await in_the_middle(old)
    async with FakeServer() as third:
        new.hold()
        moving.move(new.url)
        await moving.slots(1, apart=0.5)
        await new.arrived("PING")
        moving.move(third.url)
        await moving.slots(1, apart=0.1)
        await moving.ended(1)
        assert (moving.up, moving.in_flight) == (1, 3)
        moving.assert_every_slot_has_one_place()
        new.release()
        await moving.left[1][3]
        assert moving.in_flight == 2
        old.release()
        await moving.left[0][3]
        assert (moving.total(), moving.outcomes, moving.in_flight) == (5, 5, 0)
        assert moving.up == 1
        moving.assert_every_slot_has_one_place()
        await moving.close()


async def test_a_target_that_is_removed_while_it_is_drained_drops_its_pings(old: FakeServer, new: FakeServer) -> None:
    moving = await in_the_middle(old)
    moving.move(new.url)
    await moving.close()
    assert moving.in_flight == 0
    assert moving.prober.balanced
    await eventually(lambda: old.connected == 0)


async def test_a_move_to_a_dead_address_shows_the_target_down_for_as_long_as_it_is(old: FakeServer) -> None:
    moving = Moving(old.url, breaker=PATIENT)
    await moving.probe_due()
    await moving.ended(1)
    assert moving.up == 1
    moving.move("redis://127.0.0.1:1")
    assert moving.up == 0
    await moving.probe_due()
    await moving.ended(1)
    assert moving.heard.reasons == ["refused"]
    assert moving.up == 0
    moving.move(old.url)
    await moving.probe_due()
    await moving.ended(1)
    assert moving.up == 1
    await moving.close()


async def test_other_settings_at_the_same_address_leave_up_as_it_is_and_the_drained_pings_count_for_it(
    old: FakeServer,
) -> None:
    """``redis_up`` is the newest outcome at the present address, and that did not change."""
    moving = await in_the_middle(old)
    moving.move(old.url, poll=PollSettings(interval=30))
    assert moving.up == 1
    assert moving.prober.last is not None
    old.script("PING", Reply(b"-LOADING Redis is loading the dataset in memory\r\n"))
    old.release()
    await moving.left[0][3]
    assert moving.up == 0
    assert moving.prober.last_failure is not None
    assert moving.prober.last_failure.reason == "loading"
    assert moving.total() == 3
    assert moving.failures("loading") == 2
    await moving.close()


async def test_the_longest_duration_is_that_of_drained_pings_too(old: FakeServer, new: FakeServer) -> None:
    moving = await in_the_middle(old)
    moving.move(new.url)
    moving.clock.advance(3)
    await moving.left[0][3]
    assert metric_value(moving.instruments, "redis_operation_duration_max_seconds") == 3
    await moving.close()
