from typing import Any

import pytest

from redis_pulse.collectors.latencystats import COLLECTOR, LatencyStatsOptions
from redis_pulse.errors import EmptyReplyError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests import recordings
from tests.fakes import FakeCommands, every_info

STATS = "# Commandstats\ncmdstat_get:calls=4,usec=20\n# Latencystats\n"
Values = dict[tuple[str, ...], float]


async def read(reply: Any, **options: Any) -> tuple[Values, list[CollectorItem]]:
    """Return the values by name with suffix, command and quantile, and the other items."""
    commands = FakeCommands(every_info(reply))
    items = list(await COLLECTOR.for_target().collect(Server(), commands, LatencyStatsOptions(**options)))
    samples = [one for one in items if isinstance(one, Sample)]
    values = {
        (one.metric.full_name + one.suffix, *one.labels, *([one.edge] if one.edge else [])): one.value
        for one in samples
    }
    assert len(values) == len(samples), "duplicate series"
    return values, [one for one in items if not isinstance(one, Sample)]


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    """Redis 6.2 does not have this section."""
    values, rest = await read(recordings.info(server))
    assert rest == []
    if server.startswith("redis-6"):
        assert values == {}
        return
    median, highest = (values["redis_latency_percentiles_usec", "get", percentile] for percentile in ("50", "99.9"))
    assert 0 < median <= highest
    assert values["redis_latency_percentiles_usec_count", "get"] == 51
    assert values["redis_latency_percentiles_seconds_sum", "get"] > 0


async def test_summary_in_seconds_comes_with_the_one_of_redis_exporter() -> None:
    values, rest = await read(f"{STATS}latency_percentiles_usec_get:p50=1.003,p99=12.031,p99.9=90.111\n")
    assert values == {
        ("redis_latency_percentiles_usec", "get", "50"): 1.003,
        ("redis_latency_percentiles_usec", "get", "99"): 12.031,
        ("redis_latency_percentiles_usec", "get", "99.9"): 90.111,
        ("redis_latency_percentiles_usec_sum", "get"): 20,
        ("redis_latency_percentiles_usec_count", "get"): 4,
        ("redis_latency_percentiles_seconds", "get", "0.5"): pytest.approx(1.003e-6),
        ("redis_latency_percentiles_seconds", "get", "0.99"): pytest.approx(12.031e-6),
        ("redis_latency_percentiles_seconds", "get", "0.999"): pytest.approx(90.111e-6),
        ("redis_latency_percentiles_seconds_sum", "get"): 20e-6,
        ("redis_latency_percentiles_seconds_count", "get"): 4,
    }
    assert not rest


async def test_summary_in_microseconds_can_be_disabled() -> None:
    values, _ = await read(f"{STATS}latency_percentiles_usec_get:p50=1.003\n", microseconds=False)
    assert {name for name, *_ in values} == {
        f"redis_latency_percentiles_seconds{suffix}" for suffix in ("", "_sum", "_count")
    }


@pytest.mark.parametrize(("percentile", "quantile"), [("0", "0"), ("100", "1"), ("99.99", "0.9999"), ("7", "0.07")])
async def test_percentiles_are_those_configured_on_the_server(percentile: str, quantile: str) -> None:
    values, _ = await read(f"{STATS}latency_percentiles_usec_get:p{percentile}=5\n")
    assert values["redis_latency_percentiles_usec", "get", percentile] == 5
    assert values["redis_latency_percentiles_seconds", "get", quantile] == 5e-6


async def test_without_commandstats_there_are_only_quantiles() -> None:
    values, _ = await read("# Latencystats\nlatency_percentiles_usec_get:p50=1\n")
    assert set(values) == {
        ("redis_latency_percentiles_usec", "get", "50"),
        ("redis_latency_percentiles_seconds", "get", "0.5"),
    }


async def test_commands_beyond_the_limit_are_left_out_and_counted() -> None:
    stats = "".join(f"cmdstat_c{number}:calls={number},usec=1\n" for number in range(4))
    quantiles = "".join(f"latency_percentiles_usec_c{number}:p50=1\n" for number in range(4))
    values, rest = await read(f"# Commandstats\n{stats}# Latencystats\n{quantiles}", max_commands=1)
    assert {cmd for _, cmd, *_ in values} == {"c3"}
    assert rest == [OverflowCount("Latencystats/latency_percentiles_usec_X", 3)]


async def test_unreadable_percentile_does_not_affect_others() -> None:
    line = "latency_percentiles_usec_get:p50=nan,p=1,q50=2,p99=3,p99.0=4,p1_0=5,p٣=6,p101=7,p60=-1"
    values, rest = await read(f"{STATS}{line}\nlatency_percentiles_usec_set:\nlatency_percentiles_usec_del:p50\n")
    assert {key for key in values if len(key) == 3} == {
        ("redis_latency_percentiles_usec", "get", "99"),
        ("redis_latency_percentiles_seconds", "get", "0.99"),
    }
    assert rest == [UnreadableField("Latencystats/latency_percentiles_usec_X")] * 8
    assert not [key for key in values if key[1] != "get"]


async def test_unreadable_sum_is_left_out() -> None:
    values, _ = await read(
        "# Commandstats\ncmdstat_get:calls=x,usec=1\n# Latencystats\nlatency_percentiles_usec_get:p50=1\n"
    )
    assert not [name for name, *_ in values if name.endswith(("_sum", "_count"))]


async def test_missing_section_gives_no_sample() -> None:
    assert await read(b"# Server\r\nhz:10\r\n") == ({}, [])


@pytest.mark.parametrize("reply", [None, [], b"", b"\xff\x00"])
async def test_reply_without_any_field_is_an_error(reply: Any) -> None:
    with pytest.raises(EmptyReplyError):
        await read(reply)


def test_sentinel_has_no_latencystats() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))
