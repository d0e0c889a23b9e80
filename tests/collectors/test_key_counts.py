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
    found = await collector.collect(SERVER, space, KeyCountOptions(**options))
    return {one.labels: one.value for one in found if isinstance(one, Sample) and one.metric.name == name}


def watch(space: FakeKeyspace) -> KeyCountsCollector:
    return KeyCountsCollector(space.clock, fake_sleep(space.clock))


async def test_keys_are_counted_by_pattern_and_database() -> None:
    space = FakeKeyspace({0: KEYS, 2: {b"user:x": b""}}, twice=True)
    assert await read(watch(space), space, patterns=["user:*", "cart:*", "none:*", "db2=user:*", "db9=*"]) == {
        ("db0", "user:*"): 700,
        ("db0", "cart:*"): 300,
        ("db0", "none:*"): 0,
        ("db2", "user:*"): 1,
        ("db9", "*"): 0,
    }


async def test_no_count_is_served_before_it_is_complete() -> None:
    space = FakeKeyspace({0: KEYS}, ManualClock(), each=0.01)
    collector = watch(space)
    options: Any = {"patterns": "user:*", "budget": 0.045, "pause": 0}
    assert await read(collector, space, **options) == {}
    assert await read(collector, space, **options) == {("db0", "user:*"): 700}
    space.databases[0] = {}
    assert await read(collector, space, **options) == {("db0", "user:*"): 0}
    progress = await read(collector, space, "key_counts_scan_progress_ratio", **options)
    assert progress == {("db0", "user:*"): 1}


async def test_a_pattern_without_a_special_character_is_counted_too() -> None:
    space = FakeKeyspace({0: KEYS})
    assert await read(watch(space), space, patterns="user:7") == {("db0", "user:7"): 1}


def test_targets_remember_their_own_counts() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert not COLLECTOR.applies(Server(mode="sentinel"))
