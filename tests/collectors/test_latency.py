from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.latency import COLLECTOR
from redis_pulse.config import Options
from redis_pulse.metric import Sample, UnreadableField
from redis_pulse.server_info import Server
from tests import recordings
from tests.fakes import FakeCommands

_PART = st.none() | st.integers() | st.floats() | st.binary(max_size=5) | st.text(max_size=5) | st.lists(st.none())
_EVENTS = st.lists(st.lists(_PART, max_size=6) | _PART, max_size=5) | _PART


async def read(reply: Any) -> tuple[dict[tuple[str, ...], float], list[str]]:
    items = list(await COLLECTOR.collect(Server(), FakeCommands({"LATENCY LATEST": reply}), Options()))
    samples = [sample for sample in items if isinstance(sample, Sample)]
    values = {(sample.metric.full_name, *sample.labels): sample.value for sample in samples}
    assert len(values) == len(samples), "duplicate series"
    return values, [part.location for part in items if isinstance(part, UnreadableField)]


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_real_replies_are_read_completely(server: str) -> None:
    """Valkey 8.1 and later add a sum and a count to each event."""
    values, unreadable = await read(recordings.nested(server, "latency-latest"))
    assert not unreadable
    assert values["redis_latency_spike_last", "command"] > 1.7e9
    assert 0.01 < values["redis_latency_spike_duration_seconds", "command"] < 5
    assert (
        values["redis_latency_spike_max_duration_seconds", "command"]
        >= values["redis_latency_spike_duration_seconds", "command"]
    )
    has_sums = server.startswith(("valkey-8.1", "valkey-9"))
    assert (values.get(("redis_latency_spikes_total", "command"), 0) > 0) == has_sums


async def test_valkey_reports_number_and_total_duration_of_spikes() -> None:
    values, unreadable = await read([[b"command", 1795380000, 6, 71, 1699, 7]])
    assert values == {
        ("redis_latency_spike_last", "command"): 1795380000,
        ("redis_latency_spike_duration_seconds", "command"): 0.006,
        ("redis_latency_spike_max_duration_seconds", "command"): 0.071,
        ("redis_latency_spikes_duration_seconds_total", "command"): 1.699,
        ("redis_latency_spikes_total", "command"): 7,
    }
    assert not unreadable


async def test_reply_without_events_gives_no_sample() -> None:
    assert await read([]) == ({}, [])


async def test_unreadable_part_does_not_affect_other_parts() -> None:
    values, unreadable = await read([[b"fork", b"?", 71, 71], [b"command", 5, 6], [b"aof"], b"x", [None, 1, 2, 3]])
    assert values == {
        ("redis_latency_spike_duration_seconds", "fork"): 0.071,
        ("redis_latency_spike_max_duration_seconds", "fork"): 0.071,
        ("redis_latency_spike_last", "command"): 5,
        ("redis_latency_spike_duration_seconds", "command"): 0.006,
    }
    assert unreadable == [
        "LATENCY LATEST/event",
        "LATENCY LATEST/event",
        "LATENCY LATEST/timestamp",
        "LATENCY LATEST/timestamp",
        "LATENCY LATEST/latest",
    ]


async def test_duplicate_event_makes_one_series() -> None:
    values, unreadable = await read([[b"fork", 1, 1, 1], [b"fork", 2, 2, 2]])
    assert values["redis_latency_spike_last", "fork"] == 1
    assert unreadable == ["LATENCY LATEST/event"]


async def test_events_beyond_the_limit_share_one_series() -> None:
    """It has the newest of their spikes."""
    values, _ = await read([[b"event-%d" % number, 1000 + number % 60, number, 99] for number in range(70)])
    assert len({event for _, event in values}) == 51
    assert values["redis_latency_spike_last", "overflow"] == 1059
    assert values["redis_latency_spike_duration_seconds", "overflow"] == 0.059


async def test_reply_that_is_not_a_list_is_unreadable() -> None:
    assert await read(b"OK") == ({}, ["LATENCY LATEST"])


@given(_EVENTS)
async def test_any_reply_is_read_without_an_exception(reply: Any) -> None:
    values, _ = await read(reply)
    assert all(isinstance(value, float) for value in values.values())


def test_sentinel_has_no_latency_monitor() -> None:
    assert COLLECTOR.applies(Server(mode="cluster"))
    assert not COLLECTOR.applies(Server(mode="sentinel"))
