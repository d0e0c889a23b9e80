from typing import Any

import pytest

from redis_pulse.collectors.errorstats import COLLECTOR, ErrorStatsCollector, ErrorStatsOptions
from redis_pulse.errors import EmptyReplyError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests import recordings
from tests.fakes import FakeCommands, every_info


async def read(
    reply: Any, collector: ErrorStatsCollector | None = None, **options: Any
) -> tuple[dict[str, float], list[CollectorItem]]:
    """Return the counts by code, and the other items."""
    commands = FakeCommands(every_info(reply))
    collector = collector or COLLECTOR.for_target()
    items = list(await collector.collect(Server(), commands, ErrorStatsOptions(**options)))
    samples = [one for one in items if isinstance(one, Sample)]
    assert {one.metric.full_name for one in samples} <= {"redis_errors_total"}
    values = {one.labels[0]: one.value for one in samples}
    assert len(values) == len(samples), "duplicate series"
    return values, [one for one in items if not isinstance(one, Sample)]


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    values, rest = await read(recordings.info(server))
    assert rest == []
    assert values["WRONGTYPE"] >= 2
    assert (values["NOSCRIPT"], values.get("MADEUP", 1)) == (1, 1)


async def test_codes_invented_by_scripts_make_a_limited_number_of_series() -> None:
    lines = "".join(f"errorstat_CODE{number}:count=1\r\n" for number in range(300))
    values, rest = await read(f"# Errorstats\r\nerrorstat_ERR:count=9\r\n{lines}")
    assert len(values) == 50 + 1
    assert (values["ERR"], values["overflow"]) == (9, 300 - 49)
    assert rest == [OverflowCount("Errorstats/errorstat_X:count", 300 - 49)]


async def test_code_keeps_its_series_when_others_grow_larger() -> None:
    collector = COLLECTOR.for_target()
    await read("# Errorstats\nerrorstat_A:count=2\nerrorstat_B:count=1\n", collector, max_errors=1)
    values, _ = await read("# Errorstats\nerrorstat_A:count=2\nerrorstat_B:count=99\n", collector, max_errors=1)
    assert values == {"A": 2, "overflow": 99}


async def test_code_with_separators_is_separated_from_its_count() -> None:
    values, rest = await read("# Errorstats\nerrorstat_a=b,c:count=2\nerrorstat_:count=1\nerrorstat_X:y:count=3\n")
    assert values == {"a=b,c": 2, "": 1}
    assert rest == [UnreadableField("Errorstats/errorstat_X:count")]  # servers write _ instead of : in a code


async def test_unreadable_count_does_not_affect_other_counts() -> None:
    values, rest = await read("# Errorstats\nerrorstat_A:count=nan\nerrorstat_B:count=1\nerrorstat_C:\n")
    assert values == {"B": 1}
    assert rest == [UnreadableField("Errorstats/errorstat_X:count")] * 2


async def test_missing_section_gives_no_sample() -> None:
    assert await read(b"# Server\r\nhz:10\r\n") == ({}, [])


@pytest.mark.parametrize("reply", [None, [], b"", b"\xff\x00"])
async def test_reply_without_any_field_is_an_error(reply: Any) -> None:
    with pytest.raises(EmptyReplyError):
        await read(reply)


def test_sentinel_has_no_errorstats() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))
