"""Collections, points and hooks of a Tile38, and the heap of its Go runtime (SERVER EXT).

redis_tile38_num_objects_total{target="fleet"} 1833
redis_tile38_heap_size_bytes{target="fleet"} 5.308416e+06
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.commands import Args, Commands
from redis_pulse.config import Options
from redis_pulse.metric import MetricSpec, Sample, UnreadableField, gauge
from redis_pulse.parse.reply import as_pairs
from redis_pulse.server_info import SERVER_EXT, Server

_SECTION = "SERVER EXT"
#: The server writes fields of the Go runtime without this prefix.
_PREFIX = "tile38_"

# fmt: off
TILE38_METRICS: tuple[MetricSpec, ...] = (
    gauge(_SECTION, "tile38_aof_size", "tile38_aof_size_bytes", "Size of the append-only file."),
    gauge(_SECTION, "tile38_avg_point_size", "tile38_avg_item_size_bytes", "Heap divided by points."),
    gauge(_SECTION, "tile38_sys_cpus", "tile38_cpus_total", "CPUs of the machine."),
    gauge(_SECTION, "tile38_heap_released_bytes", "tile38_heap_released_bytes", "Heap memory released to the operating system."),
    gauge(_SECTION, "tile38_heap_alloc_bytes", "tile38_heap_size_bytes", "Heap in use."),
    gauge(_SECTION, "tile38_http_transport", "tile38_http_transport", "1 if the server accepts HTTP."),
    gauge(_SECTION, "tile38_in_memory_size", "tile38_in_memory_size_bytes", "Size of all collections in memory."),
    gauge(_SECTION, "tile38_max_heap_size", "tile38_max_heap_size_bytes", "Heap that the server may use (maxmemory), 0 for no limit."),
    gauge(_SECTION, "tile38_alloc_bytes", "tile38_mem_alloc_bytes", "Bytes allocated and in use."),
    gauge(_SECTION, "tile38_num_collections", "tile38_num_collections_total", "Current number of collections."),
    gauge(_SECTION, "tile38_num_hooks", "tile38_num_hooks_total", "Current number of hooks."),
    gauge(_SECTION, "tile38_num_objects", "tile38_num_objects_total", "Current number of objects."),
    gauge(_SECTION, "tile38_num_points", "tile38_num_points_total", "Current number of points."),
    gauge(_SECTION, "tile38_pointer_size", "tile38_pointer_size_bytes", "Size of a pointer."),
    gauge(_SECTION, "tile38_read_only", "tile38_read_only", "1 while the server rejects writes."),
    gauge(_SECTION, "tile38_go_threads", "tile38_threads_total", "Operating system threads created."),
    gauge(_SECTION, "tile38_go_goroutines", "tile38_go_goroutines_total", "Current number of goroutines."),
    gauge(_SECTION, "tile38_last_gc_time_seconds", "tile38_last_gc_time_seconds", "Unix time of the last garbage collection."),
    gauge(_SECTION, "tile38_next_gc_bytes", "tile38_next_gc_bytes", "Heap size that starts the next garbage collection."),
)
# fmt: on


class Tile38Collector(Stateless):
    """Read SERVER EXT of a Tile38, because its INFO has few numbers."""

    name: ClassVar[str] = "tile38"
    metrics: ClassVar[tuple[MetricSpec, ...]] = TILE38_METRICS
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    #: Empty, because Tile38 has no ACL that could name SERVER.
    commands: ClassVar[tuple[str, ...]] = ()

    def applies(self, server: Server) -> bool:
        """Return whether the server has SERVER EXT."""
        return server.has(SERVER_EXT)

    def requests(self, server: Server, options: Any) -> Sequence[Args]:  # noqa: ARG002
        """Return SERVER EXT."""
        return [("SERVER", "EXT")]

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Sample | UnreadableField]:  # noqa: ARG002
        """Read ``[field, value, …]``."""
        fields, bad = as_pairs(await commands.execute("SERVER", "EXT"))
        prefixed = {field if field.startswith(_PREFIX) else _PREFIX + field: text for field, text in fields.items()}
        return [*_field_samples(prefixed), *[UnreadableField(_SECTION)] * bad]


def _field_samples(fields: dict[str, str]) -> Iterator[Sample | UnreadableField]:
    for metric in TILE38_METRICS:
        if metric.field in fields and (item := metric.parse(fields[metric.field])) is not None:
            yield item


COLLECTOR = Tile38Collector()
