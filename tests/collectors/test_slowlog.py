"""Slow commands are counted once, by known names only, and no change of the server makes a jump."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.slowlog import (
    COLLECTOR,
    COMMANDS,
    KEEP_SERIES_FOR,
    USUAL,
    SlowLogCollector,
    SlowLogOptions,
)
from redis_pulse.collectors.support.labels import OVERFLOW
from redis_pulse.errors import OperationTimeoutError, PermissionDeniedError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, SlowCommand, SlowCommands, UnreadableField
from redis_pulse.server_info import Server
from tests import recordings
from tests.fakes import FakeCommands, ManualClock

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)
#: A Unix time of the server.
NOON = 1795380000


def entry(number: int, command: bytes = b"KEYS", client: bytes = b"", *, at: int = NOON, usec: int = 20_000) -> Any:
    """Return an entry as servers send it, with a secret among its arguments."""
    return [number, at, usec, [command, b"hunter2"], b"10.0.0.9:53312", client]


def recorded(length: Any, get: Callable[[int], Any]) -> dict[str | tuple[str | int | bytes, ...], Any]:
    """Return the replies of a server: the length of its log, and ``get(count)``."""
    gets: dict[str | tuple[str | int | bytes, ...], Any] = {}
    for count in range(1, 129):
        gets["SLOWLOG", "GET", count] = get(count)
    return {**gets, "SLOWLOG LEN": length}


class FakeLog:
    """The slow log of a server, the newest entry first, and the polls of one collector."""

    def __init__(self, *entries: Any, **options: Any) -> None:
        self.clock = ManualClock()
        self.collector = SlowLogCollector(self.clock).for_target()
        self.options = SlowLogOptions(**options)
        self.server = Server(run_id="a")
        self.entries = list(entries)
        self.items: list[CollectorItem] = []
        self.requests: list[str] = []

    async def poll(self) -> None:
        log = self.entries
        commands = FakeCommands(recorded(len(log), lambda count: log[:count]))
        self.items = list(await self.collector.collect(self.server, commands, self.options))
        self.requests = commands.requests

    async def add(self, *entries: Any) -> None:
        """Add entries to the log, the oldest first, and poll."""
        self.entries[:0] = reversed(entries)
        await self.poll()

    def values(self, metric: str = "slow_commands_total") -> dict[str, float]:
        """Return the values by label, without zeros."""
        samples = [one for one in self.items if isinstance(one, Sample) and one.metric.name == metric]
        assert len({one.labels for one in samples}) == len(samples), "duplicate series"
        return {one.labels[0]: one.value for one in samples if one.value}

    @property
    def found(self) -> list[SlowCommands]:
        return [one for one in self.items if isinstance(one, SlowCommands)]

    @property
    def unreadable(self) -> list[str]:
        return [one.location for one in self.items if isinstance(one, UnreadableField)]


async def read(length: Any, entries: Any) -> tuple[dict[str, float], list[str]]:
    commands = FakeCommands({"SLOWLOG LEN": length, "SLOWLOG GET 1": entries})
    items = list(await COLLECTOR.for_target().collect(Server(), commands, SlowLogOptions()))
    values = {sample.metric.full_name: sample.value for sample in items if isinstance(sample, Sample)}
    for name in (
        "redis_slow_commands_total",
        "redis_slow_command_seconds_total",
        "redis_slow_commands_by_client_total",
    ):
        assert values.pop(name) == 0
    return values, [part.location for part in items if isinstance(part, UnreadableField)]


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    items = list(await COLLECTOR.for_target().collect(Server(), recordings.commands(server), SlowLogOptions()))
    values = {one.metric.name: one.value for one in items if isinstance(one, Sample) and not one.labels}
    assert len(values) == 3
    assert all(isinstance(one, Sample) for one in items)
    assert (values["slowlog_length"], values["slowlog_last_id"]) == (1, 0)
    assert 0.01 < values["last_slow_execution_duration_seconds"] < 5


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_real_entry_that_is_new_is_counted(server: str) -> None:
    reply = recordings.nested(server, "slowlog-get")
    log = FakeLog()
    await log.poll()
    await log.add(reply[0])
    assert log.values() == {"eval": 1}
    assert log.values("slow_command_seconds_total") == {"eval": reply[0][2] / 1e6}
    assert log.values("slow_commands_by_client_total") == {"": 1}


async def test_newest_entry_is_published_in_seconds() -> None:
    values, unreadable = await read(12, [[41, 1795380000, 12071, [b"GET", b"k"], b"127.0.0.1:1", b""]])
    assert values == {
        "redis_slowlog_length": 12,
        "redis_slowlog_last_id": 41,
        "redis_last_slow_execution_duration_seconds": 0.012071,
    }
    assert not unreadable


async def test_empty_slow_log_gives_zeros() -> None:
    values, _ = await read(0, [])
    assert values["redis_slowlog_last_id"] == 0
    assert values["redis_last_slow_execution_duration_seconds"] == 0


async def test_unreadable_part_does_not_affect_other_parts() -> None:
    values, unreadable = await read(b"many", [[41, None, b"fast"]])
    assert values == {"redis_slowlog_last_id": 41}
    assert unreadable == ["SLOWLOG LEN/length", "SLOWLOG GET/duration"]


@given(ODD, ODD)
async def test_any_reply_is_read_without_an_exception(length: Any, entries: Any) -> None:
    values, unreadable = await read(length, entries)
    assert len(values) + len(unreadable) == 3


@given(st.lists(st.lists(ODD | st.just(entry(3)), max_size=4) | st.lists(ODD, max_size=3), max_size=4))
async def test_any_sequence_of_replies_lets_no_counter_fall(replies: list[Any]) -> None:
    collector = COLLECTOR.for_target()
    before: dict[tuple[str, tuple[str, ...]], float] = {}
    for reply in replies:
        commands = FakeCommands(recorded(len(reply), partial(lambda same, _: same, reply)))
        items = list(await collector.collect(Server(), commands, SlowLogOptions()))
        now = {(one.metric.name, one.labels): one.value for one in items if isinstance(one, Sample) and one.labels}
        assert all(now[series] >= value for series, value in before.items())
        before = now


async def test_entries_before_the_first_poll_are_not_counted() -> None:
    log = FakeLog(entry(5), entry(4))
    await log.poll()
    assert (log.values(), log.found) == ({}, [])
    assert len(log.requests) == 2, "only the newest entry is read while none is new"


async def test_usual_slow_commands_begin_at_zero() -> None:
    """Otherwise ``increase()`` would not count the first KEYS."""
    log = FakeLog()
    await log.poll()
    samples = [one for one in log.items if isinstance(one, Sample) and one.metric is COMMANDS]
    assert {one.labels[0]: one.value for one in samples} == dict.fromkeys((*USUAL, OVERFLOW), 0.0)


async def test_new_entries_are_counted_by_command_and_client() -> None:
    log = FakeLog(entry(5))
    await log.poll()
    new = (entry(6, usec=830_000, client=b"cart-worker"), entry(7, b"get"), entry(8, b"Keys", client=b"cart-worker"))
    await log.add(*new)
    assert log.values() == {"keys": 2, "get": 1}
    assert log.values("slow_command_seconds_total") == {"keys": 0.85, "get": 0.02}
    assert log.values("slow_commands_by_client_total") == {"cart-worker": 2, "": 1}
    assert log.found == [
        SlowCommands(
            (
                SlowCommand("keys", 0.83, "cart-worker", 6),
                SlowCommand("get", 0.02, "", 7),
                SlowCommand("keys", 0.02, "cart-worker", 8),
            ),
            unread=0,
        )
    ]
    await log.poll()
    assert (log.values(), log.found) == ({"keys": 2, "get": 1}, []), "an entry counts once"


async def test_arguments_and_addresses_appear_nowhere() -> None:
    log = FakeLog()
    await log.poll()
    await log.add(entry(0), entry(1, b"hunter2"), entry(2, b"CONFIG"), entry(3, client=b"10.1.2.3:99"))
    assert "hunter2" not in repr(log.items)
    assert "10." not in repr([one for one in log.items if not isinstance(one, Sample) or one.labels])
    assert log.values() == {"keys": 2, "other": 1, "config": 1}
    assert log.values("slow_commands_by_client_total") == {"": 3, "other": 1}


async def test_entry_of_redis_3_without_client_is_counted() -> None:
    log = FakeLog()
    await log.poll()
    await log.add([0, NOON, 15_000, [b"SORT", b"list"]])
    assert (log.values(), log.values("slow_commands_by_client_total")) == ({"sort": 1}, {"": 1})
    assert not log.unreadable


async def test_unreadable_entries_are_counted_and_do_not_affect_others() -> None:
    log = FakeLog(entry(5))
    await log.poll()
    await log.add([6, b"then", None, None], entry(7, b"\xff\x00"), [b"x"], entry(9))
    assert log.values() == {"other": 2, "keys": 1, OVERFLOW: 1}
    assert log.unreadable == ["SLOWLOG GET/entries", "SLOWLOG GET/duration (sum)"]


async def test_more_entries_than_are_read_are_counted_as_overflow() -> None:
    """Their number is known from the ids, their names are not."""
    log = FakeLog(entry(5), max_entries=10)
    await log.poll()
    await log.add(*(entry(number) for number in range(6, 106)))
    assert log.values() == {"keys": 10, OVERFLOW: 90}
    assert log.values("slow_commands_by_client_total") == {"": 10, OVERFLOW: 90}
    assert log.values("slow_command_seconds_total") == {"keys": pytest.approx(0.2)}
    assert OverflowCount(COMMANDS.location, 90) in log.items
    assert log.found[0].unread == 90


async def test_log_that_was_full_of_new_entries_reports_the_dropped_ones() -> None:
    log = FakeLog(entry(5))
    await log.poll()
    log.entries = [entry(number) for number in range(300, 172, -1)]
    await log.poll()
    assert log.values() == {"keys": 128, OVERFLOW: 167}


async def test_reply_longer_than_requested_is_cut() -> None:
    log = FakeLog(entry(0), max_entries=10)
    await log.poll()
    long = [entry(number) for number in range(10_000, 0, -1)]
    commands = FakeCommands(recorded(len(long), lambda _: long))
    log.items = list(await log.collector.collect(log.server, commands, log.options))
    assert log.values() == {"keys": 10, OVERFLOW: 9_990}


async def test_slowlog_reset_keeps_the_position() -> None:
    """The ids of Redis and Valkey go on after a reset."""
    log = FakeLog(entry(5))
    await log.poll()
    log.entries = []
    await log.poll()
    assert log.values() == {}
    await log.add(entry(6), entry(7))
    assert log.values() == {"keys": 2}


async def test_ids_that_go_back_count_nothing_and_then_go_on() -> None:
    log = FakeLog(entry(500))
    await log.poll()
    log.entries = [entry(1), entry(0)]
    await log.poll()
    assert (log.values(), log.found) == ({}, [])
    await log.add(entry(2))
    assert log.values() == {"keys": 1}


async def test_another_run_id_makes_no_jump() -> None:
    """The log of the new primary may hold entries of years, with higher ids."""
    log = FakeLog(entry(5))
    await log.poll()
    await log.add(entry(6))
    log.server = Server(run_id="b")
    log.entries = [entry(number) for number in range(9_000, 8_900, -1)]
    await log.poll()
    assert (log.values(), log.found) == ({"keys": 1}, [])
    await log.add(entry(9_001, b"SORT"))
    assert log.values() == {"keys": 1, "sort": 1}


async def other_server(before: Sequence[Any], after: Sequence[Any], **fields: str) -> FakeLog:
    """Poll two servers with one run_id: the failover came after the INFO of the second poll."""
    log = FakeLog(*before)
    log.server.fields = fields
    await log.poll()
    log.entries = list(after)
    await log.poll()
    return log


async def test_failover_within_a_poll_makes_no_jump() -> None:
    old = [entry(10)]
    same_id = [entry(number, at=NOON - number) for number in range(20, 0, -1)]
    assert (await other_server(old, same_id)).values() == {}
    other_command = [entry(12), entry(11), entry(10, b"SORT")]
    assert (await other_server(old, other_command)).values() == {}
    older = [entry(number, at=NOON - 86_400) for number in range(900, 800, -1)]
    assert (await other_server(old, older)).values() == {}
    assert (await other_server([], older, server_time_usec=f"{NOON}000000")).values() == {}
    same_newest_id = [entry(10, b"SORT")]
    log = await other_server(old, same_newest_id)
    await log.add(entry(11), entry(12))
    assert log.values() == {"keys": 2}, "the log of the new server is followed at once"
    assert (await other_server(old, [entry(2**62)])).values() == {}


async def test_clock_that_is_years_off_does_not_matter() -> None:
    log = FakeLog(entry(5, at=12))
    await log.poll()
    await log.add(entry(6, at=13))
    await log.add(entry(7, at=2**40), entry(8, at=14))
    assert log.values() == {"keys": 3}


async def test_names_beyond_the_limit_are_summed_and_series_are_kept() -> None:
    log = FakeLog(max_clients=2)
    await log.poll()
    await log.add(entry(0, client=b"a"), entry(1, client=b"b"), entry(2, client=b"b"))
    assert log.values("slow_commands_by_client_total") == {"b": 2, OVERFLOW: 1}
    assert OverflowCount(COMMANDS.location, 1) in log.items
    await log.add(entry(3, client=b"a"), entry(4, client=OVERFLOW.encode()))
    assert log.values("slow_commands_by_client_total") == {"b": 2, OVERFLOW: 3}
    log.clock.advance(KEEP_SERIES_FOR + 1)
    await log.add(entry(5, client=b"a"))
    assert log.values("slow_commands_by_client_total") == {"a": 1, OVERFLOW: 3}


async def test_usual_commands_leave_series_for_others() -> None:
    log = FakeLog(max_commands=4)
    await log.poll()
    await log.add(entry(0, b"GET"), entry(1, b"SORT"), entry(2, b"SET"))
    assert log.values() == {"get": 1, "sort": 1, OVERFLOW: 1}


async def test_failed_request_counts_nothing_until_the_next_poll() -> None:
    log = FakeLog(entry(5))
    await log.poll()
    log.entries = [entry(7), entry(6), entry(5)]
    commands = FakeCommands(recorded(3, lambda count: [entry(7)] if count == 1 else OperationTimeoutError("x")))
    with pytest.raises(OperationTimeoutError):
        await log.collector.collect(log.server, commands, log.options)
    await log.poll()
    assert log.values() == {"keys": 2}


async def test_targets_have_their_own_counters() -> None:
    log = FakeLog()
    await log.poll()
    await log.add(entry(0))
    log.collector = copy.copy(log.collector).for_target()
    await log.poll()
    assert log.values() == {}


async def test_error_is_raised() -> None:
    with pytest.raises(PermissionDeniedError):
        await read(PermissionDeniedError("no permission"), [])


def test_sentinel_has_no_slow_log() -> None:
    assert COLLECTOR.applies(Server(mode="standalone"))
    assert not COLLECTOR.applies(Server(mode="sentinel"))
