"""The sampler keeps to its budgets, survives every error, and sends nothing that changes when a key was used."""

import random
from dataclasses import replace
from typing import Any

import pytest

from redis_pulse.errors import (
    ConnectionResetByTargetError,
    KeyDeniedError,
    LoadingError,
    TargetError,
    TooLargeError,
    UnknownCommandError,
)
from redis_pulse.keyspace import KeyspaceSettings, KeyspaceState, ServerFacts
from redis_pulse.keyspace_sampling.sampler import KeyspaceSampler
from tests.fake_exchange import DENIED, FakeExchange
from tests.fakes import ManualClock

LENGTHS = ("STRLEN", "LLEN", "HLEN", "SCARD", "ZCARD", "XLEN")


class Harness:
    """A sampler with a fake server and a manual clock."""

    def __init__(self, keys: dict[int, dict[bytes, int]], version: str = "7.2.4", **settings: Any) -> None:
        self.clock = ManualClock()
        self.server = FakeExchange(keys, self.clock)
        self.state = KeyspaceState(KeyspaceSettings(**settings), clock=self.clock, wall=self.clock)
        self.facts = ServerFacts(run_id="one", software="redis", version=version, role="master")
        self.reason = ""
        self.slept: list[float] = []
        self.observe()
        self.sampler = KeyspaceSampler(
            self.state,
            self.server,
            is_allowed=lambda: self.reason,
            clock=self.clock,
            sleep=self.sleep,
            choice=random.Random(4),
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)

    def observe(self, **changes: Any) -> None:
        self.facts = replace(self.facts, keys={db: len(keys) for db, keys in self.server.keys.items()}, **changes)
        self.state.observe(self.facts)

    async def turns(self, count: int) -> None:
        for _ in range(count):
            started = self.clock()
            await self.sampler.run()
            self.clock.advance(max(0.0, started + 1.0 - self.clock()))


def sessions(count: int, size: int = 200) -> dict[bytes, int]:
    return {b"session:%016x" % number: size for number in range(count)}


async def test_a_turn_looks_at_as_many_keys_as_configured() -> None:
    harness = Harness({0: sessions(5000)}, keys_per_second=100.0, server_share=0.1)
    await harness.turns(30)
    looked_at = harness.state.draws_total + harness.state.walk.walked
    assert 2700 <= looked_at <= 3100
    assert harness.state.keys_per_second == pytest.approx(100, rel=0.1)


async def test_budget_of_the_server_reduces_the_rate_when_keys_are_expensive() -> None:
    """Half a percent of the main thread. A command of this server takes 50 microseconds."""
    harness = Harness({0: sessions(5000)}, keys_per_second=100.0, server_share=0.005)
    harness.server.command_seconds = 50e-6
    await harness.turns(120)
    before = harness.server._cpu
    await harness.turns(60)
    assert (harness.server._cpu - before) / 60 < 0.0075
    assert harness.state.server_share == pytest.approx(0.005, rel=0.3)


async def test_pipelines_are_short() -> None:
    harness = Harness({0: sessions(5000)}, keys_per_second=1000.0, server_share=0.1)
    await harness.turns(20)
    assert max(harness.server.batches) <= 42  # ten keys, and INFO around them
    harness.server.command_seconds = 20e-6
    await harness.turns(20)
    harness.server.batches.clear()
    await harness.turns(10)
    assert max(harness.server.batches) <= 10


async def test_no_command_that_touches_a_key_is_sent() -> None:
    harness = Harness({0: sessions(300) | {b"big": 10**7}})
    await harness.turns(60)
    assert harness.state.walk.passes >= 1
    allowed = {"RANDOMKEY", "TYPE", "MEMORY", "PTTL", "OBJECT", "SCAN", "DBSIZE", "INFO"}
    assert {str(args[0]) for _, args in harness.server.sent} <= allowed


async def test_large_key_is_found_by_the_walk() -> None:
    harness = Harness({0: sessions(3000) | {b"big": 10**7}})
    await harness.turns(60)
    assert harness.state.report(show_keys=True).largest[0].name == b"big"


async def test_all_databases_are_looked_at() -> None:
    harness = Harness({0: sessions(2000), 3: sessions(100), 9: sessions(5)})
    await harness.turns(60)
    assert {usage.db for usage in harness.state.report().patterns} == {0, 3, 9}
    assert harness.state.walk.passes >= 1


async def test_walk_continues_after_a_lost_connection() -> None:
    harness = Harness({0: sessions(5000)})
    await harness.turns(20)
    cursor, walked = harness.state.walk.cursor, harness.state.walk.walked
    assert cursor
    for command in ("SCAN", "RANDOMKEY", "MEMORY"):
        harness.server.failing[command] = ConnectionResetByTargetError("reset")
    await harness.turns(5)
    assert (harness.state.walk.cursor, harness.state.walk.walked) == (cursor, walked)
    assert "reset" in harness.state.paused
    harness.server.failing.clear()
    await harness.turns(20)
    assert harness.state.walk.walked > walked
    assert harness.state.paused == ""


async def test_pauses_grow_while_the_server_loads() -> None:
    harness = Harness({0: sessions(500)})
    harness.server.refused["RANDOMKEY"] = harness.server.refused["SCAN"] = LoadingError
    await harness.turns(300)
    assert len(harness.server.batches) < 60
    assert harness.state.capabilities.randomkey


async def test_nothing_is_sent_while_it_is_not_allowed() -> None:
    harness = Harness({0: sessions(500)})
    harness.reason = "paused: the server does not reply to pings"
    await harness.turns(5)
    assert harness.server.sent == []
    assert harness.reason in harness.state.report().notes


async def test_slow_server_ends_the_turn() -> None:
    harness = Harness({0: sessions(500)})
    harness.server.round_trip = 0.2
    await harness.turns(1)
    assert len(harness.server.batches) <= 3


async def test_empty_server_gets_no_command() -> None:
    harness = Harness({})
    await harness.turns(5)
    assert harness.server.sent == []
    assert harness.state.report().certainty == "The server has no keys."


async def test_key_that_vanishes_between_two_commands_is_no_draw() -> None:
    keys = sessions(500)
    harness = Harness({0: keys})

    def delete(args: tuple[Any, ...]) -> None:
        if args[0] == "TYPE" and len(keys) > 100:
            keys.pop(args[1], None)

    harness.server.before_reply = delete
    await harness.turns(5)
    assert harness.state.draws_total < harness.server.count("RANDOMKEY")
    assert {usage.type for usage in harness.state.report().patterns} <= {"string"}


async def test_flush_between_two_polls_is_noticed() -> None:
    harness = Harness({0: sessions(500)})
    await harness.turns(10)
    harness.server.keys[0].clear()
    await harness.turns(10)
    assert harness.state.keys == {}
    assert harness.state.report().patterns == ()


async def test_name_that_is_too_long_pauses_long_and_is_counted() -> None:
    """The server sends the whole name, of up to 512 MB. Asking again at once would cost it as much again."""
    harness = Harness({0: sessions(500)})
    harness.server.failing["RANDOMKEY"] = TooLargeError("a reply of 512000000 bytes")
    await harness.turns(1)
    assert harness.state.oversized == 1
    sent = len(harness.server.sent)
    await harness.turns(9)
    assert len(harness.server.sent) == sent
    await harness.turns(600)
    assert 2 < harness.state.oversized < 40
    assert any("too long to read" in note for note in harness.state.report().notes)


async def test_denied_memory_usage_leaves_counts_and_lengths_under_no_touch() -> None:
    harness = Harness({0: sessions(500) | {b"big": 10**7}})
    harness.server.refused["MEMORY"] = DENIED
    await harness.turns(60)
    report = harness.state.report()
    assert report.memory is None
    assert report.patterns[0].keys.value == pytest.approx(500, abs=5)
    assert (report.largest[0].memory, report.largest[0].length) == (None, 10**7)
    assert any("ordered by length" in note for note in report.notes)
    first_length = next(at for at, (_, args) in enumerate(harness.server.sent) if args[0] in LENGTHS)
    assert ("CLIENT", "NO-TOUCH", "ON") in [args for _, args in harness.server.sent[:first_length]]


@pytest.mark.parametrize("version", ["7.0.15", "6.2.14"])
async def test_old_server_gets_no_command_for_lengths(version: str) -> None:
    harness = Harness({0: sessions(500)}, version=version)
    harness.server.refused["MEMORY"] = DENIED
    await harness.turns(30)
    assert not any(args[0] in LENGTHS for _, args in harness.server.sent)
    assert any("only keys are counted" in note for note in harness.state.report().notes)


async def test_server_that_refuses_no_touch_gets_no_command_for_lengths() -> None:
    harness = Harness({0: sessions(500)})
    harness.server.refused = {"MEMORY": DENIED, "CLIENT": DENIED}
    await harness.turns(60)
    assert not any(args[0] in LENGTHS for _, args in harness.server.sent)
    assert harness.server.count("CLIENT") == 1
    assert {"memory|usage", "client|no-touch"} <= harness.state.capabilities.denied


async def test_denied_command_is_sent_again_after_five_minutes() -> None:
    harness = Harness({0: sessions(500)})
    harness.server.refused["PTTL"] = DENIED
    await harness.turns(100)
    first = harness.server.count("PTTL")
    assert first <= 10
    harness.server.refused.clear()
    await harness.turns(250)
    assert harness.server.count("PTTL") > first
    assert harness.state.capabilities.denied == set()


async def test_key_that_is_denied_alone_disables_nothing() -> None:
    harness = Harness({0: sessions(500)})
    harness.server.refused["PTTL"] = KeyDeniedError
    await harness.turns(10)
    assert harness.state.capabilities.pttl


async def test_server_without_randomkey_draws_from_the_walk() -> None:
    harness = Harness({0: sessions(500)})
    harness.server.refused["RANDOMKEY"] = UnknownCommandError
    await harness.turns(30)
    assert harness.state.draws_total > 100
    assert harness.server.count("RANDOMKEY") <= 10
    assert any("take the place of random draws" in note for note in harness.state.report().notes)


async def test_server_without_scan_is_only_drawn_from() -> None:
    harness = Harness({0: sessions(500)})
    harness.server.refused["SCAN"] = UnknownCommandError
    await harness.turns(30)
    assert harness.server.count("SCAN") == 1
    assert harness.state.draws_total > 2000


async def test_key_in_another_node_during_resharding_costs_only_itself() -> None:
    """While a slot moves, the node that drew the key redirects commands for it."""
    harness = Harness({0: sessions(500)})
    moved = {b"session:%016x" % number for number in range(250)}

    def reply(args: tuple[Any, ...]) -> None:
        harness.server.refused = {"TYPE": TargetError} if args[-1] in moved else {}

    harness.server.before_reply = reply
    await harness.turns(20)
    assert harness.state.paused == ""
    assert harness.state.draws_total > 100


async def test_large_key_is_measured_again_and_dropped_when_it_is_gone() -> None:
    keys = sessions(3000) | {b"big": 10**7}
    harness = Harness({0: keys})
    await harness.turns(60)
    assert harness.state.report().largest[0].memory == 10**7
    del keys[b"big"]
    await harness.turns(1200)
    assert all(key.memory != 10**7 for key in harness.state.report().largest)
