from typing import Any

import pytest

from redis_pulse.collectors.keys import BATCH, COLLECTOR, ELSEWHERE, SIZES, KeyCollector, KeyOptions
from redis_pulse.errors import NoDatabaseError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fake_keyspace import FakeKeyspace, fake_sleep
from tests.fakes import ManualClock
from tests.recordings import keys

SERVER = Server(run_id="one", fields={"db0": "keys=1000,expires=0"})


class Watch:
    """A collector of a target's own, on a clock turned by hand."""

    def __init__(self, commands: Any, clock: ManualClock | None = None, server: Server = SERVER) -> None:
        self.clock = clock or ManualClock()
        self.collector = KeyCollector(self.clock, fake_sleep(self.clock))
        self.commands = commands
        self.server = server

    async def found(self, **options: Any) -> list[CollectorItem]:
        return list(await self.collector.collect(self.server, self.commands, KeyOptions(**options)))

    async def read(self, name: str, **options: Any) -> dict[str, float]:
        """Return the samples of a metric, by the key (and what comes after it)."""
        found = [one for one in await self.found(**options) if isinstance(one, Sample)]
        return {"/".join(one.labels[1:]): one.value for one in found if one.metric.name == name}


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_single_keys_are_read_and_a_missing_one_has_size_zero(server: str) -> None:
    watch = Watch(keys.commands(server))
    assert await watch.read("key_size", keys="hash,orders,missing,zset") == {
        "hash": 1,
        "orders": 9,
        "missing": 0,
        "zset": 2,
    }
    memory = await watch.read("key_memory_usage_bytes", keys="hash,orders,missing,zset")
    assert sorted(memory) == ["hash", "orders", "zset"]


async def test_a_pattern_without_a_special_character_is_a_single_key() -> None:
    space = FakeKeyspace({0: {b"a": b"1"}})
    assert await Watch(space).read("key_size", patterns=["a", "b"]) == {"a": 1, "b": 0}
    assert "SCAN" not in space.names()


async def test_keys_of_a_pattern_are_found_and_one_that_vanished_since_has_no_size() -> None:
    space = FakeKeyspace({0: {b"user:1": b"1", b"user:2": b"22", b"other": b""}})
    watch = Watch(space)
    assert await watch.read("key_size", patterns="user:*") == {"user:1": 1, "user:2": 2}
    space.instead["SCAN"] = [b"0", [b"user:1", b"user:3"]]
    assert await watch.read("key_size", patterns="user:*") == {"user:1": 1}


async def test_databases_have_labels_of_their_own_and_one_without_keys_is_not_touched() -> None:
    space = FakeKeyspace({0: {b"a": b"1"}, 3: {b"a": b"333"}})
    server = Server(fields={"db0": "keys=1", "db3": "keys=1"})
    found = await Watch(space, server=server).found(keys="a,db3=a,db99=a")
    sizes = {one.labels: one.value for one in found if isinstance(one, Sample) and one.metric.name == "key_size"}
    assert sizes == {("db0", "a"): 1, ("db3", "a"): 3, ("db99", "a"): 0}


async def test_names_of_any_bytes_are_asked_as_they_are() -> None:
    space = FakeKeyspace({0: {b"\xff\x00": b"22"}})
    assert await Watch(space).read("key_size", patterns="*") == {"�\x00": 2}


async def test_at_most_so_many_keys_have_series_and_the_others_are_counted() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"x" for number in range(100)}})
    found = await Watch(space).found(patterns="*", keys="7", max_keys=30)
    keys = {one.labels[1] for one in found if isinstance(one, Sample) and one.metric.name == "key_size"}
    assert keys == {str(number) for number in range(30)}
    assert [one for one in found if isinstance(one, OverflowCount)] == [OverflowCount("SCAN/key", 70)]


async def test_values_are_exported_only_when_asked_for() -> None:
    space = FakeKeyspace({0: {b"number": b"-41.5e1", b"text": b"secret", b"percent": b"5%", b"long": b"x" * 5000}})
    names = [metric.name for metric in COLLECTOR.metrics if metric.name.startswith("key_value")]
    for name in names:
        assert await Watch(space).read(name, patterns="*") == {}
    assert await Watch(space).read("key_value", patterns="*", values=True) == {"number": -415}
    assert await Watch(space).read("key_value_as_string", patterns="*", values=True) == {}
    text = await Watch(space).read("key_value_as_string", keys="text,percent,number", text_values=True)
    assert text == {"text/secret": 1, "percent/5%": 1}
    (long,) = await Watch(space).read("key_value_as_string", keys="long", text_values=True)
    assert len(long) < 300
    assert max(args[3] for args in space.asked if args[0] == "GETRANGE") < 256


async def test_many_keys_are_read_in_small_batches_over_several_polls() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"x" for number in range(100)}}, each=0.001)
    watch = Watch(space, space.clock)
    sizes = [len(await watch.read("key_size", patterns="*", budget=0.07, pause=0)) for _ in range(10)]
    assert sizes == [2 * BATCH * poll for poll in range(1, 11)]
    assert max(space.batches) == 2 * BATCH
    age = await watch.read("keys_oldest_read_age_seconds", patterns="*", budget=0.07, pause=0)
    assert 0.3 < age[""] < 1


async def test_the_scan_says_how_complete_it_is() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"x" for number in range(1000)}}, each=0.001)
    watch = Watch(space, space.clock)
    assert await watch.read("keys_scan_progress_ratio", patterns="7*", count=100, budget=0.009, pause=0) == {"7*": 0.5}
    assert await watch.read("keys_scan_progress_ratio", patterns="7*", budget=1) == {"7*": 1}
    assert list(await watch.read("keys_scan_age_seconds", patterns="7*", budget=1)) == ["7*"]


@pytest.mark.parametrize("keys", [{"keys": "a,db3=a"}, {"patterns": "a*,db3=a*"}])
async def test_a_database_that_a_node_of_a_cluster_lacks_is_named_and_costs_only_its_own_keys(keys: Any) -> None:
    """That INFO counts no keys in it is no answer: the key is not missing, there is no place where it could be."""
    space = FakeKeyspace({0: {b"a": b"1"}})
    ask = space.pipeline

    async def pipeline(commands: Any, *, db: int | None = None) -> list[Any]:
        if db == 3:
            raise NoDatabaseError("SELECT is not allowed in cluster mode")
        return await ask(commands, db=db)

    space.pipeline = pipeline  # type: ignore[method-assign]
    server = Server(mode="cluster", fields={"db0": "keys=1"})
    found = await Watch(space, server=server).found(**keys)
    assert [one for one in found if isinstance(one, UnreadableField)] == [UnreadableField("SELECT/db3")]
    assert [one.labels for one in found if isinstance(one, Sample) and one.metric is SIZES] == [("db0", "a")]


async def test_an_odd_reply_costs_its_own_sample() -> None:
    space = FakeKeyspace({0: {b"a": b"1"}}, instead={"STRLEN": b"many", "MEMORY": [1]})
    found = await Watch(space).found(keys="a")
    assert [one for one in found if isinstance(one, UnreadableField)] == [
        UnreadableField("MEMORY USAGE"),
        UnreadableField("STRLEN"),
    ]


def test_targets_remember_their_own_keys() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert not COLLECTOR.applies(Server(mode="sentinel"))


async def test_a_key_that_another_node_of_the_cluster_has_is_asked_for_once_and_again_after_a_while() -> None:
    space = FakeKeyspace({0: {b"here": b"1"}})
    watch = Watch(space, server=Server(mode="cluster", run_id="one", fields={"db0": "keys=1"}))
    space.moved.add(b"there")
    for _ in range(3):
        assert await watch.read("key_size", keys="here,there") == {"here": 1}
        assert not [one for one in await watch.found(keys="there") if isinstance(one, UnreadableField)]
    assert sum(args == ("TYPE", "there") for args in space.asked) == 1
    space.moved.clear()
    watch.clock.advance(ELSEWHERE)
    assert await watch.read("key_size", keys="here,there") == {"here": 1, "there": 0}
