from typing import Any

from redis_pulse.collectors.key_counts import COLLECTOR, KeyCountOptions, KeyCountsCollector
from redis_pulse.metric import Sample
from redis_pulse.server_info import Server
from tests.fake_keyspace import FakeKeyspace, fake_sleep
from tests.fakes import ManualClock

KEYS = {b"user:%d" % number: b"" for number in range(700)} | {b"cart:%d" % number: b"" for number in range(300)}
SERVER = Server(run_id="one", fields={"db0": "keys=1000,expires=0", "db2": "keys=1"})


async def read(
    collector: KeyCountsCollector, space: FakeKeyspace, name: str = "keys_count", **options: Any
) -> dict[tuple[str, ...], float]:
    items = await collector.collect(SERVER, space, KeyCountOptions(**options))
    return {one.labels: one.value for one in items if isinstance(one, Sample) and one.metric.name == name}


def new_collector(space: FakeKeyspace) -> KeyCountsCollector:
    return KeyCountsCollector(space.clock, fake_sleep(space.clock))


async def test_keys_are_counted_by_pattern_and_database() -> None:
    space = FakeKeyspace({0: KEYS, 2: {b"user:x": b""}}, duplicate_keys=True)
    assert await read(new_collector(space), space, patterns=["user:*", "cart:*", "none:*", "db2=user:*", "db9=*"]) == {
        ("db0", "user:*"): 700,
        ("db0", "cart:*"): 300,
        ("db0", "none:*"): 0,
        ("db2", "user:*"): 1,
        ("db9", "*"): 0,
    }


async def test_count_is_published_only_when_complete() -> None:
    space = FakeKeyspace({0: KEYS}, ManualClock(), seconds_per_command=0.01)
    collector = new_collector(space)
    options: Any = {"patterns": "user:*", "budget": 0.045, "pause": 0}
    assert await read(collector, space, **options) == {}
    assert await read(collector, space, **options) == {("db0", "user:*"): 700}
    space.databases[0] = {}
    assert await read(collector, space, **options) == {("db0", "user:*"): 0}
    progress = await read(collector, space, "key_counts_scan_progress_ratio", **options)
    assert progress == {("db0", "user:*"): 1}


async def test_pattern_without_a_special_character_is_counted() -> None:
    space = FakeKeyspace({0: KEYS})
    assert await read(new_collector(space), space, patterns="user:7") == {("db0", "user:7"): 1}


def test_each_target_remembers_its_own_counts() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert not COLLECTOR.applies(Server(mode="sentinel"))
