"""What only a Tile38 has: collections, points, hooks, and the heap of its Go runtime (SERVER EXT).

redis_tile38_num_objects_total{target="fleet"} 1833
redis_tile38_heap_size_bytes{target="fleet"} 5.308416e+06
"""
# ruff: noqa: E501 - a row is one line

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.metric import MetricSpec, Sample, UnreadableField, gauge
from redis_pulse.parse.reply import as_pairs
from redis_pulse.server_info import Server

_ASKED = "SERVER EXT"
#: Fields of the Go runtime come without it.
_PREFIX = "tile38_"

# fmt: off
TILE38_METRICS: tuple[MetricSpec, ...] = (
    gauge(_ASKED, "tile38_aof_size", "tile38_aof_size_bytes", "Size of the append-only file."),
    gauge(_ASKED, "tile38_avg_point_size", "tile38_avg_item_size_bytes", "Heap divided by points."),
    gauge(_ASKED, "tile38_sys_cpus", "tile38_cpus_total", "CPUs of the machine."),
    gauge(_ASKED, "tile38_heap_released_bytes", "tile38_heap_released_bytes", "Heap given back to the system."),
    gauge(_ASKED, "tile38_heap_alloc_bytes", "tile38_heap_size_bytes", "Heap in use."),
    gauge(_ASKED, "tile38_http_transport", "tile38_http_transport", "1 when HTTP is served."),
    gauge(_ASKED, "tile38_in_memory_size", "tile38_in_memory_size_bytes", "Size of all collections in memory."),
    gauge(_ASKED, "tile38_max_heap_size", "tile38_max_heap_size_bytes", "Heap that the server may use (maxmemory), 0 for no limit."),
    gauge(_ASKED, "tile38_alloc_bytes", "tile38_mem_alloc_bytes", "Bytes allocated and in use."),
    gauge(_ASKED, "tile38_num_collections", "tile38_num_collections_total", "Collections, now."),
    gauge(_ASKED, "tile38_num_hooks", "tile38_num_hooks_total", "Hooks, now."),
    gauge(_ASKED, "tile38_num_objects", "tile38_num_objects_total", "Objects, now."),
    gauge(_ASKED, "tile38_num_points", "tile38_num_points_total", "Points, now."),
    gauge(_ASKED, "tile38_pointer_size", "tile38_pointer_size_bytes", "Size of a pointer."),
    gauge(_ASKED, "tile38_read_only", "tile38_read_only", "1 while the server takes no writes."),
    gauge(_ASKED, "tile38_go_threads", "tile38_threads_total", "Threads created."),
    gauge(_ASKED, "tile38_go_goroutines", "tile38_go_goroutines_total", "Goroutines, now."),
    gauge(_ASKED, "tile38_last_gc_time_seconds", "tile38_last_gc_time_seconds", "Unix time of the last garbage collection."),
    gauge(_ASKED, "tile38_next_gc_bytes", "tile38_next_gc_bytes", "Heap size at which garbage is collected next."),
)
# fmt: on


class Tile38Collector(Stateless):
    """Ask a Tile38 for its own figures; its INFO has few."""

    name: ClassVar[str] = "tile38"
    metrics: ClassVar[tuple[MetricSpec, ...]] = TILE38_METRICS
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    #: Tile38 has no ACL that could name SERVER.
    commands: ClassVar[tuple[str, ...]] = ()

    def applies(self, server: Server) -> bool:
        """Only a Tile38 says which Tile38 it is."""
        return "tile38_version" in server.fields

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Sample | UnreadableField]:  # noqa: ARG002
        """Read ``[field, value, …]``."""
        fields, bad = as_pairs(await commands.execute("SERVER", "EXT"))
        prefixed = {field if field.startswith(_PREFIX) else _PREFIX + field: text for field, text in fields.items()}
        return [*_read(prefixed), *[UnreadableField(_ASKED)] * bad]


def _read(fields: dict[str, str]) -> Iterator[Sample | UnreadableField]:
    for row in TILE38_METRICS:
        if row.field in fields and (read := row.parse(fields[row.field])) is not None:
            yield read


COLLECTOR = Tile38Collector()
