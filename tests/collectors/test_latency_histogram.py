"""One histogram has the same edges for all commands at all times. The other one is the one of redis_exporter."""

import re
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from redis_pulse.collectors.latency_histogram import (
    COLLECTOR,
    EDGES,
    MAX_SLOW,
    SECONDS,
    USEC,
    LatencyHistogramCollector,
)
from redis_pulse.errors import PermissionDeniedError, TargetError, UnknownCommandError
from redis_pulse.exposition import render
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from redis_pulse.text_format import family_header
from tests.fakes import FakeCommands
from tests.recordings import clients as recorded

INFO = "# Server\r\nredis_version:7.0.15\r\n# Commandstats\r\n" + "".join(
    f"cmdstat_{name}:calls={calls},usec={usec},usec_per_call=1\r\n"
    for name, calls, usec in (
        ("get", 10, 400),
        ("config|get", 2, 60),
        ("georadius_ro", 1, 9),
        ("ft.search", 1, 2_000_000),
    )
)
#: Without the times of commands, only the numbers of calls decide.
NO_TIMES = "# Server\r\nredis_version:7.0.15\r\n"
GET = [b"get", [b"calls", 10, b"histogram_usec", [16, 4, 66, 10]]]
CONFIG = [b"config|get", [b"calls", 2, b"histogram_usec", [33, 2]]]
GEO = [b"georadius_ro", [b"calls", 1, b"histogram_usec", [16, 1]]]
SEARCH = [b"ft.search", [b"calls", 1, b"histogram_usec", [1073741, 1]]]


async def collect(
    reply: Any, info: str | TargetError = INFO, collector: LatencyHistogramCollector | None = None, **options: Any
) -> list[CollectorItem]:
    words = options.get("commands", ())
    commands = FakeCommands(
        {
            ("LATENCY", "HISTOGRAM", *words): reply,
            "INFO EVERYTHING": info if isinstance(info, TargetError) else info.encode(),
        }
    )
    collector = collector or COLLECTOR.for_target()
    return list(await collector.collect(Server(), commands, COLLECTOR.options(**options)))


def series(items: list[CollectorItem]) -> dict[str, float]:
    """Return the values by ``name{cmd,le}``."""
    samples = [sample for sample in items if isinstance(sample, Sample)]
    read = {f"{s.metric.name}{s.suffix}{{{','.join(filter(None, (*s.labels, s.edge)))}}}": s.value for s in samples}
    assert len(read) == len(samples), "duplicate series"
    return read


def test_edges_are_those_of_the_server() -> None:
    assert EDGES[:12] == (1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113)
    assert EDGES[-1] == 541065


@pytest.mark.parametrize("server", recorded.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    """Each edge of a real server is in ``EDGES``, and each command has its sum, whatever its name."""
    replies = recorded.replies(server)
    items = list(await COLLECTOR.for_target().collect(Server(), recorded.commands(server), COLLECTOR.options()))
    assert all(isinstance(item, Sample) for item in items)
    values = series(items)
    commands = dict(zip(replies["LATENCY HISTOGRAM"][::2], replies["LATENCY HISTOGRAM"][1::2], strict=True))
    for command, (_, calls, _, numbers) in commands.items():
        name = command.decode()
        assert values[f"command_latency_seconds_count{{{name}}}"] == calls
        assert f"commands_latencies_usec_sum{{{name}}}" in values
        for edge, count in zip(numbers[::2], numbers[1::2], strict=True):
            assert edge in EDGES
            assert values[f"command_latency_seconds_bucket{{{name},{edge / 1e6!r}}}"] == count
            assert values[f"commands_latencies_usec_bucket{{{name},{edge}}}"] == count
    assert (
        values["command_latency_seconds_sum{georadius_ro}"] == values["commands_latencies_usec_sum{georadius_ro}"] / 1e6
    )


async def test_histogram_in_microseconds_has_the_buckets_of_the_server() -> None:
    assert series(await collect([*GET], seconds=False)) == {
        "commands_latencies_usec_bucket{get,16}": 4,
        "commands_latencies_usec_bucket{get,66}": 10,
        "commands_latencies_usec_bucket{get,+Inf}": 10,
        "commands_latencies_usec_sum{get}": 400,
        "commands_latencies_usec_count{get}": 10,
    }


async def test_histogram_in_seconds_has_the_same_edges_for_each_command() -> None:
    values = series(await collect([*GET, *CONFIG], microseconds=False))
    edges = {
        name: [match[1] for key in values if (match := re.search(rf"_bucket{{{re.escape(name)},(.*)}}", key))]
        for name in ("get", "config|get")
    }
    assert edges["get"] == edges["config|get"]
    assert [float(edge) for edge in edges["get"]] == [*(edge / 1e6 for edge in EDGES), float("inf")]
    counts = [values[f"command_latency_seconds_bucket{{get,{edge}}}"] for edge in edges["get"]]
    assert counts == [0, 0, 0, 0, 4, 4, *[10] * 15]
    assert values["command_latency_seconds_sum{get}"] == 0.0004


async def test_call_longer_than_a_second_is_in_no_finite_bucket() -> None:
    """The server records 2 s as 1 s, so a bucket up to 1.07 s would wrongly contain the call."""
    values = series(await collect(SEARCH))
    assert values["command_latency_seconds_bucket{ft.search,0.541065}"] == 0
    assert values["command_latency_seconds_bucket{ft.search,+Inf}"] == 1
    assert values["command_latency_seconds_sum{ft.search}"] == 2
    assert values["commands_latencies_usec_bucket{ft.search,1.073741e+06}"] == 1


async def test_unknown_edge_counts_from_the_next_edge_on() -> None:
    values = series(await collect([b"get", [b"calls", 3, b"histogram_usec", [20, 2, 10_000_000, 3]]]))
    assert values["command_latency_seconds_bucket{get,1.6e-05}"] == 0
    assert values["command_latency_seconds_bucket{get,3.3e-05}"] == 2
    assert values["command_latency_seconds_bucket{get,0.541065}"] == 2
    assert values["commands_latencies_usec_bucket{get,1e+07}"] == 3


async def test_without_info_there_are_buckets_but_no_sum() -> None:
    values = series(await collect(GET, PermissionDeniedError("no")))
    assert not [name for name in values if "_sum" in name or "_count" in name]
    assert values["command_latency_seconds_bucket{get,6.6e-05}"] == 10


@pytest.mark.parametrize("info", [INFO, PermissionDeniedError("no")])
async def test_parser_of_openmetrics_reads_the_samples(info: str | TargetError) -> None:
    items = await collect([*GET, *GEO, *SEARCH], info)
    lines = render("it", (item for item in items if isinstance(item, Sample)))
    text = (
        b"".join(family_header(m.full_name, m.kind, m.help, openmetrics=True) + lines[m] for m in (USEC, SECONDS))
        + b"# EOF\n"
    )
    families = {family.name: family for family in read_openmetrics(text.decode())}
    assert {"redis_commands_latencies_usec", "redis_command_latency_seconds"} == families.keys()


async def test_most_called_commands_have_series_and_others_are_merged() -> None:
    items = await collect([*GEO, *GET, *CONFIG], NO_TIMES, max_commands=1)
    values = series(items)
    assert values["command_latency_seconds_bucket{get,+Inf}"] == 10
    assert values["command_latency_seconds_bucket{overflow,+Inf}"] == 3
    assert values["commands_latencies_usec_bucket{overflow,16}"] == 1
    assert values["commands_latencies_usec_bucket{overflow,33}"] == 3
    assert [item.values for item in items if isinstance(item, OverflowCount)] == [2]


async def test_command_keeps_its_series_when_others_are_called_more() -> None:
    """Otherwise the counters of ``overflow`` would fall each time, which looks like a restart."""
    collector = COLLECTOR.for_target()
    await collect(GEO, NO_TIMES, collector=collector, max_commands=1)
    values = series(await collect([*GEO, *GET], NO_TIMES, collector=collector, max_commands=1))
    assert values["command_latency_seconds_bucket{georadius_ro,+Inf}"] == 1
    assert values["command_latency_seconds_bucket{overflow,+Inf}"] == 10


async def test_command_with_the_name_overflow_is_counted_there() -> None:
    overflow = [b"overflow", [b"calls", 50, b"histogram_usec", [1, 50]]]
    values = series(await collect([*overflow, *GET], NO_TIMES, max_commands=1))
    assert values["command_latency_seconds_bucket{overflow,+Inf}"] == 60


async def test_only_configured_commands_are_requested() -> None:
    values = series(await collect(CONFIG, commands=("config|get",)))
    assert values["command_latency_seconds_count{config|get}"] == 2


async def test_unreadable_part_does_not_affect_other_parts() -> None:
    bad = [b"set", [b"calls", 1, b"histogram_usec", [16, 2]], None, GET[1], *GET]
    items = await collect([*bad, *GET])
    assert series(items)["command_latency_seconds_count{get}"] == 10
    assert [item.location for item in items if isinstance(item, UnreadableField)] == [
        "LATENCY HISTOGRAM/histogram_usec"
    ] * 3


async def test_reply_that_is_not_a_list_is_unreadable() -> None:
    assert await collect(b"OK") == [UnreadableField("LATENCY HISTOGRAM")]
    assert await collect([]) == []


async def test_error_is_raised() -> None:
    with pytest.raises(UnknownCommandError):
        await collect(UnknownCommandError("unknown subcommand"))


def test_sentinel_has_no_histograms() -> None:
    assert COLLECTOR.applies(Server(mode="standalone"))
    assert not COLLECTOR.applies(Server(mode="sentinel"))


async def test_command_with_a_large_share_of_the_time_is_never_merged() -> None:
    """A search that is called once an hour may be what keeps the server busy."""
    items = await collect([*GET, *CONFIG, *GEO, *SEARCH], max_commands=1)
    values = series(items)
    assert values["commands_latencies_usec_count{ft.search}"] == 1
    assert values["commands_latencies_usec_count{overflow}"] == 13
    assert values["command_latency_seconds_sum{overflow}"] == 469 / 1e6
    assert [item.values for item in items if isinstance(item, OverflowCount)] == [3]


async def test_limit_is_passed_rather_than_a_command_with_a_large_share_merged() -> None:
    collector = COLLECTOR.for_target()
    await collect(GET, collector=collector, max_commands=1)
    values = series(await collect([*GET, *CONFIG, *SEARCH], collector=collector, max_commands=1))
    assert values["commands_latencies_usec_count{get}"] == 10
    assert values["commands_latencies_usec_count{ft.search}"] == 1
    assert values["commands_latencies_usec_count{overflow}"] == 2


async def test_commands_with_large_shares_do_not_grow_without_limit() -> None:
    names = [f"c{number}" for number in range(45)]
    collector = COLLECTOR.for_target()
    for batch in (names[:15], names[15:30], names[30:]):
        info = "# Commandstats\r\n" + "".join(f"cmdstat_{name}:calls=1,usec=100\r\n" for name in batch)
        reply = [part for name in batch for part in (name.encode(), [b"calls", 1, b"histogram_usec", [16, 1]])]
        await collect(reply, info, collector=collector, max_commands=1)
    assert len(collector._limiter.kept) <= 1 + MAX_SLOW
