from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.modules import COLLECTOR, MODULE_METRICS
from redis_pulse.config import Options
from redis_pulse.errors import EmptyReplyError
from redis_pulse.metric import Sample, UnreadableField
from redis_pulse.server_info import Server
from tests import recordings
from tests.fakes import FakeCommands, every_info

#: As Valkey's own modules write it.
VALKEY = (
    "# Modules\r\nmodule:name=search,ver=10000,api=1,filters=0,usedby=[],using=[],options=[]\r\n"
    "\r\n# search_coordinator\r\nsearch_number_of_indexes:2\r\n# search_query\r\nsearch_successful_requests_count:7\r\n"
    "\r\n# bf_bloom_core_metrics\r\nbf_bloom_num_objects:3\r\nbf_bloom_defrag_hits:1\r\n"
    "\r\n# json_core_metrics\r\njson_total_memory_bytes:512\r\njson_num_documents:4\r\n"
)
Values = dict[tuple[str, ...], float]


async def read(reply: Any) -> tuple[Values, list[str]]:
    """Return values by name and labels, and the places that could not be read."""
    commands = FakeCommands(every_info(reply))
    found = list(await COLLECTOR.collect(Server(), commands, Options()))
    samples = [one for one in found if isinstance(one, Sample)]
    values = {(one.metric.name, *one.labels): one.value for one in samples}
    assert len(values) == len(samples), "a series stands twice"
    return values, [one.location for one in found if isinstance(one, UnreadableField)]


async def test_every_module_of_a_real_server_is_there_and_says_its_numbers() -> None:
    """Redis 8.2 with the search, JSON and bloom modules; its vector sets are a module too."""
    values, unreadable = await read(recordings.info("redis-8.2.3-modules"))
    assert unreadable == []
    assert {labels[0]: tuple(labels[1:]) for name, *labels in values if name == "module_info"} == {
        "ReJSON": ("20803", "1", "0", "[search]", "[]"),
        "search": ("21005", "1", "0", "[]", "[ReJSON]"),
        "bf": ("20802", "1", "0", "[]", "[]"),
        "vectorset": ("1", "1", "0", "[]", "[]"),
    }
    assert values["search_number_of_indexes",] == 1
    assert values["search_used_memory_indexes_bytes",] > 0
    assert values["search_dialect_2",] == 1
    assert ("search_cycles_total",) in values


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_real_replies_are_read_without_a_rest(server: str) -> None:
    values, unreadable = await read(recordings.info(server))
    assert unreadable == []
    names = {labels[0] for name, *labels in values if name == "module_info"}
    expected = {"valkey-9.1.2": {"lua"}, "redis-8.2.3": {"vectorset"}}
    assert names == expected.get(server, names if server.endswith("-modules") else set())


async def test_the_modules_of_valkey_are_read_too() -> None:
    values, unreadable = await read(VALKEY)
    assert values == {
        ("module_info", "search", "10000", "1", "0", "[]", "[]"): 1,
        ("search_number_of_indexes",): 2,
        ("search_successful_requests_count",): 7,
        ("bf_bloom_num_objects",): 3,
        ("bf_bloom_defrag_hits_total",): 1,
        ("json_total_memory_bytes",): 512,
        ("json_num_documents",): 4,
    }
    assert not unreadable


async def test_a_module_line_is_read_by_name_whatever_else_it_says() -> None:
    values, unreadable = await read(
        "# Modules\nmodule:ver=2,new=[a,b],name=x,using=[y,z]\n"
        "module:name=y,ver=1,api=1\nmodule:\nmodule:name=y,ver=1,api=1\n"
    )
    assert set(values) == {("module_info", "x", "2", "", "", "", "[y,z]"), ("module_info", "y", "1", "1", "", "", "")}
    assert unreadable == ["Modules/module"] * 2


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        ("search_total_indexing_time", "search_indexing_time_ms_total", 1500),
        ("search_total_indexing_time", "search_indexing_seconds_total", 1.5),
        ("search_gc_total_ms_run", "search_gc_run_seconds_total", 1.5),
        ("search_total_query_execution_time_ms", "search_query_execution_seconds_total", 1.5),
        ("search_total_active_queries", "search_queries_active", 1500),
    ],
)
async def test_a_right_name_stands_beside_a_wrong_one(field: str, name: str, value: float) -> None:
    assert (await read(f"# search_x\n{field}:1500\n"))[0][name,] == value


async def test_a_bad_number_costs_its_own_sample_only() -> None:
    values, unreadable = await read("# search_index\nsearch_number_of_indexes:many\nsearch_global_total:1\n")
    assert values == {("search_global_total",): 1}
    assert unreadable == ["Modules/search_number_of_indexes"]


def test_every_field_of_a_module_begins_with_its_name() -> None:
    """The server sees to it that modules name theirs so; thus no other section can lend a field."""
    assert all(row.field.startswith(("search_", "bf_", "json_")) for row in MODULE_METRICS)


@given(
    st.lists(
        st.builds("module:{}".format, st.text(max_size=20))
        | st.builds("{}:{}".format, st.sampled_from([row.field for row in MODULE_METRICS]), st.text(max_size=6))
        | st.sampled_from(["# Modules", "# search_index", "module:name=a", "module:name=a,usedby=[", "module:name=="]),
        max_size=20,
    )
)
async def test_no_text_breaks_it(lines: list[str]) -> None:
    values, _ = await read("\r\n".join(["hz:10", *lines]).encode("utf-8", errors="surrogatepass"))
    assert all(len(key) == 7 for key in values if key[0] == "module_info")


async def test_a_server_without_modules_says_nothing() -> None:
    assert await read(b"# Server\r\nhz:10\r\n") == ({}, [])


@pytest.mark.parametrize("reply", [None, [], b"", b"\xff\x00"])
async def test_a_server_that_tells_nothing_at_all_is_an_error(reply: Any) -> None:
    with pytest.raises(EmptyReplyError):
        await read(reply)


def test_a_sentinel_loads_none() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))
