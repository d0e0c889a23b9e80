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

#: As the modules of Valkey write it.
VALKEY = (
    "# Modules\r\nmodule:name=search,ver=10000,api=1,filters=0,usedby=[],using=[],options=[]\r\n"
    "\r\n# search_coordinator\r\nsearch_number_of_indexes:2\r\n# search_query\r\nsearch_successful_requests_count:7\r\n"
    "\r\n# bf_bloom_core_metrics\r\nbf_bloom_num_objects:3\r\nbf_bloom_defrag_hits:1\r\n"
    "\r\n# json_core_metrics\r\njson_total_memory_bytes:512\r\njson_num_documents:4\r\n"
)
Values = dict[tuple[str, ...], float]


async def read(reply: Any) -> tuple[Values, list[str]]:
    """Return the values by name and labels, and the locations of unreadable fields."""
    commands = FakeCommands(every_info(reply))
    items = list(await COLLECTOR.collect(Server(), commands, Options()))
    samples = [one for one in items if isinstance(one, Sample)]
    values = {(one.metric.name, *one.labels): one.value for one in samples}
    assert len(values) == len(samples), "duplicate series"
    return values, [one.location for one in items if isinstance(one, UnreadableField)]


async def test_all_modules_of_a_real_server_have_their_metrics() -> None:
    """Redis 8.2 has the search, JSON and bloom modules, and vector sets as a fourth module."""
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
async def test_real_replies_are_read_completely(server: str) -> None:
    values, unreadable = await read(recordings.info(server))
    assert unreadable == []
    names = {labels[0] for name, *labels in values if name == "module_info"}
    expected = {"valkey-9.1.2": {"lua"}, "redis-8.0.6": {"vectorset"}, "redis-8.2.3": {"vectorset"}}
    assert names == expected.get(server, names if server.endswith("-modules") else set())


async def test_modules_of_valkey_are_read() -> None:
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


async def test_module_line_is_read_by_names_in_any_order() -> None:
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
async def test_correct_metric_comes_with_the_one_of_redis_exporter(field: str, name: str, value: float) -> None:
    assert (await read(f"# search_x\n{field}:1500\n"))[0][name,] == value


async def test_unreadable_number_does_not_affect_other_samples() -> None:
    values, unreadable = await read("# search_index\nsearch_number_of_indexes:many\nsearch_global_total:1\n")
    assert values == {("search_global_total",): 1}
    assert unreadable == ["Modules/search_number_of_indexes"]


def test_each_field_of_a_module_starts_with_its_name() -> None:
    """The server ensures it for all modules. So no other section can have such a field."""
    assert all(metric.field.startswith(("search_", "bf_", "json_")) for metric in MODULE_METRICS)


@given(
    st.lists(
        st.builds("module:{}".format, st.text(max_size=20))
        | st.builds("{}:{}".format, st.sampled_from([metric.field for metric in MODULE_METRICS]), st.text(max_size=6))
        | st.sampled_from(["# Modules", "# search_index", "module:name=a", "module:name=a,usedby=[", "module:name=="]),
        max_size=20,
    )
)
async def test_any_text_is_read_without_an_exception(lines: list[str]) -> None:
    values, _ = await read("\r\n".join(["hz:10", *lines]).encode("utf-8", errors="surrogatepass"))
    assert all(len(key) == 7 for key in values if key[0] == "module_info")


async def test_server_without_modules_gives_no_sample() -> None:
    assert await read(b"# Server\r\nhz:10\r\n") == ({}, [])


@pytest.mark.parametrize("reply", [None, [], b"", b"\xff\x00"])
async def test_reply_without_any_field_is_an_error(reply: Any) -> None:
    with pytest.raises(EmptyReplyError):
        await read(reply)


def test_sentinel_has_no_modules() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))
