"""The kinds of servers: one profile each, in the order in which a reply to INFO is compared with them.

Many servers claim to be Redis, so the field of their own version comes first. Redis itself is last: it has no sign.
"""
# ruff: noqa: E501 - one line per metric definition

from redis_pulse.metric import counter, gauge
from redis_pulse.server_info.profile import COMMANDLOG, HOTKEYS, SERVER_EXT, SoftwareProfile
from redis_pulse.server_info.repairs import (
    lag_is_no_time,
    renamed,
    role_of_a_replica,
    uncounted_keys,
    whole_microseconds,
)

#: Servers that have no form ``INFO everything``.
_ALL = (("all",), ())

VALKEY = SoftwareProfile(
    name="valkey",
    title="Valkey",
    version_field="valkey_version",
    has={COMMANDLOG: (8, 1)},
)
# fmt: off
DRAGONFLY = SoftwareProfile(
    name="dragonfly",
    title="Dragonfly",
    version_field="dragonfly_version",
    version_prefix="df-",
    info_forms=_ALL,
    repairs=(
        renamed(
            {
                "max_clients": "maxclients",
                "last_success_save": "rdb_last_save_time",
                "rdb_changes_since_last_success_save": "rdb_changes_since_last_save",
            }
        ),
        whole_microseconds,
        role_of_a_replica,
        lag_is_no_time,
    ),
    metrics=(
        counter("Stats", "oom_rejections", "dragonfly_oom_rejections_total", "Commands that were refused because the memory was full (Dragonfly)."),
        gauge("Clients", "pipeline_queue_length", "dragonfly_pipeline_queue_length", "Pipelined commands that wait to be executed (Dragonfly)."),
        gauge("Memory", "used_memory_peak_rss", "dragonfly_memory_peak_rss_bytes", "Largest resident memory of the process (Dragonfly)."),
        gauge("Persistence", "last_failed_save", "dragonfly_last_failed_save_timestamp_seconds", "Unix time of the last snapshot that failed, 0 if none failed (Dragonfly)."),
        gauge("Tiered", "tiered_entries", "dragonfly_tiered_entries", "Values that are on disk (Dragonfly)."),
        gauge("Tiered", "tiered_entries_bytes", "dragonfly_tiered_entries_bytes", "Bytes of the values that are on disk (Dragonfly)."),
        gauge("Tiered", "tiered_allocated_bytes", "dragonfly_tiered_allocated_bytes", "Bytes of the disk file that values use (Dragonfly)."),
        gauge("Tiered", "tiered_capacity_bytes", "dragonfly_tiered_capacity_bytes", "Bytes of the disk file (Dragonfly)."),
        gauge("Tiered", "tiered_pending_stash_bytes", "dragonfly_tiered_pending_stash_bytes", "Bytes that wait to be written to disk (Dragonfly)."),
        gauge("Tiered", "tiered_cold_storage_bytes", "dragonfly_tiered_cold_storage_bytes", "Bytes of the values that are on disk and still in memory (Dragonfly)."),
    ),
    not_offered=frozenset({"LATENCY", "MEMORY STATS", "MEMORY DOCTOR", "MODULE", "FUNCTION"}),
)
GARNET = SoftwareProfile(
    name="garnet",
    title="Garnet",
    version_field="garnet_version",
    info_forms=_ALL,
    repairs=(
        renamed(
            {
                "total_found": "keyspace_hits",
                "total_notfound": "keyspace_misses",
                "proc_physical_memory_size": "used_memory_rss",
            }
        ),
    ),
    metrics=(
        gauge("Memory", "total_main_store_size", "garnet_main_store_bytes", "Memory of the index and the log of the main store (Garnet)."),
        gauge("Memory", "gc_heap_bytes", "garnet_gc_heap_bytes", "Heap of the garbage collector (Garnet)."),
    ),
    not_offered=frozenset({"LATENCY LATEST", "LATENCY DOCTOR", "MODULE LIST"}),
)
KVROCKS = SoftwareProfile(
    name="kvrocks",
    title="Kvrocks",
    version_field="kvrocks_version",
    info_forms=_ALL,
    repairs=(
        renamed(
            {
                "bgsave_in_progress": "rdb_bgsave_in_progress",
                "last_bgsave_time": "rdb_last_save_time",
                "last_bgsave_status": "rdb_last_bgsave_status",
                "last_bgsave_time_sec": "rdb_last_bgsave_time_sec",
            }
        ),
        lag_is_no_time,
        uncounted_keys,
    ),
    metrics=(
        gauge("Keyspace", "used_db_size", "kvrocks_db_size_bytes", "Size of the database on disk (Kvrocks)."),
        gauge("Keyspace", "max_db_size", "kvrocks_db_size_limit_bytes", "Largest allowed size of the database on disk, 0 for no limit (Kvrocks)."),
        gauge("Keyspace", "disk_capacity", "kvrocks_disk_capacity_bytes", "Size of the disk that has the database (Kvrocks)."),
        gauge("Keyspace", "used_disk_size", "kvrocks_disk_used_bytes", "Bytes in use on the disk that has the database (Kvrocks)."),
        gauge("RocksDB", "num_background_errors", "kvrocks_background_errors", "Errors of RocksDB in the background (Kvrocks)."),
        gauge("RocksDB", "compaction_pending", "kvrocks_compaction_pending", "1 while a compaction waits (Kvrocks)."),
        gauge("RocksDB", "memtable_flush_pending", "kvrocks_memtable_flush_pending", "1 while a table in memory waits to be written (Kvrocks)."),
        gauge("RocksDB", "num_running_compactions", "kvrocks_running_compactions", "Compactions that run now (Kvrocks)."),
        gauge("RocksDB", "num_running_flushes", "kvrocks_running_flushes", "Flushes that run now (Kvrocks)."),
    ),
)
UPSTASH = SoftwareProfile(
    name="upstash",
    title="Upstash",
    version_field="upstash_version",
    info_forms=_ALL,
    metrics=(
        gauge("Persistence", "total_data_size", "upstash_data_size_bytes", "Size of the data (Upstash)."),
        gauge("Persistence", "max_data_size", "upstash_data_size_limit_bytes", "Largest allowed size of the data (Upstash)."),
        gauge("Stats", "max_ops_per_sec", "upstash_commands_per_second_limit", "Allowed commands per second (Upstash)."),
    ),
    not_offered=frozenset({"SLOWLOG", "LATENCY", "CLUSTER", "MODULE", "MEMORY STATS"}),
    has_many_nodes=True,
)
TILE38 = SoftwareProfile(
    name="tile38",
    title="Tile38",
    version_field="tile38_version",
    has={SERVER_EXT: (0, 0)},
)
PIKA = SoftwareProfile(
    name="pika",
    title="Pika",
    version_field="pika_version",
    info_forms=_ALL,
    repairs=(lag_is_no_time,),
)
# fmt: on
REDICT = SoftwareProfile(
    name="redict",
    title="Redict",
    version_field="redict_version",
    repairs=(renamed({"redict_mode": "redis_mode"}),),
)
REDIS_ENTERPRISE = SoftwareProfile(
    name="redis-enterprise",
    title="Redis Enterprise",
    version_field="rlec_version",
    not_offered=frozenset(
        {"LATENCY LATEST", "LATENCY DOCTOR", "LATENCY GRAPH", "LATENCY HISTORY", "LATENCY RESET"}
        | {"MEMORY STATS", "MEMORY DOCTOR", "MEMORY PURGE", "ACL LOG", "ROLE", "LASTSAVE", "CONFIG RESETSTAT"}
        | {"CLUSTER SLOT-STATS", "CLUSTER MYID", "CLUSTER LINKS", "DEBUG", "READONLY", "CLIENT PAUSE"}
    ),
)
KEYDB = SoftwareProfile(name="keydb", title="KeyDB", signs={"mvcc_depth": "", "executable": "keydb-server"})
REDIS = SoftwareProfile(name="redis", title="Redis", has={HOTKEYS: (8, 6)})

SOFTWARE: tuple[SoftwareProfile, ...] = (
    *(VALKEY, DRAGONFLY, GARNET, KVROCKS, UPSTASH, TILE38, PIKA, REDICT, REDIS_ENTERPRISE, KEYDB, REDIS),
)
