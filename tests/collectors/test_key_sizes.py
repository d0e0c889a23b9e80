"""Gauge histograms of INFO keysizes: the server names a bucket by its smallest size, Prometheus by its largest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.key_sizes import COLLECTOR, STARTS, KeySizesOptions, parse_counts
from redis_pulse.metric import OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests import recordings
from tests.fakes import FakeCommands, every_info

Values = dict[tuple[str, ...], float]


async def read(info: str | bytes, **options: Any) -> tuple[Values, list[Any]]:
    """Return the counts by name, labels and edge, and all other items."""
    items = list(await COLLECTOR.collect(Server(), FakeCommands(every_info(info)), KeySizesOptions(**options)))
    samples = [item for item in items if isinstance(item, Sample)]
    values = {(one.metric.name, *one.labels, one.edge): one.value for one in samples}
    assert len(values) == len(samples), "duplicate series"
    return values, [item for item in items if not isinstance(item, Sample)]


def keysizes(*lines: str) -> str:
    return "\r\n".join(["# Keysizes", *lines, ""])


async def test_bucket_of_the_server_ends_before_its_next_one() -> None:
    values, others = await read(keysizes("db0_distrib_strings_sizes:0=1,1=1,2=2,2K=2,4M=1"))
    name = ("key_size_bytes", "db0", "string")
    edges = {edge: values[*name, edge] for edge in ("0", "1", "3", "2047", "4095", "4194303", "8388607", "+Inf")}
    assert edges == {"0": 1, "1": 2, "3": 4, "2047": 4, "4095": 6, "4194303": 6, "8388607": 7, "+Inf": 7}
    assert others == []


async def test_all_distributions_have_the_same_edges() -> None:
    """A sum over databases or servers needs this, also while a bucket is empty."""
    values, _ = await read(keysizes("db0_distrib_lists_items:1=1", "db1_distrib_lists_items:1K=1"))
    edges = [[edge for _, db, _, edge in values if db == wanted] for wanted in ("db0", "db1")]
    assert edges[0] == edges[1]
    assert len(edges[0]) == len(STARTS) + 1
    assert edges[0][-2:] == ["1073741823", "+Inf"]


async def test_types_have_the_names_of_the_command_type() -> None:
    lines = [f"db0_distrib_{name}:1=1" for name in ("lists_items", "sets_items", "zsets_items", "hashes_items")]
    values, _ = await read(keysizes(*lines, "db0_distrib_hashes_sizes:64=1"))
    assert {labels[:3] for labels in values} == {
        ("key_size_items", "db0", "list"),
        ("key_size_items", "db0", "set"),
        ("key_size_items", "db0", "zset"),
        ("key_size_items", "db0", "hash"),
        ("key_size_bytes", "db0", "hash"),
    }


async def test_size_beyond_the_last_edge_is_only_in_inf() -> None:
    values, _ = await read(keysizes("db0_distrib_lists_items:1=1,4G=2"))
    assert values["key_size_items", "db0", "list", "1073741823"] == 1
    assert values["key_size_items", "db0", "list", "+Inf"] == 3


async def test_databases_beyond_the_limit_are_summed() -> None:
    lines = [f"db{number}_distrib_sets_items:1=1,8={number}" for number in range(4)]
    values, others = await read(keysizes(*lines), max_databases=2)
    assert {labels[1] for labels in values} == {"db0", "db1", "overflow"}
    assert values["key_size_items", "overflow", "set", "1"] == 2
    assert values["key_size_items", "overflow", "set", "+Inf"] == 7
    assert others == [OverflowCount("Keysizes/dbN_distrib_TYPE_items", 2)]


async def test_types_beyond_the_limit_are_counted() -> None:
    """No real server has so many types. The names would come from the server, so they have a limit."""
    lines = [f"db0_distrib_{letter * 3}_items:1=1" for letter in "abcdefghijklm"]
    values, others = await read(keysizes(*lines))
    assert len({key_type for _, _, key_type, _ in values}) == 10
    assert others == [OverflowCount("Keysizes/dbN_distrib_TYPE_items", 1)] * 3


@pytest.mark.parametrize("text", ["3=1", "1=x", "x=1", "1=-1", "2X=1", "1K1=1"])
async def test_malformed_line_is_counted_and_left_out(text: str) -> None:
    values, others = await read(keysizes(f"db0_distrib_sets_items:{text}", "db0_distrib_lists_items:1=1"))
    assert {labels[2] for labels in values} == {"list"}
    assert others == [UnreadableField("Keysizes/dbN_distrib_TYPE_items")]


async def test_server_without_the_section_has_no_series() -> None:
    assert await read(recordings.info("redis-7.0.15")) == ({}, [])


@pytest.mark.parametrize("server", ["redis-8.0.6", "redis-8.2.3"])
async def test_real_server_counts_as_many_keys_as_its_keyspace(server: str) -> None:
    values, others = await read(recordings.info(server))
    sums: dict[str, float] = {}
    for (_, db, _, edge), value in values.items():
        if edge == "+Inf":
            sums[db] = sums.get(db, 0) + value
    assert sums == {"db0": 50, "db3": 1}
    assert others == []


def test_sentinel_has_no_keys() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))


@given(st.dictionaries(st.sampled_from(STARTS), st.integers(0, 2**40)))
def test_all_counts_are_kept(counts: dict[int, int]) -> None:
    text = ",".join(f"{start}={count}" for start, count in counts.items())
    assert parse_counts(text) == [*(counts.get(start, 0) for start in STARTS), 0]
