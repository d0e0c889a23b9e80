from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.tile38 import COLLECTOR, TILE38_METRICS
from redis_pulse.config import Options
from redis_pulse.metric import Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands

#: As Tile38 1.33 writes it: each value is text, and fields of the Go runtime have no prefix.
EXT = [
    *(b"alloc_bytes", b"5308416", b"gc_cpu_fraction", b"1.2e-05", b"go_goroutines", b"14", b"go_threads", b"9"),
    *(b"go_version", b"go1.22", b"heap_alloc_bytes", b"5308417", b"heap_released_bytes", b"4096"),
    *(b"last_gc_time_seconds", b"1.795380000123e+09", b"next_gc_bytes", b"8388608", b"sys_cpus", b"2"),
    *(b"tile38_aof_size", b"1024", b"tile38_avg_point_size", b"33", b"tile38_http_transport", b"true"),
    *(b"tile38_in_memory_size", b"77", b"tile38_max_heap_size", b"0", b"tile38_num_collections", b"3"),
    *(b"tile38_num_hooks", b"1", b"tile38_num_objects", b"1833", b"tile38_num_points", b"1900"),
    *(b"tile38_pointer_size", b"8", b"tile38_read_only", b"false", b"tile38_type", b"leader"),
]


async def read(reply: Any) -> tuple[dict[str, float], list[str]]:
    """Return the values by name, and the locations of unreadable fields."""
    items = list(await COLLECTOR.collect(Server(), FakeCommands({"SERVER EXT": reply}), Options()))
    samples = [one for one in items if isinstance(one, Sample)]
    values = {one.metric.name: one.value for one in samples}
    assert len(values) == len(samples), "duplicate series"
    return values, [one.location for one in items if isinstance(one, UnreadableField)]


async def test_all_metrics_are_in_the_reply_of_a_tile38() -> None:
    values, unreadable = await read(EXT)
    assert set(values) == {metric.name for metric in TILE38_METRICS}
    assert (values["tile38_http_transport"], values["tile38_read_only"]) == (1, 0)
    assert (values["tile38_heap_size_bytes"], values["tile38_last_gc_time_seconds"]) == (5308417, 1795380000.123)
    assert unreadable == []


async def test_unreadable_part_does_not_affect_other_parts() -> None:
    values, unreadable = await read([b"sys_cpus", b"two", b"tile38_num_hooks", b"1", b"go_threads", None, b"half"])
    assert values == {"tile38_num_hooks_total": 1}
    assert unreadable == ["SERVER EXT/tile38_sys_cpus", "SERVER EXT", "SERVER EXT"]


@given(st.lists(st.binary(max_size=8) | st.none() | st.integers() | st.sampled_from(EXT)) | st.binary() | st.none())
async def test_any_reply_is_read_without_an_exception(reply: Any) -> None:
    await read(reply)


@pytest.mark.parametrize(("fields", "applies"), [({"tile38_version": "1.33.0"}, True), ({"redis_version": "7"}, False)])
def test_only_a_tile38_has_it(fields: dict[str, str], applies: bool) -> None:
    server = Server()
    server.update(fields)
    assert COLLECTOR.applies(server) is applies
