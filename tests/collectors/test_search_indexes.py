from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.search_indexes import COLLECTOR, ROWS, SearchIndexesCollector, SearchOptions
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


def values(found: list[CollectorItem], index: str) -> dict[str, float]:
    samples = [one for one in found if isinstance(one, Sample) and one.labels == (index,)]
    return {one.metric.name.removeprefix("search_index_"): one.value for one in samples}


@pytest.mark.parametrize("server", keys.SEARCH)
async def test_a_real_index_fills_every_row(server: str) -> None:
    found = await read(FakeCommands(keys.replies(server, "search")))
    got = values(found, "products")
    assert len(got) == len(ROWS) == 24
    assert (got["num_docs"], got["num_records"], got["hash_indexing_failures"]) == (50, 350, 1)
    assert (got["percent_indexed"], got["number_of_uses_total"], got["avg_per_doc_records"]) == (1, 4, 7)
    assert got["vector_index_size_bytes"] == pytest.approx(0.0179901123046875 * 1048576)
    assert not any(isinstance(one, UnreadableField) for one in found)


@pytest.mark.parametrize("server", keys.SEARCH)
async def test_means_of_an_empty_index_are_no_numbers_and_no_samples(server: str) -> None:
    got = values(await read(FakeCommands(keys.replies(server, "search")), patterns="^empty$"), "empty")
    assert got["num_docs"] == 0
    assert not [name for name in got if name.startswith("avg_")]
    assert len(got) == len(ROWS) - 4


async def test_only_indexes_that_an_expression_finds_are_asked() -> None:
    commands = FakeCommands({"FT._LIST": [b"cart", b"user:1", b"user:2"], "FT.INFO user:2": [b"num_docs", b"7"]})
    assert values(await read(commands, patterns=["2$", "^none"]), "user:2") == {"num_docs": 7}


async def test_an_index_whose_name_is_no_text_is_counted_and_the_others_stay() -> None:
    commands = FakeCommands({"FT._LIST": [b"a", 7, None], "FT.INFO a": [b"num_docs", 7]})
    found = await read(commands)
    assert found.count(UnreadableField("FT._LIST")) == 2
    assert values(found, "a") == {"num_docs": 7}


async def test_indexes_beyond_the_limit_are_counted() -> None:
    commands = FakeCommands({"FT._LIST": [b"a", b"b", b"c"], "FT.INFO a": [b"num_docs", 7]})
    found = await read(commands, max_indexes=1)
    assert OverflowCount("FT._LIST", 2) in found
    assert values(found, "a") == {"num_docs": 7}


async def test_an_index_that_is_gone_costs_only_itself() -> None:
    replies: Any = {
        "FT._LIST": [b"a", b"b"],
        "FT.INFO a": TargetError("Unknown index name"),
        "FT.INFO b": [b"num_docs", 1],
    }
    found = await read(FakeCommands(replies))
    assert UnreadableField("FT.INFO") in found
    assert values(found, "b") == {"num_docs": 1}


@pytest.mark.parametrize("error", [UnknownCommandError("unknown command"), PermissionDeniedError("no")])
async def test_a_server_without_the_module_is_the_runners_business(error: TargetError) -> None:
    with pytest.raises(type(error)):
        await read(FakeCommands({"FT._LIST": error}))
    with pytest.raises(type(error)):
        await read(FakeCommands({"FT._LIST": [b"a"], "FT.INFO a": error}))


@given(ODD, ODD)
async def test_no_reply_breaks_it(listed: Any, info: Any) -> None:
    await read(FakeCommands({"FT._LIST": listed}), max_indexes=1, patterns="^$")
    await read(FakeCommands({"FT._LIST": [b"a"], "FT.INFO a": info}))


def test_targets_remember_their_own_indexes() -> None:
    assert COLLECTOR.for_target() is not COLLECTOR
    assert not COLLECTOR.applies(Server(mode="sentinel"))
