from typing import Any

import pytest

from redis_pulse.collectors.commandstats import COLLECTOR, CommandStatsCollector, CommandStatsOptions
from redis_pulse.errors import EmptyReplyError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests import recordings
from tests.fakes import FakeCommands, every_info

Values = dict[tuple[str, ...], float]


async def read(
    reply: Any, collector: CommandStatsCollector = COLLECTOR, **options: Any
) -> tuple[Values, list[CollectorItem]]:
    """Return the values by name and command, and the other items."""
    commands = FakeCommands(every_info(reply))
    items = list(await collector.for_target().collect(Server(), commands, CommandStatsOptions(**options)))
    samples = [one for one in items if isinstance(one, Sample)]
    values = {(one.metric.full_name, *one.labels): one.value for one in samples}
    assert len(values) == len(samples), "duplicate series"
    return values, [one for one in items if not isinstance(one, Sample)]


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    """Subcommands have their own counters since Redis 7.0."""
    values, rest = await read(recordings.info(server))
    assert rest == []
    assert (values["redis_commands_total", "set"], values["redis_commands_total", "get"]) == (50, 51)
    assert 0 < values["redis_commands_duration_seconds_total", "eval"] < 5
    assert values["redis_commands_failed_calls_total", "get"] == 1  # get of a hash
    assert values["redis_commands_rejected_calls_total", "get"] == 1  # get without a key
    assert ("redis_commands_total", "config" if server.startswith("redis-6") else "config|set") in values
    assert ("redis_commands_total", "georadius_ro") in values


async def test_server_before_6_2_has_fewer_metrics() -> None:
    values, rest = await read("# Commandstats\r\ncmdstat_get:calls=7,usec=14,usec_per_call=2.00\r\n")
    assert values == {
        ("redis_commands_total", "get"): 7,
        ("redis_commands_duration_seconds_total", "get"): 14e-6,
    }
    assert not rest


async def test_slow_calls_are_counted_and_timed() -> None:
    """Redis 8.8 writes them in milliseconds. The maximum of several commands is no sum."""
    slow = "calls=9,usec=1,slowlog_count={},slowlog_time_ms_sum={},slowlog_time_ms_max={}"
    lines = [("keys", 2, "300.50", "200.25"), ("get", 1, "40.00", "40.00"), ("set", 1, "30.00", "30.00")]
    text = "".join(f"cmdstat_{name}:{slow.format(*numbers)}\n" for name, *numbers in lines)
    values, _ = await read("# Commandstats\n" + text.replace("keys:calls=9", "keys:calls=10"), max_commands=1)
    assert {labels: value for labels, value in values.items() if "_slow_" in labels[0]} == {
        ("redis_commands_slow_calls_total", "keys"): 2,
        ("redis_commands_slow_duration_seconds_total", "keys"): 0.3005,
        ("redis_commands_slow_max_duration_seconds", "keys"): 0.20025,
        ("redis_commands_slow_calls_total", "overflow"): 2,
        ("redis_commands_slow_duration_seconds_total", "overflow"): 0.07,
        ("redis_commands_slow_max_duration_seconds", "overflow"): 0.04,
    }


async def test_order_of_items_and_unknown_items_do_not_matter() -> None:
    values, _ = await read("# Commandstats\ncmdstat_ft.search:failed_calls=1,new=9,usec=5,rejected_calls=2,calls=3\n")
    assert values == {
        ("redis_commands_total", "ft.search"): 3,
        ("redis_commands_duration_seconds_total", "ft.search"): 5e-6,
        ("redis_commands_rejected_calls_total", "ft.search"): 2,
        ("redis_commands_failed_calls_total", "ft.search"): 1,
    }


async def test_commands_beyond_the_limit_are_summed() -> None:
    lines = "".join(f"cmdstat_c{number}:calls={number},usec=1000000\n" for number in range(5))
    values, rest = await read(f"# Commandstats\n{lines}", max_commands=2)
    assert {key[1]: value for key, value in values.items() if key[0] == "redis_commands_total"} == {
        "c4": 4,
        "c3": 3,
        "overflow": 0 + 1 + 2,
    }
    assert values["redis_commands_duration_seconds_total", "overflow"] == 3
    assert rest == [OverflowCount("Commandstats/cmdstat_X:calls", 3)]


async def test_targets_have_their_own_collector() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR


async def test_unreadable_line_does_not_affect_other_lines() -> None:
    values, rest = await read("# Commandstats\ncmdstat_get:calls=x,usec=1\ncmdstat_set:nothing\ncmdstat_del:calls=1\n")
    assert values == {
        ("redis_commands_duration_seconds_total", "get"): 1e-6,
        ("redis_commands_total", "del"): 1,
    }
    assert rest == [UnreadableField("Commandstats/cmdstat_X:calls")] * 2


async def test_missing_section_gives_no_sample() -> None:
    assert await read(b"# Server\r\nhz:10\r\n") == ({}, [])


@pytest.mark.parametrize("reply", [None, [], b"", b"\xff\x00"])
async def test_reply_without_any_field_is_an_error(reply: Any) -> None:
    with pytest.raises(EmptyReplyError):
        await read(reply)


def test_sentinel_has_no_commandstats() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))
    assert COLLECTOR.applies(Server())
