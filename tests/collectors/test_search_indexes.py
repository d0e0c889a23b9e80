from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.search_indexes import COLLECTOR, INDEX_METRICS, SearchIndexesCollector, SearchOptions
from redis_pulse.errors import PermissionDeniedError, TargetError, UnknownCommandError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fake_keyspace import fake_sleep
from tests.fakes import FakeCommands, ManualClock
from tests.recordings import keys

ODD = st.recursive(
    st.none() | st.integers() | st.sampled_from([b"num_docs", b"inverted_sz_mb", b"-nan", b"1e400", b"\xff"]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)


async def read(commands: FakeCommands, **options: Any) -> list[CollectorItem]:
    clock = ManualClock()
    collector = SearchIndexesCollector(clock, fake_sleep(clock))
    return list(await collector.collect(Server(), commands, SearchOptions(**options)))


def values(items: list[CollectorItem], index: str) -> dict[str, float]:
    samples = [one for one in items if isinstance(one, Sample) and one.labels == (index,)]
    return {one.metric.name.removeprefix("search_index_"): one.value for one in samples}


@pytest.mark.parametrize("server", keys.SEARCH)
async def test_real_index_has_every_metric(server: str) -> None:
    items = await read(FakeCommands(keys.replies(server, "search")))
    actual = values(items, "products")
    assert len(actual) == len(INDEX_METRICS) == 24
    assert (actual["num_docs"], actual["num_records"], actual["hash_indexing_failures"]) == (50, 350, 1)
    assert (actual["percent_indexed"], actual["number_of_uses_total"], actual["avg_per_doc_records"]) == (1, 4, 7)
    assert actual["vector_index_size_bytes"] == pytest.approx(0.0179901123046875 * 1048576)
    assert not any(isinstance(one, UnreadableField) for one in items)


@pytest.mark.parametrize("server", keys.SEARCH)
async def test_means_of_an_empty_index_have_no_samples(server: str) -> None:
    actual = values(await read(FakeCommands(keys.replies(server, "search")), patterns="^empty$"), "empty")
    assert actual["num_docs"] == 0
    assert not [name for name in actual if name.startswith("avg_")]
    assert len(actual) == len(INDEX_METRICS) - 4


async def test_only_indexes_that_an_expression_matches_are_read() -> None:
    commands = FakeCommands({"FT._LIST": [b"cart", b"user:1", b"user:2"], "FT.INFO user:2": [b"num_docs", b"7"]})
    assert values(await read(commands, patterns=["2$", "^none"]), "user:2") == {"num_docs": 7}


async def test_index_name_that_is_not_text_is_counted() -> None:
    commands = FakeCommands({"FT._LIST": [b"a", 7, None], "FT.INFO a": [b"num_docs", 7]})
    items = await read(commands)
    assert items.count(UnreadableField("FT._LIST")) == 2
    assert values(items, "a") == {"num_docs": 7}


async def test_indexes_beyond_the_limit_are_counted() -> None:
    commands = FakeCommands({"FT._LIST": [b"a", b"b", b"c"], "FT.INFO a": [b"num_docs", 7]})
    items = await read(commands, max_indexes=1)
    assert OverflowCount("FT._LIST", 2) in items
    assert values(items, "a") == {"num_docs": 7}


async def test_removed_index_loses_only_its_own_samples() -> None:
    replies: Any = {
        "FT._LIST": [b"a", b"b"],
        "FT.INFO a": TargetError("Unknown index name"),
        "FT.INFO b": [b"num_docs", 1],
    }
    items = await read(FakeCommands(replies))
    assert UnreadableField("FT.INFO") in items
    assert values(items, "b") == {"num_docs": 1}


@pytest.mark.parametrize("error", [UnknownCommandError("unknown command"), PermissionDeniedError("no")])
async def test_error_of_a_server_without_the_module_is_raised(error: TargetError) -> None:
    with pytest.raises(type(error)):
        await read(FakeCommands({"FT._LIST": error}))
    with pytest.raises(type(error)):
        await read(FakeCommands({"FT._LIST": [b"a"], "FT.INFO a": error}))


@given(ODD, ODD)
async def test_any_reply_raises_nothing(listed: Any, info: Any) -> None:
    await read(FakeCommands({"FT._LIST": listed}), max_indexes=1, patterns="^$")
    await read(FakeCommands({"FT._LIST": [b"a"], "FT.INFO a": info}))


def test_each_target_remembers_its_own_indexes() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert not COLLECTOR.applies(Server(mode="sentinel"))
