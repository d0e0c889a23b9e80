from typing import Any

import pytest

from redis_pulse.collectors.streams import BATCH, COLLECTOR, StreamOptions, StreamsCollector
from redis_pulse.metric import CollectorItem, OverflowCount, Sample
from redis_pulse.server_info import Server
from tests.fake_keyspace import FakeKeyspace, fake_sleep
from tests.fakes import ManualClock
from tests.recordings import keys

SERVER = Server(run_id="one", fields={"db0": "keys=100"})


def many(streams: int, seconds_per_command: float = 0.0) -> FakeKeyspace:
    """Return a keyspace with a number of streams, and as many other keys."""
    names = [b"s:%03d" % number for number in range(streams)]
    space = FakeKeyspace(
        {0: dict.fromkeys(names, b"") | {b"s:x%d" % number: b"" for number in range(streams)}},
        seconds_per_command=seconds_per_command,
    )
    space.kinds = dict.fromkeys(names, b"stream")
    space.overrides = {"XINFO": lambda *words: [b"length", int(words[2][2:])] if words[1] == "STREAM" else []}
    return space


async def read(commands: Any, collector: StreamsCollector | None = None, **options: Any) -> list[CollectorItem]:
    clock = getattr(commands, "clock", ManualClock())
    collector = collector or StreamsCollector(clock, fake_sleep(clock))
    return list(await collector.collect(SERVER, commands, StreamOptions(**options)))


def lengths(items: list[CollectorItem]) -> dict[str, float]:
    samples = [one for one in items if isinstance(one, Sample)]
    return {one.labels[1]: one.value for one in samples if one.metric.name == "stream_length"}


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_single_streams_are_read(server: str) -> None:
    commands = keys.commands(server)
    assert lengths(await read(commands, streams="orders,log,missing")) == {"orders": 9, "log": 0}
    assert lengths(await read(commands, patterns="orders")) == {"orders": 9}


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_pattern_finds_streams_and_no_other_keys(server: str) -> None:
    assert lengths(await read(keys.commands(server), patterns="*")) == {"orders": 9, "log": 0}


async def test_streams_beyond_the_limit_are_counted() -> None:
    items = await read(many(40), patterns="s:*", max_streams=15)
    assert lengths(items) == {f"s:{number:03}": number for number in range(15)}
    assert OverflowCount("SCAN/stream", 25) in items


async def test_many_streams_take_several_polls_and_older_values_stay() -> None:
    space = many(50, seconds_per_command=0.001)
    collector = StreamsCollector(space.clock, fake_sleep(space.clock))
    options = {"patterns": "s:*", "budget": 0.025, "pause": 0}
    streams_read = [len(lengths(await read(space, collector, **options))) for _ in range(9)]
    assert streams_read == [*range(2 * BATCH, 50, 2 * BATCH), 50]
    assert max(space.batches) == 2 * BATCH


async def test_database_without_keys_is_not_read() -> None:
    space = many(1)
    assert lengths(await read(space, streams="db7=s:000")) == {}
    assert space.sent == []


def test_each_target_remembers_its_own_streams() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert not COLLECTOR.applies(Server(mode="sentinel"))
