from typing import Any

import pytest

from redis_pulse.collectors.keys import BATCH, COLLECTOR, MOVED_FOR, SIZE, KeyCollector, KeyOptions
from redis_pulse.errors import NoDatabaseError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fake_keyspace import FakeKeyspace, fake_sleep
from tests.fakes import ManualClock
from tests.recordings import keys

SERVER = Server(run_id="one", fields={"db0": "keys=1000,expires=0"})


class KeysHarness:
    """The collector of one target, with a manual clock."""

    def __init__(self, commands: Any, clock: ManualClock | None = None, server: Server = SERVER) -> None:
        self.clock = clock or ManualClock()
        self.collector = KeyCollector(self.clock, fake_sleep(self.clock))
        self.commands = commands
        self.server = server

    async def collect(self, **options: Any) -> list[CollectorItem]:
        return list(await self.collector.collect(self.server, self.commands, KeyOptions(**options)))

    async def read(self, name: str, **options: Any) -> dict[str, float]:
        """Return the values of a metric by key and further labels."""
        samples = [one for one in await self.collect(**options) if isinstance(one, Sample)]
        return {"/".join(one.labels[1:]): one.value for one in samples if one.metric.name == name}


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_single_keys_are_read_and_a_missing_key_has_size_zero(server: str) -> None:
    harness = KeysHarness(keys.commands(server))
    assert await harness.read("key_size", keys="hash,orders,missing,zset") == {
        "hash": 1,
        "orders": 9,
        "missing": 0,
        "zset": 2,
    }
    memory = await harness.read("key_memory_usage_bytes", keys="hash,orders,missing,zset")
    assert sorted(memory) == ["hash", "orders", "zset"]


async def test_pattern_without_a_special_character_is_a_single_key() -> None:
    space = FakeKeyspace({0: {b"a": b"1"}})
    assert await KeysHarness(space).read("key_size", patterns=["a", "b"]) == {"a": 1, "b": 0}
    assert "SCAN" not in space.command_names()


async def test_key_of_a_pattern_that_disappeared_has_no_size() -> None:
    space = FakeKeyspace({0: {b"user:1": b"1", b"user:2": b"22", b"other": b""}})
    harness = KeysHarness(space)
    assert await harness.read("key_size", patterns="user:*") == {"user:1": 1, "user:2": 2}
    space.overrides["SCAN"] = [b"0", [b"user:1", b"user:3"]]
    assert await harness.read("key_size", patterns="user:*") == {"user:1": 1}


async def test_databases_have_their_own_labels_and_an_empty_one_is_not_read() -> None:
    space = FakeKeyspace({0: {b"a": b"1"}, 3: {b"a": b"333"}})
    server = Server(fields={"db0": "keys=1", "db3": "keys=1"})
    items = await KeysHarness(space, server=server).collect(keys="a,db3=a,db99=a")
    sizes = {one.labels: one.value for one in items if isinstance(one, Sample) and one.metric.name == "key_size"}
    assert sizes == {("db0", "a"): 1, ("db3", "a"): 3, ("db99", "a"): 0}


async def test_name_of_any_bytes_is_sent_unchanged() -> None:
    space = FakeKeyspace({0: {b"\xff\x00": b"22"}})
    assert await KeysHarness(space).read("key_size", patterns="*") == {"�\x00": 2}


async def test_keys_beyond_the_limit_are_counted() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"x" for number in range(100)}})
    items = await KeysHarness(space).collect(patterns="*", keys="7", max_keys=30)
    keys = {one.labels[1] for one in items if isinstance(one, Sample) and one.metric.name == "key_size"}
    assert keys == {str(number) for number in range(30)}
    assert [one for one in items if isinstance(one, OverflowCount)] == [OverflowCount("SCAN/key", 70)]


async def test_values_are_exported_only_on_request() -> None:
    space = FakeKeyspace({0: {b"number": b"-41.5e1", b"text": b"secret", b"percent": b"5%", b"long": b"x" * 5000}})
    names = [metric.name for metric in COLLECTOR.metrics if metric.name.startswith("key_value")]
    for name in names:
        assert await KeysHarness(space).read(name, patterns="*") == {}
    assert await KeysHarness(space).read("key_value", patterns="*", values=True) == {"number": -415}
    assert await KeysHarness(space).read("key_value_as_string", patterns="*", values=True) == {}
    text = await KeysHarness(space).read("key_value_as_string", keys="text,percent,number", text_values=True)
    assert text == {"text/secret": 1, "percent/5%": 1}
    (long,) = await KeysHarness(space).read("key_value_as_string", keys="long", text_values=True)
    assert len(long) < 300
    assert max(args[3] for args in space.sent if args[0] == "GETRANGE") < 256


async def test_many_keys_are_read_in_small_batches_over_several_polls() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"x" for number in range(100)}}, seconds_per_command=0.001)
    harness = KeysHarness(space, space.clock)
    sizes = [len(await harness.read("key_size", patterns="*", budget=0.07, pause=0)) for _ in range(10)]
    assert sizes == [2 * BATCH * poll for poll in range(1, 11)]
    assert max(space.batches) == 2 * BATCH
    age = await harness.read("keys_oldest_read_age_seconds", patterns="*", budget=0.07, pause=0)
    assert 0.3 < age[""] < 1


async def test_scan_reports_its_progress() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"x" for number in range(1000)}}, seconds_per_command=0.001)
    harness = KeysHarness(space, space.clock)
    assert await harness.read("keys_scan_progress_ratio", patterns="7*", count=100, budget=0.009, pause=0) == {
        "7*": 0.5
    }
    assert await harness.read("keys_scan_progress_ratio", patterns="7*", budget=1) == {"7*": 1}
    assert list(await harness.read("keys_scan_age_seconds", patterns="7*", budget=1)) == ["7*"]


@pytest.mark.parametrize("keys", [{"keys": "a,db3=a"}, {"patterns": "a*,db3=a*"}])
async def test_database_that_a_cluster_node_lacks_stops_only_its_own_keys(keys: Any) -> None:
    """INFO counts no keys in it. But the key has no size 0, because the node cannot store it."""
    space = FakeKeyspace({0: {b"a": b"1"}})
    send = space.pipeline

    async def pipeline(commands: Any, *, db: int | None = None) -> list[Any]:
        if db == 3:
            raise NoDatabaseError("SELECT is not allowed in cluster mode")
        return await send(commands, db=db)

    space.pipeline = pipeline  # type: ignore[method-assign]
    server = Server(mode="cluster", fields={"db0": "keys=1"})
    items = await KeysHarness(space, server=server).collect(**keys)
    assert [one for one in items if isinstance(one, UnreadableField)] == [UnreadableField("SELECT/db3")]
    assert [one.labels for one in items if isinstance(one, Sample) and one.metric is SIZE] == [("db0", "a")]


async def test_odd_reply_loses_only_its_own_sample() -> None:
    space = FakeKeyspace({0: {b"a": b"1"}}, overrides={"STRLEN": b"many", "MEMORY": [1]})
    items = await KeysHarness(space).collect(keys="a")
    assert [one for one in items if isinstance(one, UnreadableField)] == [
        UnreadableField("MEMORY USAGE"),
        UnreadableField("STRLEN"),
    ]


def test_each_target_remembers_its_own_keys() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert not COLLECTOR.applies(Server(mode="sentinel"))


async def test_key_of_another_cluster_node_is_requested_again_only_later() -> None:
    space = FakeKeyspace({0: {b"here": b"1"}})
    harness = KeysHarness(space, server=Server(mode="cluster", run_id="one", fields={"db0": "keys=1"}))
    space.moved.add(b"there")
    for _ in range(3):
        assert await harness.read("key_size", keys="here,there") == {"here": 1}
        assert not [one for one in await harness.collect(keys="there") if isinstance(one, UnreadableField)]
    assert sum(args == ("TYPE", "there") for args in space.sent) == 1
    space.moved.clear()
    harness.clock.advance(MOVED_FOR)
    assert await harness.read("key_size", keys="here,there") == {"here": 1, "there": 0}
