import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.support.cardinality import DistinctCounter
from redis_pulse.collectors.support.scan import KeyScan, ScanOptions, ScanSet, keys_in, next_count, scan_metrics
from redis_pulse.collectors.support.time_budget import TimeBudget, TimeBudgetOptions
from redis_pulse.config.option_types import DatabaseKey
from redis_pulse.errors import LoadingError, PermissionDeniedError, TargetError
from redis_pulse.metric import UnreadableField
from redis_pulse.server_info import Server
from tests.fake_keyspace import FakeKeyspace, fake_sleep, time_budget
from tests.fakes import ManualClock

ALL = DatabaseKey(0, "*")
ROWS = scan_metrics("test")
KEYS = {b"key:%d" % number: b"x" for number in range(1000)}
SERVER = Server(run_id="one", fields={"db0": "keys=1000,expires=0,avg_ttl=0"})
ODD = st.none() | st.integers() | st.binary(max_size=3) | st.lists(st.integers() | st.binary(max_size=3), max_size=3)


async def count(tally: DistinctCounter, keys: list[bytes]) -> None:
    tally.add(keys)


async def step(
    scan: KeyScan[DistinctCounter], space: FakeKeyspace, server: Server = SERVER, **options: Any
) -> UnreadableField | None:
    """Do one run; each command takes a millisecond."""
    told = ScanOptions(**{"pause": 0, **options})
    return await scan.resume(server, space, told, time_budget(space.clock, told), count)


def keyspace(**said: Any) -> FakeKeyspace:
    return FakeKeyspace({0: KEYS}, each=0.001, **said)


def scan(space: FakeKeyspace, at: DatabaseKey = ALL) -> KeyScan[DistinctCounter]:
    return KeyScan(at, DistinctCounter, space.clock)


async def test_a_pass_with_time_enough_is_done_in_one_run() -> None:
    space = keyspace()
    one = scan(space)
    await step(one, space)
    assert one.latest is not None
    assert (one.latest.count, one.complete, len(space.asked)) == (1000, True, 10)
    assert [sample.value for sample in one.samples(ROWS)] == [1, pytest.approx(0.01), 0]


async def test_a_pass_goes_on_in_the_next_run_and_is_published_only_when_it_is_complete() -> None:
    space = keyspace()
    one = scan(space)
    await step(one, space, budget=0.0035)
    assert one.latest is None
    assert [sample.value for sample in one.samples(ROWS)] == [0.4]
    space.clock.advance(15)
    await step(one, space, budget=0.0035)
    assert one.progress == 0.8
    await step(one, space, budget=0.0015)
    assert one.latest is not None
    assert one.latest.count == 1000
    assert one.seconds == pytest.approx(15.01)
    space.clock.advance(5)
    await step(one, space, budget=0.0005)
    progress, duration, age = (sample.value for sample in one.samples(ROWS))
    assert (progress, duration, age) == (0.1, pytest.approx(15.01), pytest.approx(5.001))
    assert one.latest.count == 1000  # of the pass before


@pytest.mark.parametrize(("pattern", "steps"), [("*", [100] * 10), ("key:99*", [100, 200, 300, 300, 300])])
async def test_steps_are_small_where_many_keys_come_back_and_larger_where_few_do(
    pattern: str, steps: list[int]
) -> None:
    """What a step costs the server grows with the keys it walks, and what it costs us with those it returns."""
    space = keyspace()
    await step(scan(space, DatabaseKey(0, pattern)), space)
    assert [args[5] for args in space.asked] == steps


async def test_steps_shrink_again_where_many_keys_come_back() -> None:
    assert [next_count(count, found) for count, found in ((300, 160), (150, 160), (100, 400))] == [150, 100, 100]


async def test_a_count_that_was_told_is_kept_to() -> None:
    space = keyspace()
    await step(scan(space, DatabaseKey(0, "none")), space, count=350)
    assert [args[5] for args in space.asked] == [350] * 3


async def test_after_each_step_there_is_a_pause_as_long_as_it_took_also_before_the_next_scan() -> None:
    space, rests = keyspace(), list[float]()
    pace = TimeBudget(TimeBudgetOptions(budget=1), space.clock, fake_sleep(space.clock, rests))
    scans = ScanSet(DistinctCounter, space.clock)
    places = (DatabaseKey(0, "key:*"), DatabaseKey(0, "*"))
    await scans.resume(places, SERVER, space, ScanOptions(), pace, lambda _: count)
    assert (len(space.asked), rests) == (20, pytest.approx([0.001] * 19))


async def test_a_run_pauses_for_its_share() -> None:
    space = keyspace()
    await step(scan(space), space, budget=60, pause=0.75)
    assert space.clock.now == pytest.approx(1000 + 0.01 + 0.024, abs=0.004)


async def test_a_key_that_comes_twice_is_counted_once() -> None:
    space = keyspace(twice=True)
    one = scan(space)
    await step(one, space)
    assert one.latest is not None
    assert (one.latest.count, one.latest.seen) == (1000, 1900)


async def test_another_process_begins_anew() -> None:
    space = keyspace()
    one = scan(space)
    await step(one, space, budget=0.0035)
    await step(one, space, Server(run_id="two", fields=SERVER.fields))
    assert [args[1] for args in space.asked][4:6] == ["0", "100"]
    assert one.latest is not None
    assert one.latest.count == 1000


async def test_a_database_without_keys_is_not_touched() -> None:
    """SELECT of a database that there is not would cost the connection."""
    space = keyspace()
    one = scan(space, DatabaseKey(7, "*"))
    await step(one, space)
    assert (one.latest and one.latest.count, space.asked) == (0, [])


async def test_a_cancelled_step_is_taken_again() -> None:
    space = keyspace()
    one = scan(space)

    async def never(_tally: DistinctCounter, _keys: list[bytes]) -> None:
        raise asyncio.CancelledError

    told = ScanOptions()
    with pytest.raises(asyncio.CancelledError):
        await one.resume(SERVER, space, told, time_budget(space.clock, told), never)
    await step(one, space)
    assert one.latest is not None
    assert (one.latest.count, one.latest.seen) == (1000, 1000)


@pytest.mark.parametrize("reply", [b"7", [b"7"], [b"x", []], [7, []], [b"7", None], [b"9" * 21, []]])
async def test_a_reply_that_makes_no_sense_ends_the_pass(reply: Any) -> None:
    space = keyspace(instead={"SCAN": reply})
    one = scan(space)
    assert await step(one, space) == UnreadableField("SCAN/cursor")
    assert one.latest is None


@given(st.lists(ODD, min_size=2, max_size=2))
async def test_no_reply_breaks_it(reply: Any) -> None:
    space = keyspace(instead={"SCAN": reply})
    await step(scan(space), space, budget=0.003)


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
def test_what_info_says_of_a_database(fields: dict[str, str], keys: int | None) -> None:
    assert keys_in(Server(fields=fields), 0) == keys


def test_what_info_says_of_other_databases_of_a_node_of_a_cluster() -> None:
    """Most have one database only, and INFO does not tell those from others."""
    node = Server(mode="cluster", fields={"db0": "keys=7", "db2": "keys=1"})
    assert [keys_in(node, db) for db in (0, 1, 2)] == [7, None, 1]


async def run(
    scans: ScanSet[DistinctCounter], space: FakeKeyspace, places: tuple[DatabaseKey, ...], **options: Any
) -> list[UnreadableField]:
    told = ScanOptions(**{"pause": 0, "count": 100, **options})
    return await scans.resume(places, Server(), space, told, time_budget(space.clock, told), lambda _: count)


async def test_scans_share_a_budget_in_turn() -> None:
    space = keyspace()
    scans = ScanSet(DistinctCounter, space.clock)
    places = (DatabaseKey(0, "key:1*"), DatabaseKey(0, "key:2*"), DatabaseKey(0, "key:3*"))
    asked = []
    for _ in range(5):
        before = len(space.asked)
        await run(scans, space, places, budget=0.0065)
        asked.append([str(args[3])[4] for args in space.asked[before:]])
    assert ["".join(patterns) for patterns in asked] == ["1111111", "1112222", "2222223", "3333333", "3311111"]
    assert [one.latest and one.latest.count for one in scans] == [112 - 1, 111, 111]


async def test_scans_of_small_databases_are_all_done_once_a_run() -> None:
    space = FakeKeyspace({0: {b"a": b""}, 1: {b"b": b"", b"c": b""}})
    scans = ScanSet(DistinctCounter, space.clock)
    await run(scans, space, (DatabaseKey(0, "*"), DatabaseKey(1, "*")))
    assert ([one.latest and one.latest.count for one in scans], len(space.asked)) == ([1, 2], 2)
    await run(scans, space, (DatabaseKey(1, "*"),))
    assert [one.pattern.db for one in scans] == [1]


async def test_a_database_that_there_is_not_costs_only_its_own_scan() -> None:
    class Space(FakeKeyspace):
        async def pipeline(self, commands: Any, *, db: int | None = None) -> list[Any]:
            if db == 99:
                raise TargetError("DB index is out of range")
            return await super().pipeline(commands, db=db)

    space = Space({0: {b"a": b""}}, ManualClock())
    scans = ScanSet(DistinctCounter, space.clock)
    assert await run(scans, space, (DatabaseKey(99, "*"), DatabaseKey(0, "*"))) == [UnreadableField("SCAN")]
    assert [one.latest and one.latest.count for one in scans] == [None, 1]


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), LoadingError("loading")])
async def test_what_concerns_the_server_goes_to_the_runner(error: TargetError) -> None:
    space = keyspace(instead={"SCAN": error})
    with pytest.raises(type(error)):
        await run(ScanSet(DistinctCounter, space.clock), space, (ALL,))
