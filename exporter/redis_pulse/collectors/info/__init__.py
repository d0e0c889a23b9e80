"""Metrics from INFO. ``INFO_METRICS`` maps INFO fields to metric names.

redis_connected_clients{target="cart"} 42
redis_db_keys{target="cart",db="db0"} 1833

To publish a new field, add a definition. Some fields have two definitions. The first has the name that redis_exporter
uses, and a wrong type or unit. The second is correct.
"""
# ruff: noqa: E501 - one line per metric definition

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, ClassVar, Literal, get_args

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.info.certificates import CERTIFICATES, read_certificates
from redis_pulse.collectors.info.hotkeys import HOTKEYS, read_hotkeys
from redis_pulse.collectors.info.keyspace import KEYSPACE, read_databases
from redis_pulse.collectors.info.replication import REPLICATION, read_masters, read_replicas
from redis_pulse.collectors.info.scripting_engines import SCRIPTING_ENGINES, read_scripting_engines
from redis_pulse.collectors.info.states import STATES, read_states
from redis_pulse.collectors.info.threads import THREADS, read_threads
from redis_pulse.collectors.support.info_lines import info_requests, read_info
from redis_pulse.collectors.support.series_limit import limited_items
from redis_pulse.collectors.support.written import is_whole
from redis_pulse.commands import Args, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Count, Field
from redis_pulse.errors import EmptyReplyError
from redis_pulse.metric import (
    CollectorItem,
    MetricSpec,
    OverflowCount,
    Sample,
    UnreadableField,
    WrittenLines,
    counter,
    gauge,
    is_underflow,
    msec,
    parse_number,
    usec,
)
from redis_pulse.parse.info import Info
from redis_pulse.server_info import SERVICES, SOFTWARE, Server
from redis_pulse.text_format import format_number


def _kibibytes(text: str) -> float | None:
    """Return bytes. The server writes KB of 1024 bytes, although the field is called kbps."""
    value = parse_number(text)
    return None if value is None else value * 1024


# fmt: off
#: Fields with a single number: INFO section, field, metric name, help. A converter follows if the text is not a plain
#: number in the right unit.
INFO_METRICS: tuple[MetricSpec, ...] = (
    gauge("Server", "uptime_in_seconds", "uptime_in_seconds", "Time since the server started."),
    gauge("Server", "process_id", "process_id", "Process id of the server on its machine."),
    gauge("Server", "io_threads_active", "io_threads_active", "1 while I/O threads share the work of the main thread."),
    gauge("Server", "hz", "hz", "Current runs per second of the server's background tasks."),
    gauge("Server", "configured_hz", "configured_hz", "Configured runs per second of the server's background tasks (hz)."),
    gauge("Server", "clients_hz", "clients_hz", "Runs per second of the server's background tasks for clients (Valkey 8.1 and later)."),
    gauge("Server", "shutdown_in_milliseconds", "shutdown_in_seconds", "Most time that the server still waits for its replicas before it shuts down; present only while it shuts down.", msec),

    gauge("Clients", "connected_clients", "connected_clients", "Client connections, without those of replicas."),
    gauge("Clients", "cluster_connections", "cluster_connections", "Approximate number of sockets of the cluster bus."),
    gauge("Clients", "blocked_clients", "blocked_clients", "Clients that wait in a blocking command (BLPOP, XREAD BLOCK, WAIT, ...)."),
    gauge("Clients", "maxclients", "max_clients", "Maximum number of client connections (maxclients)."),
    gauge("Clients", "tracking_clients", "tracking_clients", "Clients that use client-side caching (CLIENT TRACKING)."),
    gauge("Clients", "clients_in_timeout_table", "clients_in_timeout_table", "Blocked clients whose command has a timeout."),
    gauge("Clients", "pubsub_clients", "pubsub_clients", "Clients in subscriber mode (SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE)."),
    gauge("Clients", "watching_clients", "watching_clients", "Clients that watch keys (WATCH)."),
    gauge("Clients", "total_watched_keys", "total_watched_keys", "Keys that are watched (WATCH)."),
    gauge("Clients", "total_blocking_keys", "total_blocking_keys", "Keys that blocked clients wait for."),
    gauge("Clients", "total_blocking_keys_on_nokey", "total_blocking_keys_on_nokey", "Keys whose deletion would unblock a client."),
    gauge("Clients", "paused_timeout_milliseconds", "clients_paused_remaining_seconds", "Time until the server ends the pause of its clients, 0 while none are paused (Valkey 8.1 and later).", msec),
    gauge("Clients", "client_longest_output_list", "client_longest_output_list", "Longest output list of all clients (before Redis 5)."),
    gauge("Clients", "client_biggest_input_buf", "client_biggest_input_buf", "Largest input buffer of all clients, in bytes (before Redis 5)."),
    gauge("Clients", "client_recent_max_output_buffer", "client_recent_max_output_buffer_bytes", "Largest output buffer of a client in the last few seconds."),
    gauge("Clients", "client_recent_max_input_buffer", "client_recent_max_input_buffer_bytes", "Largest input buffer of a client in the last few seconds."),
    gauge("Clients", "current_client_thread", "current_client_thread", "Number of the thread that executed INFO (KeyDB)."),

    gauge("Memory", "allocator_active", "allocator_active_bytes", "Bytes in the allocator's active pages, including external fragmentation."),
    gauge("Memory", "allocator_allocated", "allocator_allocated_bytes", "Bytes allocated from the allocator, including internal fragmentation."),
    gauge("Memory", "allocator_resident", "allocator_resident_bytes", "Bytes that the allocator holds in RAM, including pages that it could release."),
    gauge("Memory", "allocator_frag_ratio", "allocator_frag_ratio", "allocator_active divided by allocator_allocated: true external fragmentation."),
    gauge("Memory", "allocator_frag_bytes", "allocator_frag_bytes", "Bytes lost to external fragmentation."),
    gauge("Memory", "allocator_muzzy", "allocator_muzzy_bytes", "Bytes that the allocator released and the operating system has not reclaimed yet (jemalloc)."),
    gauge("Memory", "allocator_rss_ratio", "allocator_rss_ratio", "allocator_resident divided by allocator_active; it shows pages that the allocator can release soon."),
    gauge("Memory", "allocator_rss_bytes", "allocator_rss_bytes", "Bytes that the allocator could release to the operating system."),
    gauge("Memory", "rss_overhead_ratio", "rss_overhead_ratio", "used_memory_rss divided by allocator_resident: RAM that the allocator does not manage."),
    gauge("Memory", "rss_overhead_bytes", "rss_overhead_bytes", "used_memory_rss minus allocator_resident: RAM that the allocator does not manage."),
    gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server."),
    gauge("Memory", "used_memory_rss", "memory_used_rss_bytes", "Bytes of RAM that the process holds, as reported by the operating system."),
    gauge("Memory", "used_memory_peak", "memory_used_peak_bytes", "Maximum of the bytes allocated by the server since it started."),
    gauge("Memory", "used_memory_peak_time", "memory_used_peak_timestamp_seconds", "Unix time at which the server had allocated the most bytes (Redis 8.2 and later)."),
    gauge("Memory", "used_memory_lua", "memory_used_lua_bytes", "Bytes used by the Lua engine of EVAL."),
    gauge("Memory", "used_memory_vm_eval", "memory_used_vm_eval_bytes", "Bytes used by the script engine of EVAL, outside used_memory."),
    gauge("Memory", "used_memory_scripts_eval", "memory_used_scripts_eval_bytes", "Bytes of overhead of cached EVAL scripts, part of used_memory."),
    gauge("Memory", "used_memory_overhead", "memory_used_overhead_bytes", "Bytes used to manage the data: buffers, dictionaries and similar structures."),
    gauge("Memory", "used_memory_startup", "memory_used_startup_bytes", "Bytes allocated right after the server started."),
    gauge("Memory", "used_memory_dataset", "memory_used_dataset_bytes", "Bytes of the data itself: used_memory without overhead."),
    gauge("Memory", "number_of_cached_scripts", "number_of_cached_scripts", "EVAL scripts in the script cache."),
    gauge("Memory", "number_of_functions", "number_of_functions", "Functions loaded (FUNCTION LOAD)."),
    gauge("Memory", "number_of_libraries", "number_of_libraries", "Function libraries loaded (FUNCTION LOAD)."),
    gauge("Memory", "used_memory_vm_functions", "memory_used_vm_functions_bytes", "Bytes used by the script engines of functions, outside used_memory."),
    gauge("Memory", "used_memory_scripts", "memory_used_scripts_bytes", "Bytes of overhead of EVAL scripts and functions, part of used_memory."),
    gauge("Memory", "used_memory_functions", "memory_used_functions_bytes", "Bytes of overhead of functions, part of used_memory."),
    gauge("Memory", "used_memory_vm_total", "memory_used_vm_total", "Bytes used by all script engines, outside used_memory."),
    gauge("Memory", "used_memory_hash_templates", "memory_used_hash_templates_bytes", "Bytes of the field names that hashes share (Redis 8.10 and later)."),
    gauge("Memory", "total_system_memory", "total_system_memory_bytes", "RAM of the server's machine."),
    gauge("Memory", "maxmemory", "memory_max_bytes", "Bytes that the server may allocate (maxmemory), 0 for no limit."),
    gauge("Memory", "maxmemory_reservation", "memory_max_reservation_bytes", "Bytes reserved for purposes other than data (Azure)."),
    gauge("Memory", "maxmemory_desired_reservation", "memory_max_reservation_desired_bytes", "Bytes that should be reserved for purposes other than data (Azure)."),
    gauge("Memory", "maxfragmentationmemory_reservation", "memory_max_fragmentation_reservation_bytes", "Bytes reserved for fragmentation (Azure)."),
    gauge("Memory", "maxfragmentationmemory_desired_reservation", "memory_max_fragmentation_reservation_desired_bytes", "Bytes that should be reserved for fragmentation (Azure)."),
    gauge("Memory", "mem_fragmentation_ratio", "mem_fragmentation_ratio", "used_memory_rss divided by used_memory; below 1 the operating system has swapped out memory."),
    gauge("Memory", "mem_fragmentation_bytes", "mem_fragmentation_bytes", "used_memory_rss minus used_memory."),
    gauge("Memory", "mem_clients_slaves", "mem_clients_slaves", "Bytes used by the connections of replicas."),
    gauge("Memory", "mem_clients_normal", "mem_clients_normal", "Bytes used by the connections of clients."),
    gauge("Memory", "mem_cluster_links", "mem_cluster_links_bytes", "Bytes used by the links to the other cluster nodes."),
    gauge("Memory", "mem_aof_buffer", "mem_aof_buffer_bytes", "Bytes used by the buffers of the append-only file."),
    gauge("Memory", "mem_replication_backlog", "mem_replication_backlog_bytes", "Bytes used by the replication backlog."),
    gauge("Memory", "mem_not_counted_for_evict", "mem_not_counted_for_eviction_bytes", "Bytes that do not count towards maxmemory: buffers of replicas and of the append-only file."),
    gauge("Memory", "mem_total_replication_buffers", "mem_total_replication_buffers_bytes", "Bytes used by all replication buffers and the backlog."),
    gauge("Memory", "mem_replica_full_sync_buffer", "mem_replica_full_sync_buffer_bytes", "Bytes that a replica buffers while it receives the dataset over a second connection (Redis 8.0 and later)."),
    gauge("Memory", "mem_replicas_repl_buffer", "mem_replicas_repl_buffer_bytes", "Bytes that a replica buffers while it receives the dataset over a second connection (Valkey 9.1 and later)."),
    gauge("Memory", "mem_cluster_slot_import", "mem_cluster_slot_import_bytes", "Bytes used by the connections that import slots (Valkey 9.0 and later)."),
    gauge("Memory", "mem_cluster_slot_export", "mem_cluster_slot_export_bytes", "Bytes used by the connections that export slots (Valkey 9.0 and later)."),
    gauge("Memory", "mem_cluster_slot_migration_output_buffer", "mem_cluster_slot_migration_output_buffer_bytes", "Bytes of changes that wait to be sent to the node that imports slots (Redis 8.4 and later)."),
    gauge("Memory", "mem_cluster_slot_migration_input_buffer", "mem_cluster_slot_migration_input_buffer_bytes", "Bytes of changes that an importing node has received and not applied yet (Redis 8.4 and later)."),
    gauge("Memory", "mem_cluster_slot_migration_input_buffer_peak", "mem_cluster_slot_migration_input_buffer_peak_bytes", "Maximum of the bytes of changes that an importing node had not applied yet (Redis 8.4 and later)."),
    gauge("Memory", "mem_overhead_db_hashtable_rehashing", "mem_overhead_db_hashtable_rehashing_bytes", "Bytes used temporarily by dictionaries that are being resized."),
    gauge("Memory", "lazyfree_pending_objects", "lazyfree_pending_objects", "Objects waiting to be freed in the background (UNLINK, FLUSHALL ASYNC)."),
    gauge("Memory", "lazyfreed_objects", "lazyfreed_objects", "Objects freed in the background since the start or CONFIG RESETSTAT."),
    counter("Memory", "lazyfreed_objects", "objects_lazyfreed_total", "Objects freed in the background."),
    gauge("Memory", "active_defrag_running", "active_defrag_running", "CPU percentage that active defragmentation tries to use, 0 while it does not run."),

    gauge("Persistence", "loading", "loading_dump_file", "1 while the server loads its dataset and rejects commands with LOADING."),
    gauge("Persistence", "async_loading", "async_loading", "1 while a replica loads a new dataset and still serves the old one."),
    gauge("Persistence", "loading_start_time", "loading_start_timestamp_seconds", "Unix time at which the server began to load its dataset; present only while loading."),
    gauge("Persistence", "loading_rdb_used_mem", "loading_rdb_used_memory_bytes", "used_memory of the server that wrote the snapshot being loaded; present only while loading."),
    gauge("Persistence", "loading_total_bytes", "loading_total_bytes", "Size of the file being loaded; present only while loading."),
    gauge("Persistence", "loading_loaded_bytes", "loading_loaded_bytes", "Bytes loaded so far; present only while loading."),
    gauge("Persistence", "loading_eta_seconds", "loading_eta_seconds", "Estimated time until the dataset is loaded; present only while loading."),
    gauge("Persistence", "current_cow_size", "current_cow_size_bytes", "Memory copied on write by the child process that runs now, 0 if none runs."),
    gauge("Persistence", "current_cow_peak", "current_cow_peak_bytes", "Maximum of the memory copied on write by the child process that runs now."),
    gauge("Persistence", "current_cow_size_age", "current_cow_size_age_seconds", "Age of current_cow_size."),
    gauge("Persistence", "current_fork_perc", "current_fork_percentage", "Progress of the child process that runs now."),
    gauge("Persistence", "current_save_keys_processed", "current_save_keys_processed", "Keys that the running snapshot or rewrite has written."),
    gauge("Persistence", "current_save_keys_total", "current_save_keys", "Keys that existed when the running snapshot or rewrite began."),
    gauge("Persistence", "slot_migration_fork_in_progress", "slot_migration_fork_in_progress", "1 while a child process writes the snapshot of slots that are exported (Valkey 9.0 and later)."),
    gauge("Persistence", "rdb_changes_since_last_save", "rdb_changes_since_last_save", "Changes of the dataset since the last successful snapshot."),
    gauge("Persistence", "rdb_bgsave_in_progress", "rdb_bgsave_in_progress", "1 while a snapshot is being written."),
    gauge("Persistence", "rdb_last_save_time", "rdb_last_save_timestamp_seconds", "Unix time of the last successful snapshot; before the first one, the start time of the server."),
    gauge("Persistence", "rdb_last_bgsave_status", "rdb_last_bgsave_status", "1 when the last snapshot succeeded, 0 when it failed."),
    gauge("Persistence", "rdb_last_bgsave_time_sec", "rdb_last_bgsave_duration_sec", "Duration of the last snapshot in seconds, -1 before the first one."),
    gauge("Persistence", "rdb_current_bgsave_time_sec", "rdb_current_bgsave_duration_sec", "Time in seconds since the running snapshot started, -1 if none runs."),
    gauge("Persistence", "rdb_saves", "rdb_saves_total", "Snapshots since the server started."),
    counter("Persistence", "rdb_saves", "rdb_snapshots_total", "Snapshots written."),
    gauge("Persistence", "rdb_last_cow_size", "rdb_last_cow_size_bytes", "Memory copied on write during the last snapshot."),
    gauge("Persistence", "rdb_last_load_keys_expired", "rdb_last_load_expired_keys", "Expired keys dropped when the last snapshot was loaded."),
    gauge("Persistence", "rdb_last_load_keys_loaded", "rdb_last_load_loaded_keys", "Keys loaded from the last snapshot."),
    gauge("Persistence", "aof_enabled", "aof_enabled", "1 if the append-only file is enabled."),
    gauge("Persistence", "aof_rewrite_in_progress", "aof_rewrite_in_progress", "1 while the append-only file is being rewritten."),
    gauge("Persistence", "aof_rewrite_scheduled", "aof_rewrite_scheduled", "1 when a rewrite of the append-only file waits for a snapshot to end."),
    gauge("Persistence", "aof_last_rewrite_time_sec", "aof_last_rewrite_duration_sec", "Duration of the last rewrite of the append-only file in seconds, -1 before the first one."),
    gauge("Persistence", "aof_current_rewrite_time_sec", "aof_current_rewrite_duration_sec", "Time in seconds since the running rewrite of the append-only file started, -1 if none runs."),
    gauge("Persistence", "aof_last_cow_size", "aof_last_cow_size_bytes", "Memory copied on write during the last rewrite of the append-only file."),
    gauge("Persistence", "aof_current_size", "aof_current_size_bytes", "Size of the append-only file."),
    gauge("Persistence", "aof_base_size", "aof_base_size_bytes", "Size of the append-only file after its last rewrite or at the start of the server."),
    gauge("Persistence", "aof_pending_rewrite", "aof_pending_rewrite", "1 when a rewrite of the append-only file waits for a snapshot to end."),
    gauge("Persistence", "aof_buffer_length", "aof_buffer_length", "Bytes in the buffer of the append-only file."),
    gauge("Persistence", "aof_rewrite_buffer_length", "aof_rewrite_buffer_length", "Bytes in the rewrite buffer of the append-only file (before Redis 7)."),
    gauge("Persistence", "aof_pending_bio_fsync", "aof_pending_bio_fsync", "Syncs of the append-only file that wait in the background."),
    gauge("Persistence", "aof_delayed_fsync", "aof_delayed_fsync", "Writes delayed by a slow sync of the append-only file since the start or CONFIG RESETSTAT."),
    counter("Persistence", "aof_delayed_fsync", "aof_delayed_fsyncs_total", "Writes delayed by a slow sync of the append-only file: the disk is too slow."),
    counter("Persistence", "aof_rewrites", "aof_rewrites_total", "Rewrites of the append-only file."),
    gauge("Persistence", "aof_rewrites_consecutive_failures", "aof_rewrites_consecutive_failures", "Failed rewrites of the append-only file since the last successful one."),
    gauge("Persistence", "aof_last_bgrewrite_status", "aof_last_bgrewrite_status", "1 when the last rewrite of the append-only file succeeded, 0 when it failed."),
    gauge("Persistence", "aof_last_write_status", "aof_last_write_status", "1 when the last write to the append-only file succeeded, 0 when it failed."),
    gauge("Persistence", "module_fork_in_progress", "module_fork_in_progress", "1 while a child process of a module runs."),
    gauge("Persistence", "module_fork_last_cow_size", "module_fork_last_cow_size", "Bytes copied on write during the last child process of a module."),

    counter("Stats", "total_connections_received", "connections_received_total", "Connections accepted."),
    counter("Stats", "total_commands_processed", "commands_processed_total", "Commands processed."),
    gauge("Stats", "instantaneous_ops_per_sec", "instantaneous_commands_per_second", "Commands per second, averaged by the server over its last 16 samples (about 1.6 s)."),
    counter("Stats", "rejected_connections", "rejected_connections_total", "Connections refused because of maxclients."),
    counter("Stats", "total_net_input_bytes", "net_input_bytes_total", "Bytes read from the network."),
    counter("Stats", "total_net_output_bytes", "net_output_bytes_total", "Bytes written to the network."),
    counter("Stats", "total_net_repl_input_bytes", "net_repl_input_bytes_total", "Bytes read from the network for replication."),
    counter("Stats", "total_net_repl_output_bytes", "net_repl_output_bytes_total", "Bytes written to the network for replication."),
    counter("Stats", "total_net_cluster_slot_import_bytes", "net_cluster_slot_import_bytes_total", "Bytes read from the network to import slots (Valkey 9.0 and later)."),
    counter("Stats", "total_net_cluster_slot_export_bytes", "net_cluster_slot_export_bytes_total", "Bytes written to the network to export slots (Valkey 9.0 and later)."),
    gauge("Stats", "instantaneous_input_kbps", "instantaneous_input_bytes_per_second", "Bytes read from the network per second, averaged by the server over its last samples.", _kibibytes),
    gauge("Stats", "instantaneous_output_kbps", "instantaneous_output_bytes_per_second", "Bytes written to the network per second, averaged by the server over its last samples.", _kibibytes),
    gauge("Stats", "instantaneous_input_repl_kbps", "instantaneous_input_repl_bytes_per_second", "Bytes read from the network per second for replication, averaged by the server over its last samples.", _kibibytes),
    gauge("Stats", "instantaneous_output_repl_kbps", "instantaneous_output_repl_bytes_per_second", "Bytes written to the network per second for replication, averaged by the server over its last samples.", _kibibytes),
    gauge("Stats", "sync_full", "replica_resyncs_full", "Full resynchronisations with replicas since the start or CONFIG RESETSTAT."),
    counter("Stats", "sync_full", "replica_full_resyncs_total", "Full resynchronisations with replicas."),
    gauge("Stats", "sync_partial_ok", "replica_partial_resync_accepted", "Partial resynchronisations accepted since the start or CONFIG RESETSTAT."),
    counter("Stats", "sync_partial_ok", "replica_partial_resyncs_accepted_total", "Partial resynchronisations accepted, because the backlog still contained what the replica had missed."),
    gauge("Stats", "sync_partial_err", "replica_partial_resync_denied", "Partial resynchronisations denied since the start or CONFIG RESETSTAT."),
    counter("Stats", "sync_partial_err", "replica_partial_resyncs_denied_total", "Partial resynchronisations denied; each requires a full one."),
    counter("Stats", "expired_keys", "expired_keys_total", "Keys that expired."),
    counter("Stats", "expired_keys_active", "expired_keys_active_total", "Keys that expired without an access (Redis 8.4 and later)."),
    counter("Stats", "expired_subkeys", "expired_subkeys_total", "Hash fields that expired (Redis 7.4 and later)."),
    counter("Stats", "expired_subkeys_active", "expired_subkeys_active_total", "Hash fields that expired without an access (Redis 8.4 and later)."),
    counter("Stats", "expired_fields", "expired_fields_total", "Hash fields that expired (Valkey 9 and later)."),
    gauge("Stats", "expired_stale_perc", "expired_stale_percentage", "Estimated percentage of keys with a TTL that have expired and still take memory."),
    gauge("Stats", "expired_keys_with_volatile_items_stale_perc", "expired_keys_with_volatile_items_stale_percentage", "Estimated percentage of keys with expiring fields that have expired fields which still take memory (Valkey 9.0 and later)."),
    counter("Stats", "expired_time_cap_reached_count", "expired_time_cap_reached_total", "Expiry cycles that reached their time limit before they finished."),
    counter("Stats", "expire_cycle_cpu_milliseconds", "expire_cycle_cpu_time_ms_total", "Milliseconds spent on expiry cycles."),
    counter("Stats", "expire_cycle_cpu_milliseconds", "expire_cycle_cpu_seconds_total", "Time spent on expiry cycles.", msec),
    counter("Stats", "evicted_keys", "evicted_keys_total", "Keys evicted because of maxmemory."),
    counter("Stats", "evicted_clients", "evicted_clients_total", "Clients disconnected because of maxmemory-clients."),
    counter("Stats", "evicted_scripts", "evicted_scripts_total", "EVAL scripts evicted from the script cache."),
    counter("Stats", "total_eviction_exceeded_time", "eviction_exceeded_time_ms_total", "Milliseconds spent above maxmemory."),
    counter("Stats", "total_eviction_exceeded_time", "eviction_exceeded_seconds_total", "Time spent above maxmemory.", msec),
    gauge("Stats", "current_eviction_exceeded_time", "current_eviction_exceeded_time_ms", "Milliseconds since memory use rose above maxmemory, 0 while it is below."),
    gauge("Stats", "current_eviction_exceeded_time", "current_eviction_exceeded_seconds", "Time since memory use rose above maxmemory, 0 while it is below.", msec),
    counter("Stats", "keyspace_hits", "keyspace_hits_total", "Lookups of keys that existed."),
    counter("Stats", "keyspace_misses", "keyspace_misses_total", "Lookups of keys that did not exist."),
    gauge("Stats", "pubsub_channels", "pubsub_channels", "Channels with at least one subscriber."),
    gauge("Stats", "pubsub_patterns", "pubsub_patterns", "Patterns with at least one subscriber."),
    gauge("Stats", "pubsubshard_channels", "pubsubshard_channels", "Shard channels with at least one subscriber."),
    gauge("Stats", "latest_fork_usec", "latest_fork_seconds", "Duration of the latest fork; the server executes no command during a fork.", usec),
    counter("Stats", "total_forks", "forks_total", "Forks for snapshots, rewrites, full resynchronisations and child processes of modules."),
    gauge("Stats", "migrate_cached_sockets", "migrate_cached_sockets_total", "Sockets kept open for MIGRATE."),
    counter("Stats", "cached_keys", "cached_keys_total", "Keys that are in memory (KeyDB with a storage provider)."),
    counter("Stats", "storage_provider_read_hits", "storage_provider_read_hits", "Keys that were found in the storage provider (KeyDB)."),
    counter("Stats", "storage_provider_read_misses", "storage_provider_read_misses", "Keys that were not found in the storage provider (KeyDB)."),
    gauge("Stats", "slave_expires_tracked_keys", "slave_expires_tracked_keys", "Keys with a TTL that a writable replica must expire itself."),
    gauge("Stats", "active_defrag_hits", "defrag_hits", "Values moved by active defragmentation since the start or CONFIG RESETSTAT."),
    counter("Stats", "active_defrag_hits", "active_defrag_hits_total", "Values moved by active defragmentation."),
    gauge("Stats", "active_defrag_misses", "defrag_misses", "Values left in place by active defragmentation since the start or CONFIG RESETSTAT."),
    counter("Stats", "active_defrag_misses", "active_defrag_misses_total", "Values left in place by active defragmentation."),
    gauge("Stats", "active_defrag_key_hits", "defrag_key_hits", "Keys defragmented actively since the start or CONFIG RESETSTAT."),
    counter("Stats", "active_defrag_key_hits", "active_defrag_key_hits_total", "Keys defragmented actively."),
    gauge("Stats", "active_defrag_key_misses", "defrag_key_misses", "Keys skipped by active defragmentation since the start or CONFIG RESETSTAT."),
    counter("Stats", "active_defrag_key_misses", "active_defrag_key_misses_total", "Keys skipped by active defragmentation."),
    counter("Stats", "total_active_defrag_time", "active_defrag_seconds_total", "Time during which memory was fragmented above the threshold of active defragmentation.", msec),
    gauge("Stats", "current_active_defrag_time", "current_active_defrag_seconds", "Time since fragmentation rose above the threshold of active defragmentation, 0 while it is below.", msec),
    gauge("Stats", "tracking_total_keys", "tracking_total_keys", "Keys tracked for client-side caching."),
    gauge("Stats", "tracking_total_items", "tracking_total_items", "Pairs of a key and a client tracked for client-side caching."),
    gauge("Stats", "tracking_total_prefixes", "tracking_total_prefixes", "Prefixes tracked for client-side caching in broadcast mode."),
    counter("Stats", "unexpected_error_replies", "unexpected_error_replies", "Unexpected error replies, for example from a replica to its master."),
    counter("Stats", "total_error_replies", "total_error_replies", "Error replies: rejected and failed commands."),
    counter("Stats", "dump_payload_sanitizations", "dump_payload_sanitizations", "Deep checks of a payload's integrity (sanitize-dump-payload)."),
    counter("Stats", "slowlog_commands_count", "slowlog_commands_total", "Commands that were slow enough for the slow log (Redis 8.8 and later)."),
    counter("Stats", "slowlog_commands_time_ms_sum", "slowlog_commands_duration_seconds_total", "Execution time of the commands that were slow enough for the slow log (Redis 8.8 and later).", msec),
    gauge("Stats", "slowlog_commands_time_ms_max", "slowlog_commands_max_duration_seconds", "Longest execution time of a command in the slow log since the start or CONFIG RESETSTAT (Redis 8.8 and later).", msec),
    gauge("Stats", "hash_templates", "hash_templates", "Sets of field names that hashes share (Redis 8.10 and later)."),
    gauge("Stats", "hash_template_keys", "hash_template_keys", "Hashes that share their field names with others (Redis 8.10 and later)."),
    counter("Stats", "cluster_incompatible_ops", "cluster_incompatible_ops_total", "Sampled commands that a cluster would reject (cluster-compatibility-sample-ratio; Redis 8.0 and later)."),
    counter("Stats", "total_reads_processed", "total_reads_processed", "Reads from client sockets."),
    counter("Stats", "total_writes_processed", "total_writes_processed", "Writes to client sockets."),
    counter("Stats", "io_threaded_reads_processed", "io_threaded_reads_processed", "Reads from client sockets by I/O threads."),
    counter("Stats", "io_threaded_writes_processed", "io_threaded_writes_processed", "Writes to client sockets by I/O threads."),
    counter("Stats", "io_threaded_freed_objects", "io_threaded_freed_objects_total", "Objects freed by I/O threads (Valkey 8.0 and later)."),
    counter("Stats", "io_threaded_accept_processed", "io_threaded_accept_processed_total", "Connections accepted by I/O threads (Valkey 8.1 and later)."),
    counter("Stats", "io_threaded_poll_processed", "io_threaded_poll_processed_total", "Polls of the event loop by I/O threads (Valkey 8.0 and later)."),
    counter("Stats", "io_threaded_total_prefetch_batches", "io_threaded_prefetch_batches_total", "Batches of commands whose keys were loaded into the CPU cache in advance (Redis 8.2, Valkey 8.0 and later)."),
    counter("Stats", "io_threaded_total_prefetch_entries", "io_threaded_prefetch_entries_total", "Keys that were loaded into the CPU cache in advance (Redis 8.2, Valkey 8.0 and later)."),
    counter("Stats", "client_query_buffer_limit_disconnections", "client_query_buffer_limit_disconnections_total", "Clients disconnected because their query buffer grew too large."),
    counter("Stats", "client_output_buffer_limit_disconnections", "client_output_buffer_limit_disconnections_total", "Clients disconnected because they read too slowly and their output buffer grew too large."),
    counter("Stats", "reply_buffer_shrinks", "reply_buffer_shrinks_total", "Times that the server shrank the reply buffer of a client."),
    counter("Stats", "reply_buffer_expands", "reply_buffer_expands_total", "Times that the server expanded the reply buffer of a client."),
    counter("Stats", "eventloop_cycles", "eventloop_cycles_total", "Cycles of the event loop."),
    counter("Stats", "eventloop_duration_sum", "eventloop_duration_sum_usec_total", "Microseconds spent in the event loop, excluding waiting."),
    counter("Stats", "eventloop_duration_sum", "eventloop_duration_seconds_total", "Time spent in the event loop, excluding waiting.", usec),
    counter("Stats", "eventloop_duration_cmd_sum", "eventloop_duration_cmd_sum_usec_total", "Microseconds of the event loop spent on commands."),
    counter("Stats", "eventloop_duration_cmd_sum", "eventloop_duration_cmd_seconds_total", "Time of the event loop spent on commands.", usec),
    counter("Stats", "eventloop_cycles_with_clients_processing", "eventloop_cycles_with_clients_processing_total", "Cycles of the event loop in which commands of clients were processed (Redis 8.8 and later)."),
    counter("Stats", "total_client_processing_events", "client_processing_events_total", "Times that the commands received from a client were processed (Redis 8.8 and later)."),
    counter("Stats", "commands_per_parse_batch_sum", "parse_batch_commands_total", "Commands that were parsed in batches; divided by redis_parse_batches_total: the depth of pipelines (Redis 8.8 and later)."),
    counter("Stats", "commands_per_parse_batch_cnt", "parse_batches_total", "Batches of commands that were parsed (Redis 8.8 and later)."),
    gauge("Stats", "instantaneous_eventloop_cycles_per_sec", "instantaneous_eventloop_cycles_per_sec", "Cycles of the event loop per second, averaged by the server over its last samples."),
    gauge("Stats", "instantaneous_eventloop_duration_usec", "instantaneous_eventloop_duration_usec", "Duration of a cycle of the event loop in microseconds, averaged by the server over its last samples."),
    gauge("Stats", "instantaneous_eventloop_duration_usec", "instantaneous_eventloop_duration_seconds", "Duration of a cycle of the event loop, averaged by the server over its last samples.", usec),
    counter("Stats", "acl_access_denied_auth", "acl_access_denied_auth_total", "Logins denied by the ACL."),
    counter("Stats", "acl_access_denied_cmd", "acl_access_denied_cmd_total", "Commands denied by the ACL."),
    counter("Stats", "acl_access_denied_key", "acl_access_denied_key_total", "Accesses to keys denied by the ACL."),
    counter("Stats", "acl_access_denied_channel", "acl_access_denied_channel_total", "Accesses to channels denied by the ACL."),
    counter("Stats", "acl_access_denied_db", "acl_access_denied_db_total", "Accesses to databases denied by the ACL (Valkey 9.1 and later)."),
    counter("Stats", "acl_access_denied_tls_cert", "acl_access_denied_tls_cert_total", "Logins by TLS certificate denied by the ACL (Valkey 9.0 and Redis 8.6 and later)."),

    gauge("Replication", "connected_slaves", "connected_slaves", "Replicas connected."),
    gauge("Replication", "replicas_waiting_psync", "replicas_waiting_psync", "Replicas that wait for a synchronisation to start."),
    gauge("Replication", "min_slaves_good_slaves", "min_slaves_good_slaves", "Replicas that are not too far behind; present only if min-replicas-to-write is set."),
    gauge("Replication", "repl_backlog_size", "replication_backlog_bytes", "Size of the replication backlog (repl-backlog-size)."),
    gauge("Replication", "repl_backlog_active", "repl_backlog_is_active", "1 while a replication backlog exists."),
    gauge("Replication", "repl_backlog_first_byte_offset", "repl_backlog_first_byte_offset", "Replication offset of the oldest byte in the backlog."),
    gauge("Replication", "repl_backlog_histlen", "repl_backlog_history_bytes", "Bytes in the replication backlog."),
    gauge("Replication", "master_repl_offset", "master_repl_offset", "Replication offset that the server has reached."),
    gauge("Replication", "second_repl_offset", "second_repl_offset", "Offset up to which the previous replication id is accepted, -1 if there is no previous id."),
    gauge("Replication", "slave_priority", "slave_priority", "Priority of this replica in a failover, 0 for never (replica-priority)."),
    gauge("Replication", "replica_announced", "replica_announced", "1 if Sentinels may report this replica to clients (replica-announced)."),
    gauge("Replication", "replicas_repl_buffer_size", "replicas_repl_buffer_size_bytes", "Bytes of changes that a replica buffers while it loads the dataset (Valkey 8.0 and later, dual-channel replication)."),
    gauge("Replication", "replicas_repl_buffer_peak", "replicas_repl_buffer_peak_bytes", "Maximum of the bytes of changes that a replica buffered while it loaded the dataset (Valkey 8.0 and later)."),
    gauge("Replication", "replica_full_sync_buffer_size", "replica_full_sync_buffer_size_bytes", "Bytes of changes that a replica buffers while it loads the dataset (Redis 8.0 and later)."),
    gauge("Replication", "replica_full_sync_buffer_peak", "replica_full_sync_buffer_peak_bytes", "Maximum of the bytes of changes that a replica buffered while it loaded the dataset (Redis 8.0 and later)."),

    counter("CPU", "used_cpu_sys", "cpu_sys_seconds_total", "CPU time of all threads of the server in the kernel."),
    counter("CPU", "used_cpu_user", "cpu_user_seconds_total", "CPU time of all threads of the server in user space."),
    counter("CPU", "used_cpu_sys_children", "cpu_sys_children_seconds_total", "CPU time of child processes in the kernel."),
    counter("CPU", "used_cpu_user_children", "cpu_user_children_seconds_total", "CPU time of child processes in user space."),
    counter("CPU", "used_cpu_sys_main_thread", "cpu_sys_main_thread_seconds_total", "CPU time of the main thread in the kernel."),
    counter("CPU", "used_cpu_user_main_thread", "cpu_user_main_thread_seconds_total", "CPU time of the main thread in user space."),
    counter("CPU", "used_active_time_main_thread", "active_time_main_thread_seconds_total", "Time during which the main thread was busy (Valkey 9.1 and later)."),

    gauge("CPU", "server_threads", "server_threads_total", "Threads that serve clients (KeyDB)."),
    gauge("CPU", "long_lock_waits", "long_lock_waits_total", "Long waits for the data lock since the server started (KeyDB)."),
    counter("CPU", "long_lock_waits", "lock_waits_long_total", "Long waits for the data lock (KeyDB)."),

    gauge("Cluster", "cluster_enabled", "cluster_enabled", "1 if the server is a cluster node."),
)

InstanceLabel = Literal[
    "role", "redis_version", "redis_build_id", "redis_mode", "os", "maxmemory_policy", "tcp_port", "run_id",
    "process_id", "master_replid", "valkey_version", "valkey_release_stage", "availability_zone",
    "software", "version", "managed_service",
]  # fmt: skip
_INSTANCE_LABELS: tuple[InstanceLabel, ...] = get_args(InstanceLabel)

INSTANCE = gauge("Server", "redis_version", "instance_info", "Always 1; the labels describe the server and are empty for what it does not report.", labels=_INSTANCE_LABELS)
SERVER = gauge("Server", "redis_version", "server_info", "Always 1; the labels name the server's software, its own version, the managed service that runs it, and its mode.", labels=("software", "version", "managed_service", "mode"))
START_TIME = gauge("Server", "server_time_usec", "start_time_seconds", "Unix time of the start of the server; it changes only at a restart.")
ROLE = gauge("Replication", "role", "role", "1 for the role that the server has, 0 for other roles.", labels=("role",))
MAXMEMORY_RATIO = gauge("Memory", "used_memory", "memory_maxmemory_ratio", "used_memory divided by maxmemory; present only if a limit is set.")
ANSWERING_NODES = gauge("Server", "run_id", "answering_nodes", "Nodes that answered at the address of the target in the last 20 polls; present only if several nodes do.")
# fmt: on

#: Fields that only some kinds of servers and some services have; see ``server_info``.
PROFILE_METRICS = tuple(dict.fromkeys(metric for profile in (*SOFTWARE, *SERVICES) for metric in profile.metrics))
ROLES = ("master", "slave", "sentinel")
#: An active replica of KeyDB accepts writes and follows a master.
_BOTH_ROLES = {"active-replica": ("master", "slave")}
#: Sections whose field names are defined by the server, in lower case; "" is for servers that write no headings.
#: Other sections have names chosen by users: modules, commands, error codes.
_SERVER_SECTIONS = frozenset(
    {"", "server", "clients", "memory", "persistence", "threads", "stats", "replication", "cpu", "cluster", "keydb"}
    | {"data"}  # Pika
)


def merge_sections(info: Info, sections: Iterable[str]) -> dict[str, str]:
    """Merge sections into one dict. If several sections have a field, the first of them counts."""
    merged: dict[str, str] = {}
    for section in reversed(list(sections)):
        merged |= info[section]
    return merged


class InfoOptions(Options):
    """Settings of the collector ``info``."""

    empty_databases: Count = Field(
        16,
        description="Number of databases, from `db0` on, that are published with 0 keys when they are empty. A cluster"
        " node has only `db0`. INFO names only databases with keys, so set the server's `databases` here.",
    )
    instance_labels: tuple[InstanceLabel, ...] = Field(
        _INSTANCE_LABELS,
        description="Labels of `redis_instance_info` that are filled; others stay empty. Without `run_id`, `process_id`"
        " and `master_replid` a restart or a failover makes no new series.",
    )


class InfoCollector(Stateless):
    """Read INFO once, update ``Server`` with it, and read the fields of ``INFO_METRICS``.

    The field of a metric is searched in the section of its definition. If that section does not have it, the other
    ``_SERVER_SECTIONS`` are searched. Fields have moved between versions, and compatible servers group them differently.
    """

    name: ClassVar[str] = "info"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *INFO_METRICS,
        *PROFILE_METRICS,
        *(INSTANCE, SERVER, START_TIME, ROLE, MAXMEMORY_RATIO, ANSWERING_NODES),
        *STATES,
        *THREADS,
        *REPLICATION,
        *CERTIFICATES,
        *SCRIPTING_ENGINES,
        *HOTKEYS,
        *KEYSPACE,
    )
    options: ClassVar[type[Options]] = InfoOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("info",)

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock

    def applies(self, server: Server) -> bool:  # noqa: ARG002
        """Return True: every server has INFO."""
        return True

    def requests(self, server: Server, options: Any) -> Sequence[Args]:  # noqa: ARG002
        """Return INFO."""
        return info_requests(server)

    async def collect(self, server: Server, commands: Commands, options: InfoOptions) -> Iterable[CollectorItem]:
        """Read the reply part by part. An unreadable part is counted and does not affect the others."""
        return await self._read(server, commands, options, None)

    async def write(
        self, server: Server, commands: Commands, options: InfoOptions, target: str
    ) -> Sequence[CollectorItem]:
        """Write the fields of ``INFO_METRICS``, and read the other parts as ``collect`` does."""
        return await self._read(server, commands, options, target)

    async def _read(
        self, server: Server, commands: Commands, options: InfoOptions, target: str | None
    ) -> list[CollectorItem]:
        info = await read_info(server, commands)
        fields = merge_sections(info, (section for section in info if section.lower() in _SERVER_SECTIONS))
        server.update(merge_sections(info, info) | fields)
        replication = info.get("Replication", fields)
        written = target is not None and not server.has_many_nodes  # then samples are needed
        parts = chain(
            _field_lines(server, info, fields, target or "") if written else _field_samples(server, info, fields),
            _identity_samples(server, fields, options.instance_labels),
            [self._start_time(server, fields), _maxmemory_ratio(fields), _answering_nodes(server)],
            read_masters(replication if "master_host" in replication else fields),
            read_replicas(replication, fields.get("master_repl_offset", "")),
            read_states(fields),
            read_threads(info.get("CPU", fields), info.get("Threads", fields)),
            read_certificates(info.get("TLS", {})),
            read_scripting_engines(info.get("Scripting Engines", {})),
            read_hotkeys(info.get("Hotkeys", {})),
            _dropped_fields(server),
            read_databases(info.get("Keyspace"), 1 if server.mode == "cluster" else options.empty_databases),
        )
        items = await limited_items(item for item in parts if item is not None)
        if not items:
            raise EmptyReplyError("the reply to INFO has no known field")
        return items

    def _start_time(self, server: Server, fields: dict[str, str]) -> Sample | UnreadableField | None:
        """Compute the start time from the server's clock if INFO has it, otherwise from the local clock.

        Whole seconds of the server's clock minus its uptime are exactly the second in which it started.
        """
        if not fields.get("uptime_in_seconds"):
            return None
        try:
            uptime, now = parse_number(fields["uptime_in_seconds"]) or 0.0, usec(fields.get("server_time_usec", ""))
        except ValueError:
            return UnreadableField(START_TIME.location)
        estimate = (self._wall_clock() if now is None else float(now // 1)) - uptime
        return START_TIME.sample(server.stable_start_time(estimate))


def _field_samples(server: Server, info: Info, fields: dict[str, str]) -> Iterator[CollectorItem | None]:
    empty: dict[str, str] = {}
    for metric in chain(INFO_METRICS, server.profile.metrics):
        text = info.get(metric.section, empty).get(metric.field)
        if text is None:
            text = fields.get(metric.field)
        if text is None:
            continue
        item = metric.parse(text)
        if not isinstance(item, UnreadableField) or _is_new(server, metric, text):
            yield item


#: A metric, its field, the start of its line, and whether a whole number is written as it stands.
_Row = tuple[MetricSpec, str, str, bool]


@lru_cache(maxsize=64)
def _rows(metrics: tuple[MetricSpec, ...]) -> list[tuple[str, list[_Row]]]:
    """Return the metrics by the section of INFO, in their order."""
    rows: list[tuple[str, list[_Row]]] = []
    for section, group in groupby(metrics, key=attrgetter("section")):
        rows.append((section, [(one, one.field, f"{one.full_name}{{", one.convert is parse_number) for one in group]))
    return rows


_ROWS = _rows(INFO_METRICS)


def _field_lines(server: Server, info: Info, fields: dict[str, str], target: str) -> Iterator[CollectorItem]:
    """Write what ``_field_samples`` yields."""
    texts: dict[MetricSpec, str] = {}
    empty: dict[str, str] = {}
    for section, rows in chain(_ROWS, _rows(server.profile.metrics)):
        own = info.get(section, empty)
        for metric, field, start, is_plain in rows:
            if (text := own.get(field)) is None and (text := fields.get(field)) is None:
                continue
            if is_plain and is_whole(text):
                texts[metric] = f"{start}{target}}} {text}\n"
                continue
            item = metric.parse(text)
            if type(item) is Sample:
                texts[metric] = f"{start}{target}}} {format_number(item.value)}\n"
            elif item is not None and _is_new(server, metric, text):
                yield item
    if texts:
        yield WrittenLines(texts)


def _is_new(server: Server, metric: MetricSpec, text: str) -> bool:
    """Return whether an unreadable field counts.

    An idle Redis 8 reports an underflow at every poll, and no user can fix it. So it counts once and raises no alert.
    """
    if not is_underflow(text):
        return True
    is_new = metric.location not in server.underflows
    server.underflows.add(metric.location)
    return is_new


def _identity_samples(server: Server, fields: dict[str, str], labels: Collection[str]) -> Iterator[Sample]:
    values = {**fields, "role": server.role, "redis_mode": server.mode}
    if server.version:
        values |= {"software": server.software, "version": server.version, "managed_service": server.service}
    identity = [values.get(label, "") if label in labels else "" for label in _INSTANCE_LABELS]
    if any(identity):
        yield INSTANCE.sample(1.0, *identity)
    if server.version:
        yield SERVER.sample(1.0, server.software, server.version, server.service, server.mode)
    if server.role:
        roles = _BOTH_ROLES.get(server.role, (server.role,))
        for role in ROLES:
            yield ROLE.sample(float(role in roles), role)


def _maxmemory_ratio(fields: dict[str, str]) -> Sample | None:
    try:
        used, limit = parse_number(fields.get("used_memory", "")), parse_number(fields.get("maxmemory", ""))
    except ValueError:
        return None  # the metrics of these fields report it
    return MAXMEMORY_RATIO.sample(used / limit) if used is not None and limit and limit >= 1 else None


def _answering_nodes(server: Server) -> Sample | None:
    return ANSWERING_NODES.sample(float(server.nodes.count)) if server.has_many_nodes and server.nodes.count else None


def _dropped_fields(server: Server) -> Iterator[OverflowCount]:
    if server.newest_info is not None and server.newest_info.dropped:
        yield OverflowCount("INFO/fields", server.newest_info.dropped)


COLLECTOR = InfoCollector()
