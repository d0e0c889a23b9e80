"""Rows of the dashboard Instance about the stored data: memory and keys."""

from grafana.common import Board
from grafana.panels import COUNT, Empty, Query, graph_panel
from grafana.promql import HIT_RATIO, MEMORY_RATIO, of, server_rate, worst
from grafana.variables import ORANGE, RED


def rows(dashboard: Board) -> None:
    """Add the rows to the dashboard."""
    _memory(dashboard)
    _keys(dashboard)


def _memory(dashboard: Board) -> None:
    dashboard.row("Memory")
    limit = f"{worst('redis_memory_max_bytes')} > 0"
    dashboard.fill(
        graph_panel(
            "Memory used and held",
            Query(worst("redis_memory_used_bytes"), "{{target}} used"),
            Query(worst("redis_memory_used_rss_bytes"), "{{target}} resident"),
            Query(limit, "{{target}} limit"),
            unit="bytes",
            description="Bytes allocated, bytes that the system reserves for the process, and maxmemory if it is "
            "set. Resident far above used is fragmentation: try activedefrag. Resident below used: the host "
            "swapped memory out, so give it more memory.",
        ),
        graph_panel(
            "Memory of maxmemory",
            Query(MEMORY_RATIO, "{{target}}"),
            unit="percentunit",
            limits=[(0.9, RED)],
            least_top=1,
            description="Near 100 % a cache begins to evict, and a server with noeviction refuses writes. Raise "
            "maxmemory, expire more keys, or find big keys. A server without maxmemory has no line: it can take "
            "all memory of its host.",
            empty=Empty("no chosen server has a maxmemory", "no maxmemory"),
        ),
        graph_panel(
            "What the memory is used for",
            Query(f"sum({worst('redis_memory_used_dataset_bytes')})", "data"),
            Query(f"sum({worst('redis_mem_clients_normal')})", "clients"),
            Query(f"sum({worst('redis_mem_clients_slaves')})", "connections of replicas"),
            Query(f"sum({worst('redis_mem_replication_backlog_bytes')})", "backlog"),
            Query(f"sum({worst('redis_memory_used_startup_bytes')})", "the server itself"),
            unit="bytes",
            stacked=True,
            description="The sum over the chosen servers. The clients' part grows: slow readers or huge commands, "
            "look at “Biggest client buffers”. The data grows: keys without TTL, look at “Keys”.",
        ),
        graph_panel(
            "Fragmentation",
            Query(worst("redis_mem_fragmentation_ratio"), "{{target}}"),
            unit="short",
            limits=[(1.5, ORANGE)],
            description="Resident memory divided by used memory. Above 1.5 on a server with more than about 100 MB, "
            "memory is lost to fragmentation: set activedefrag yes. Below 1 the host swaps. On a small server "
            "the value is meaningless.",
        ),
        width=6,
        height=8,
    )


def _keys(dashboard: Board) -> None:
    dashboard.row("Keys and hits")
    used = f"(max by (job, target, db) (max_over_time({of('redis_db_keys')}[$__range] @ end())) > 0)"
    dashboard.fill(
        graph_panel(
            "Keys",
            Query(f"{worst('redis_db_keys', also='db')} and on (job, target, db) {used}", "{{target}} {{db}}"),
            unit=COUNT,
            description="Keys in each database. A sudden fall: a flush, or a restart without data. A steady rise: "
            "keys that never expire. Find their pattern with the collector key_groups.",
            empty=Empty("no chosen server holds a key", "no keys"),
        ),
        graph_panel(
            "Hit ratio",
            Query(HIT_RATIO, "{{target}}"),
            unit="percentunit",
            least_top=1,
            description="Share of look-ups that found their key. Causes of a sudden fall: a flush, a restart, "
            "evictions, or a release that renamed keys. A server without look-ups has no line.",
            empty=Empty("no chosen server had look-ups", "no look-ups"),
        ),
        graph_panel(
            "Look-ups",
            Query(server_rate("redis_keyspace_hits_total"), "{{target}} hits"),
            Query(server_rate("redis_keyspace_misses_total"), "{{target}} misses"),
            unit="ops",
            description="Look-ups per second that found their key, and that did not. Misses grow while hits stay: a "
            "client requests keys that are never written, or that are written too late.",
        ),
        graph_panel(
            "Keys evicted and expired",
            Query(server_rate("redis_evicted_keys_total"), "{{target}} evicted"),
            Query(server_rate("redis_expired_keys_total"), "{{target}} expired"),
            unit="cps",
            description="Keys per second. Evictions are lost data unless the server is a cache: give it more memory, "
            "or use shorter TTLs. Expirations in spikes load the server: spread the TTLs.",
        ),
        width=6,
        height=8,
    )
