from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.slowlog import COLLECTOR
from redis_pulse.config import Options
from redis_pulse.errors import PermissionDeniedError
from redis_pulse.metric import Sample, UnreadableField
from redis_pulse.server_info import Server
from tests import recordings
from tests.fakes import FakeCommands

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)


async def read(length: Any, entries: Any) -> tuple[dict[str, float], list[str]]:
    commands = FakeCommands({"SLOWLOG LEN": length, "SLOWLOG GET 1": entries})
    items = list(await COLLECTOR.collect(Server(), commands, Options()))
    values = {sample.metric.full_name: sample.value for sample in items if isinstance(sample, Sample)}
    return values, [part.location for part in items if isinstance(part, UnreadableField)]


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    items = list(await COLLECTOR.collect(Server(), recordings.commands(server), Options()))
    values = {sample.metric.name: sample.value for sample in items if isinstance(sample, Sample)}
    assert len(values) == len(items) == 3
    assert (values["slowlog_length"], values["slowlog_last_id"]) == (1, 0)
    assert 0.01 < values["last_slow_execution_duration_seconds"] < 5


async def test_newest_entry_is_published_in_seconds() -> None:
    values, unreadable = await read(12, [[41, 1795380000, 12071, [b"GET", b"k"], b"127.0.0.1:1", b""]])
    assert values == {
        "redis_slowlog_length": 12,
        "redis_slowlog_last_id": 41,
        "redis_last_slow_execution_duration_seconds": 0.012071,
    }
    assert not unreadable


async def test_empty_slow_log_gives_zeros() -> None:
    values, _ = await read(0, [])
    assert values["redis_slowlog_last_id"] == 0
    assert values["redis_last_slow_execution_duration_seconds"] == 0


async def test_unreadable_part_does_not_affect_other_parts() -> None:
    values, unreadable = await read(b"many", [[41, None, b"fast"]])
    assert values == {"redis_slowlog_last_id": 41}
    assert unreadable == ["SLOWLOG LEN/length", "SLOWLOG GET/duration"]


@given(ODD, ODD)
async def test_any_reply_is_read_without_an_exception(length: Any, entries: Any) -> None:
    values, unreadable = await read(length, entries)
    assert len(values) + len(unreadable) == 3


async def test_error_is_raised() -> None:
    with pytest.raises(PermissionDeniedError):
        await read(PermissionDeniedError("no permission"), [])


def test_sentinel_has_no_slow_log() -> None:
    assert COLLECTOR.applies(Server(mode="standalone"))
    assert not COLLECTOR.applies(Server(mode="sentinel"))
