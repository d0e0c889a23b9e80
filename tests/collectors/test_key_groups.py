from typing import Any

from redis_pulse.collectors.key_groups import COLLECTOR, KeyGroupOptions, KeyGroupsCollector, databases_of
from redis_pulse.collectors.support.scan import keys_in
from redis_pulse.errors import UnknownCommandError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample
from redis_pulse.server_info import Server
from tests.fake_keyspace import FakeKeyspace, fake_sleep
from tests.fakes import ManualClock

KEYS = {b"user:%d" % number: b"" for number in range(60)} | {b"cart:%d" % number: b"xx" for number in range(40)}
SERVER = Server(run_id="one", fields={"db0": "keys=100,expires=0", "db2": "keys=1", "dbsize": "7"})
DEFAULTS = KeyGroupOptions(groups=["^([a-z]+):"])
Values = dict[tuple[str, ...], float]


def values(items: list[CollectorItem], name: str) -> Values:
    return {one.labels: one.value for one in items if isinstance(one, Sample) and one.metric.name == name}


async def read(
    space: FakeKeyspace, options: KeyGroupOptions = DEFAULTS, collector: KeyGroupsCollector | None = None
) -> list[CollectorItem]:
    collector = collector or KeyGroupsCollector(space.clock, fake_sleep(space.clock))
    return list(await collector.collect(SERVER, space, options))


async def test_keys_of_all_databases_are_sorted_into_groups() -> None:
    items = await read(FakeKeyspace({0: KEYS, 2: {b"x": b""}}))
    assert values(items, "key_group_count") == {
        ("db0", "user"): 60,
        ("db0", "cart"): 40,
        ("db2", "unclassified"): 1,
    }
    assert values(items, "key_group_memory_usage_bytes")[("db0", "user")] == 10 * 56 + 50 * 57
    assert values(items, "number_of_distinct_key_groups") == {("db0",): 2, ("db2",): 1}
    assert [one for one in items if isinstance(one, OverflowCount)] == []


async def test_only_configured_databases_and_keys_are_scanned() -> None:
    options = KeyGroupOptions(groups="^([a-z]+):", databases=(0,), pattern="c*")
    assert values(await read(FakeKeyspace({0: KEYS}), options), "key_group_count") == {("db0", "cart"): 40}


async def test_groups_beyond_the_limit_are_summed_and_counted() -> None:
    items = await read(FakeKeyspace({0: KEYS | {b"tiny:1": b""}}), KeyGroupOptions(groups="^([a-z]+):", max_distinct=1))
    assert values(items, "key_group_count")[("db0", "overflow")] == 41
    assert OverflowCount("SCAN/groups", 2) in items


async def test_pass_over_several_polls_is_published_when_complete() -> None:
    space = FakeKeyspace({0: KEYS}, ManualClock(), seconds_per_command=0.01)
    collector = KeyGroupsCollector(space.clock, fake_sleep(space.clock))
    options = KeyGroupOptions(groups="^([a-z]+):", databases=(0,), count=25, budget=0.3, pause=0)
    first = await read(space, options, collector)
    assert values(first, "key_group_count") == {}
    assert values(first, "key_groups_scan_progress_ratio") == {("db0", "*"): 0.5}
    assert values(first, "last_key_groups_scrape_duration_milliseconds") == {(): 0}
    space.clock.advance(10)
    await read(space, options, collector)
    last = await read(space, options, collector)
    assert sum(values(last, "key_group_count").values()) == 100
    assert values(last, "last_key_groups_scrape_duration_milliseconds") == {(): 11_040}
    assert (
        values(last, "key_groups_scan_duration_seconds")[("db0", "*")]
        == values(last, "last_key_groups_scrape_duration_seconds")[()]
    )


async def test_without_an_expression_nothing_is_scanned() -> None:
    space = FakeKeyspace({0: KEYS})
    items = await read(space, KeyGroupOptions())
    assert (len(items), space.sent) == (2, [])


async def test_server_without_memory_usage_has_counts() -> None:
    items = await read(FakeKeyspace({0: KEYS}, overrides={"MEMORY": UnknownCommandError("no")}))
    assert values(items, "key_group_count")[("db0", "cart")] == 40
    assert values(items, "key_group_memory_usage_bytes") == {}


def test_databases_come_from_info() -> None:
    assert databases_of(SERVER) == [0, 2]
    assert databases_of(Server()) == [0]
    assert keys_in(SERVER, 1) == 0


def test_each_target_remembers_its_own_groups() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert not COLLECTOR.applies(Server(mode="sentinel"))


def test_options_have_defaults() -> None:
    options: dict[str, Any] = KeyGroupOptions().model_dump()
    assert (options["max_distinct"], options["groups"], options["databases"]) == (100, (), None)
