import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.support.cardinality import DistinctCounter
from redis_pulse.collectors.support.scan import (
    KeyScan,
    ScanContext,
    ScanOptions,
    ScanSet,
    keys_in,
    next_count,
    scan_metrics,
)
from redis_pulse.collectors.support.time_budget import TimeBudget, TimeBudgetOptions
from redis_pulse.config.option_types import DatabaseKey
from redis_pulse.errors import LoadingError, PermissionDeniedError, TargetError
from redis_pulse.metric import UnreadableField
from redis_pulse.server_info import Server
from tests.fake_keyspace import FakeKeyspace, fake_sleep, time_budget
from tests.fakes import ManualClock

ALL = DatabaseKey(0, "*")
METRICS = scan_metrics("test")
KEYS = {b"key:%d" % number: b"x" for number in range(1000)}
SERVER = Server(run_id="one", fields={"db0": "keys=1000,expires=0,avg_ttl=0"})
ODD = st.none() | st.integers() | st.binary(max_size=3) | st.lists(st.integers() | st.binary(max_size=3), max_size=3)


async def add_keys(counter: DistinctCounter, keys: list[bytes]) -> None:
    counter.add(keys)


def new_context(space: FakeKeyspace, server: Server = SERVER, **options: Any) -> ScanContext:
    parsed = ScanOptions(**{"pause": 0, **options})
    return ScanContext(server, space, parsed, time_budget(space.clock, parsed))


async def resume(
    scan: KeyScan[DistinctCounter], space: FakeKeyspace, server: Server = SERVER, **options: Any
) -> UnreadableField | None:
    """Run one scan until its budget is exhausted."""
    return await scan.resume(new_context(space, server, **options), add_keys)


def keyspace(**overrides: Any) -> FakeKeyspace:
    """Return a keyspace in which each command takes a millisecond."""
    return FakeKeyspace({0: KEYS}, seconds_per_command=0.001, **overrides)


def new_scan(space: FakeKeyspace, pattern: DatabaseKey = ALL) -> KeyScan[DistinctCounter]:
    return KeyScan(pattern, DistinctCounter, space.clock)


async def test_pass_with_enough_time_is_complete_after_one_run() -> None:
    space = keyspace()
    scan = new_scan(space)
    await resume(scan, space)
    assert scan.latest is not None
    assert (scan.latest.count, scan.between_passes, len(space.sent)) == (1000, True, 10)
    assert [sample.value for sample in scan.samples(METRICS)] == [1, pytest.approx(0.01), 0]


async def test_pass_continues_in_the_next_run_and_is_published_when_complete() -> None:
    space = keyspace()
    scan = new_scan(space)
    await resume(scan, space, budget=0.0035)
    assert scan.latest is None
    assert [sample.value for sample in scan.samples(METRICS)] == [0.4]
    space.clock.advance(15)
    await resume(scan, space, budget=0.0035)
    assert scan.progress == 0.8
    await resume(scan, space, budget=0.0015)
    assert scan.latest is not None
    assert scan.latest.count == 1000
    assert scan.seconds == pytest.approx(15.01)
    space.clock.advance(5)
    await resume(scan, space, budget=0.0005)
    progress, duration, age = (sample.value for sample in scan.samples(METRICS))
    assert (progress, duration, age) == (0.1, pytest.approx(15.01), pytest.approx(5.001))
    assert scan.latest.count == 1000  # of the previous pass


@pytest.mark.parametrize(("pattern", "steps"), [("*", [100] * 10), ("key:99*", [100, 200, 300, 300, 300])])
async def test_steps_grow_when_they_return_few_keys(pattern: str, steps: list[int]) -> None:
    """The cost for the server grows with the walked keys, the cost for the exporter with the returned keys."""
    space = keyspace()
    await resume(new_scan(space, DatabaseKey(0, pattern)), space)
    assert [args[5] for args in space.sent] == steps


async def test_steps_shrink_when_they_return_many_keys() -> None:
    assert [next_count(count, keys) for count, keys in ((300, 160), (150, 160), (100, 400))] == [150, 100, 100]


async def test_configured_count_is_used_for_every_step() -> None:
    space = keyspace()
    await resume(new_scan(space, DatabaseKey(0, "none")), space, count=350)
    assert [args[5] for args in space.sent] == [350] * 3


async def test_pause_after_each_step_is_as_long_as_the_step() -> None:
    """This includes the last step of a scan, before the first step of the next scan."""
    space, pauses = keyspace(), list[float]()
    budget = TimeBudget(TimeBudgetOptions(budget=1), space.clock, fake_sleep(space.clock, pauses))
    scans = ScanSet(DistinctCounter, space.clock)
    patterns = (DatabaseKey(0, "key:*"), DatabaseKey(0, "*"))
    await scans.resume(patterns, ScanContext(SERVER, space, ScanOptions(), budget), lambda _: add_keys)
    assert (len(space.sent), pauses) == (20, pytest.approx([0.001] * 19))


async def test_run_pauses_for_its_share() -> None:
    space = keyspace()
    await resume(new_scan(space), space, budget=60, pause=0.75)
    assert space.clock.now == pytest.approx(1000 + 0.01 + 0.024, abs=0.004)


async def test_key_that_scan_returns_twice_is_counted_once() -> None:
    space = keyspace(duplicate_keys=True)
    scan = new_scan(space)
    await resume(scan, space)
    assert scan.latest is not None
    assert (scan.latest.count, scan.latest.seen) == (1000, 1900)


async def test_restarted_server_is_scanned_from_the_beginning() -> None:
    space = keyspace()
    scan = new_scan(space)
    await resume(scan, space, budget=0.0035)
    await resume(scan, space, Server(run_id="two", fields=SERVER.fields))
    assert [args[1] for args in space.sent][4:6] == ["0", "100"]
    assert scan.latest is not None
    assert scan.latest.count == 1000


async def test_database_without_keys_is_not_scanned() -> None:
    """SELECT of a database that does not exist would cost the connection."""
    space = keyspace()
    scan = new_scan(space, DatabaseKey(7, "*"))
    await resume(scan, space)
    assert (scan.latest and scan.latest.count, space.sent) == (0, [])


async def test_cancelled_step_is_repeated() -> None:
    space = keyspace()
    scan = new_scan(space)

    async def cancel(_counter: DistinctCounter, _keys: list[bytes]) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await scan.resume(new_context(space), cancel)
    await resume(scan, space)
    assert scan.latest is not None
    assert (scan.latest.count, scan.latest.seen) == (1000, 1000)


@pytest.mark.parametrize("reply", [b"7", [b"7"], [b"x", []], [7, []], [b"7", None], [b"9" * 21, []]])
async def test_invalid_reply_ends_the_pass(reply: Any) -> None:
    space = keyspace(overrides={"SCAN": reply})
    scan = new_scan(space)
    assert await resume(scan, space) == UnreadableField("SCAN/cursor")
    assert scan.latest is None


@given(st.lists(ODD, min_size=2, max_size=2))
async def test_any_reply_raises_nothing(reply: Any) -> None:
    space = keyspace(overrides={"SCAN": reply})
    await resume(new_scan(space), space, budget=0.003)


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"db0": "keys=7,expires=0"}, 7),
        ({"db1": "keys=7"}, 0),
        ({"role": "master"}, None),
        ({"db0": "what"}, None),
        ({"db0": "keys=٣"}, None),
    ],
)
def test_number_of_keys_comes_from_info(fields: dict[str, str], keys: int | None) -> None:
    assert keys_in(Server(fields=fields), 0) == keys


def test_unlisted_database_of_a_cluster_node_is_unknown() -> None:
    """Most cluster nodes have one database, and INFO does not show whether a node supports more."""
    node = Server(mode="cluster", fields={"db0": "keys=7", "db2": "keys=1"})
    assert [keys_in(node, db) for db in (0, 1, 2)] == [7, None, 1]


async def resume_all(
    scans: ScanSet[DistinctCounter], space: FakeKeyspace, patterns: tuple[DatabaseKey, ...], **options: Any
) -> list[UnreadableField]:
    context = new_context(space, Server(), **{"count": 100, **options})
    return await scans.resume(patterns, context, lambda _: add_keys)


async def test_scans_take_turns_on_one_budget() -> None:
    space = keyspace()
    scans = ScanSet(DistinctCounter, space.clock)
    patterns = (DatabaseKey(0, "key:1*"), DatabaseKey(0, "key:2*"), DatabaseKey(0, "key:3*"))
    turns = []
    for _ in range(5):
        before = len(space.sent)
        await resume_all(scans, space, patterns, budget=0.0065)
        turns.append("".join(str(args[3])[4] for args in space.sent[before:]))
    assert turns == ["1111111", "1112222", "2222223", "3333333", "3311111"]
    assert [scan.latest and scan.latest.count for scan in scans] == [112 - 1, 111, 111]


async def test_removed_pattern_leaves_the_turn_to_the_first_one() -> None:
    space = keyspace()
    scans = ScanSet(DistinctCounter, space.clock)
    patterns = (DatabaseKey(0, "key:1*"), DatabaseKey(0, "key:2*"), DatabaseKey(0, "key:3*"))
    await resume_all(scans, space, patterns, budget=0.0105)
    before = len(space.sent)
    await resume_all(scans, space, (patterns[0], patterns[2]), budget=0.0005)
    assert [args[3] for args in space.sent[before:]] == ["key:1*"]


async def test_scans_of_small_databases_are_complete_after_one_run() -> None:
    space = FakeKeyspace({0: {b"a": b""}, 1: {b"b": b"", b"c": b""}})
    scans = ScanSet(DistinctCounter, space.clock)
    await resume_all(scans, space, (DatabaseKey(0, "*"), DatabaseKey(1, "*")))
    assert ([scan.latest and scan.latest.count for scan in scans], len(space.sent)) == ([1, 2], 2)
    await resume_all(scans, space, (DatabaseKey(1, "*"),))
    assert [scan.pattern.db for scan in scans] == [1]


async def test_missing_database_stops_only_its_own_scan() -> None:
    class SmallKeyspace(FakeKeyspace):
        async def pipeline(self, commands: Any, *, db: int | None = None) -> list[Any]:
            if db == 99:
                raise TargetError("DB index is out of range")
            return await super().pipeline(commands, db=db)

    space = SmallKeyspace({0: {b"a": b""}}, ManualClock())
    scans = ScanSet(DistinctCounter, space.clock)
    assert await resume_all(scans, space, (DatabaseKey(99, "*"), DatabaseKey(0, "*"))) == [UnreadableField("SCAN")]
    assert [scan.latest and scan.latest.count for scan in scans] == [None, 1]


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), LoadingError("loading")])
async def test_error_of_the_whole_server_is_raised(error: TargetError) -> None:
    space = keyspace(overrides={"SCAN": error})
    with pytest.raises(type(error)):
        await resume_all(ScanSet(DistinctCounter, space.clock), space, (ALL,))
