"""INFO: what the server says of itself, and THE TABLE that says under which name each field is published.

redis_connected_clients{target="cart"} 42
redis_db_keys{target="cart",db="db0"} 1833

A new field is a new row. Two rows of one field are an established name with a wrong type or unit, and a right one below.
"""
# ruff: noqa: E501 - a row is one line

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import ClassVar, Literal, get_args

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.info.keyspace import KEYSPACE, read_databases
from redis_pulse.collectors.info.replication import REPLICATION, read_masters, read_replicas
from redis_pulse.collectors.support.info_lines import read_info
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Count, Field
from redis_pulse.errors import EmptyReplyError
from redis_pulse.metric import (
    CollectorItem,
    MetricSpec,
    Sample,
    UnreadableField,
    counter,
    gauge,
    is_underflow,
    msec,
    parse_number,
    usec,
)
from redis_pulse.parse.info import Info
from redis_pulse.server_info import Server

# fmt: off
#: Fields that are one number each: INFO section, field, name, help, and how to convert it when it is not plain.
INFO_METRICS: tuple[MetricSpec, ...] = (
    gauge("Server", "uptime_in_seconds", "uptime_in_seconds", "Time since the server started."),
    gauge("Server", "process_id", "process_id", "Process id of the server on its machine."),
    gauge("Server", "io_threads_active", "io_threads_active", "1 while I/O threads share the work of the main thread."),
    gauge("Server", "hz", "hz", "Runs per second of the server's background tasks, now."),
    gauge("Server", "configured_hz", "configured_hz", "Runs per second of the server's background tasks, as configured (hz)."),

    gauge("Clients", "connected_clients", "connected_clients", "Client connections, without those of replicas."),
    gauge("Clients", "cluster_connections", "cluster_connections", "Approximate number of sockets of the cluster bus."),
    gauge("Clients", "blocked_clients", "blocked_clients", "Clients that wait in a blocking command (BLPOP, XREAD BLOCK, WAIT, ...)."),
    gauge("Clients", "maxclients", "max_clients", "Client connections that the server accepts at most (maxclients)."),
    gauge("Clients", "tracking_clients", "tracking_clients", "Clients that use client-side caching (CLIENT TRACKING)."),
    gauge("Clients", "clients_in_timeout_table", "clients_in_timeout_table", "Blocked clients whose command has a timeout."),
    gauge("Clients", "pubsub_clients", "pubsub_clients", "Clients in subscriber mode (SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE)."),
    gauge("Clients", "watching_clients", "watching_clients", "Clients that watch keys (WATCH)."),
    gauge("Clients", "total_watched_keys", "total_watched_keys", "Keys that are watched (WATCH)."),
    gauge("Clients", "total_blocking_keys", "total_blocking_keys", "Keys that blocked clients wait for."),
    gauge("Clients", "total_blocking_keys_on_nokey", "total_blocking_keys_on_nokey", "Keys whose deletion would wake a blocked client."),
    gauge("Clients", "client_longest_output_list", "client_longest_output_list", "Longest output list of all clients (before Redis 5)."),
    gauge("Clients", "client_biggest_input_buf", "client_biggest_input_buf", "Biggest input buffer of all clients, in bytes (before Redis 5)."),
    gauge("Clients", "client_recent_max_output_buffer", "client_recent_max_output_buffer_bytes", "Biggest output buffer of a client in the last seconds."),
    gauge("Clients", "client_recent_max_input_buffer", "client_recent_max_input_buffer_bytes", "Biggest input buffer of a client in the last seconds."),
    gauge("Clients", "current_client_thread", "current_client_thread", "Number of the thread that answered INFO (KeyDB)."),

    gauge("Memory", "allocator_active", "allocator_active_bytes", "Bytes in the allocator's active pages, external fragmentation included."),
    gauge("Memory", "allocator_allocated", "allocator_allocated_bytes", "Bytes allocated from the allocator, internal fragmentation included."),
    gauge("Memory", "allocator_resident", "allocator_resident_bytes", "Bytes that the allocator holds in RAM, pages it could give back included."),
    gauge("Memory", "allocator_frag_ratio", "allocator_frag_ratio", "allocator_active divided by allocator_allocated: true external fragmentation."),
    gauge("Memory", "allocator_frag_bytes", "allocator_frag_bytes", "Bytes lost to external fragmentation."),
    gauge("Memory", "allocator_muzzy", "allocator_muzzy_bytes", "Bytes given back to the system that it has not reclaimed yet (jemalloc)."),
    gauge("Memory", "allocator_rss_ratio", "allocator_rss_ratio", "allocator_resident divided by allocator_active: pages that could be given back soon."),
    gauge("Memory", "allocator_rss_bytes", "allocator_rss_bytes", "Bytes that the allocator could give back to the system."),
    gauge("Memory", "used_memory", "memory_used_bytes", "Bytes allocated by the server."),
    gauge("Memory", "used_memory_rss", "memory_used_rss_bytes", "Bytes of RAM that the process holds, as the system sees it."),
    gauge("Memory", "used_memory_peak", "memory_used_peak_bytes", "Most bytes ever allocated by the server since it started."),
    gauge("Memory", "used_memory_lua", "memory_used_lua_bytes", "Bytes used by the Lua engine of EVAL."),
    gauge("Memory", "used_memory_vm_eval", "memory_used_vm_eval_bytes", "Bytes used by the script engine of EVAL, outside used_memory."),
    gauge("Memory", "used_memory_scripts_eval", "memory_used_scripts_eval_bytes", "Bytes of overhead of cached EVAL scripts, part of used_memory."),
    gauge("Memory", "used_memory_overhead", "memory_used_overhead_bytes", "Bytes that manage data: buffers, dictionaries, and the like."),
    gauge("Memory", "used_memory_startup", "memory_used_startup_bytes", "Bytes that the server used right after its start."),
    gauge("Memory", "used_memory_dataset", "memory_used_dataset_bytes", "Bytes of the data itself: used_memory without overhead."),
    gauge("Memory", "number_of_cached_scripts", "number_of_cached_scripts", "EVAL scripts in the script cache."),
    gauge("Memory", "number_of_functions", "number_of_functions", "Functions loaded (FUNCTION LOAD)."),
    gauge("Memory", "number_of_libraries", "number_of_libraries", "Function libraries loaded (FUNCTION LOAD)."),
    gauge("Memory", "used_memory_vm_functions", "memory_used_vm_functions_bytes", "Bytes used by the script engines of functions, outside used_memory."),
    gauge("Memory", "used_memory_scripts", "memory_used_scripts_bytes", "Bytes of overhead of EVAL scripts and functions, part of used_memory."),
    gauge("Memory", "used_memory_functions", "memory_used_functions_bytes", "Bytes of overhead of functions, part of used_memory."),
    gauge("Memory", "used_memory_vm_total", "memory_used_vm_total", "Bytes used by all script engines, outside used_memory."),
    gauge("Memory", "total_system_memory", "total_system_memory_bytes", "RAM of the server's machine."),
    gauge("Memory", "maxmemory", "memory_max_bytes", "Bytes that the server may allocate (maxmemory), 0 for no limit."),
    gauge("Memory", "maxmemory_reservation", "memory_max_reservation_bytes", "Bytes kept free for other than data (Azure)."),
    gauge("Memory", "maxmemory_desired_reservation", "memory_max_reservation_desired_bytes", "Bytes that should be kept free for other than data (Azure)."),
    gauge("Memory", "maxfragmentationmemory_reservation", "memory_max_fragmentation_reservation_bytes", "Bytes kept free for fragmentation (Azure)."),
    gauge("Memory", "maxfragmentationmemory_desired_reservation", "memory_max_fragmentation_reservation_desired_bytes", "Bytes that should be kept free for fragmentation (Azure)."),
    gauge("Memory", "mem_fragmentation_ratio", "mem_fragmentation_ratio", "used_memory_rss divided by used_memory; below 1 the machine swaps."),
    gauge("Memory", "mem_fragmentation_bytes", "mem_fragmentation_bytes", "used_memory_rss minus used_memory."),
    gauge("Memory", "mem_clients_slaves", "mem_clients_slaves", "Bytes used by the connections of replicas."),
    gauge("Memory", "mem_clients_normal", "mem_clients_normal", "Bytes used by the connections of clients."),
    gauge("Memory", "mem_cluster_links", "mem_cluster_links_bytes", "Bytes used by the links to the other cluster nodes."),
    gauge("Memory", "mem_aof_buffer", "mem_aof_buffer_bytes", "Bytes used by the buffers of the append-only file."),
    gauge("Memory", "mem_replication_backlog", "mem_replication_backlog_bytes", "Bytes used by the replication backlog."),
    gauge("Memory", "mem_not_counted_for_evict", "mem_not_counted_for_eviction_bytes", "Bytes that do not count towards maxmemory: buffers of replicas and of the append-only file."),
    gauge("Memory", "mem_total_replication_buffers", "mem_total_replication_buffers_bytes", "Bytes used by all replication buffers and the backlog."),
    gauge("Memory", "mem_overhead_db_hashtable_rehashing", "mem_overhead_db_hashtable_rehashing_bytes", "Bytes used in passing by dictionaries that are being resized."),
    gauge("Memory", "lazyfree_pending_objects", "lazyfree_pending_objects", "Objects that wait to be freed in the background (UNLINK, FLUSHALL ASYNC)."),
    gauge("Memory", "lazyfreed_objects", "lazyfreed_objects", "Objects freed in the background since the start or CONFIG RESETSTAT."),
    counter("Memory", "lazyfreed_objects", "objects_lazyfreed_total", "Objects freed in the background."),
    gauge("Memory", "active_defrag_running", "active_defrag_running", "CPU percentage that active defragmentation wants to use, 0 while it rests."),

    gauge("Persistence", "loading", "loading_dump_file", "1 while the server loads its dataset and answers LOADING."),
    gauge("Persistence", "async_loading", "async_loading", "1 while a replica loads a new dataset and still serves the old one."),
    gauge("Persistence", "loading_total_bytes", "loading_total_bytes", "Size of the file being loaded, only while loading."),
    gauge("Persistence", "loading_loaded_bytes", "loading_loaded_bytes", "Bytes loaded already, only while loading."),
    gauge("Persistence", "loading_eta_seconds", "loading_eta_seconds", "Time until the dataset is loaded, as the server estimates it, only while loading."),
    gauge("Persistence", "rdb_changes_since_last_save", "rdb_changes_since_last_save", "Changes of the dataset since the last successful snapshot."),
    gauge("Persistence", "rdb_bgsave_in_progress", "rdb_bgsave_in_progress", "1 while a snapshot is being written."),
    gauge("Persistence", "rdb_last_save_time", "rdb_last_save_timestamp_seconds", "Unix time of the last successful snapshot; the start of the server when there was none."),
    gauge("Persistence", "rdb_last_bgsave_status", "rdb_last_bgsave_status", "1 when the last snapshot succeeded, 0 when it failed."),
    gauge("Persistence", "rdb_last_bgsave_time_sec", "rdb_last_bgsave_duration_sec", "Duration of the last snapshot in seconds, -1 when there was none."),
    gauge("Persistence", "rdb_current_bgsave_time_sec", "rdb_current_bgsave_duration_sec", "Duration so far of the snapshot being written in seconds, -1 when none is."),
    gauge("Persistence", "rdb_saves", "rdb_saves_total", "Snapshots since the server started."),
    counter("Persistence", "rdb_saves", "rdb_snapshots_total", "Snapshots written."),
    gauge("Persistence", "rdb_last_cow_size", "rdb_last_cow_size_bytes", "Memory copied on write during the last snapshot."),
    gauge("Persistence", "rdb_last_load_keys_expired", "rdb_last_load_expired_keys", "Expired keys dropped when the last snapshot was loaded."),
    gauge("Persistence", "rdb_last_load_keys_loaded", "rdb_last_load_loaded_keys", "Keys loaded from the last snapshot."),
    gauge("Persistence", "aof_enabled", "aof_enabled", "1 when the append-only file is switched on."),
    gauge("Persistence", "aof_rewrite_in_progress", "aof_rewrite_in_progress", "1 while the append-only file is being rewritten."),
    gauge("Persistence", "aof_rewrite_scheduled", "aof_rewrite_scheduled", "1 when a rewrite of the append-only file waits for a snapshot to end."),
    gauge("Persistence", "aof_last_rewrite_time_sec", "aof_last_rewrite_duration_sec", "Duration of the last rewrite of the append-only file in seconds, -1 when there was none."),
    gauge("Persistence", "aof_current_rewrite_time_sec", "aof_current_rewrite_duration_sec", "Duration so far of the rewrite of the append-only file in seconds, -1 when none runs."),
    gauge("Persistence", "aof_last_cow_size", "aof_last_cow_size_bytes", "Memory copied on write during the last rewrite of the append-only file."),
    gauge("Persistence", "aof_current_size", "aof_current_size_bytes", "Size of the append-only file."),
    gauge("Persistence", "aof_base_size", "aof_base_size_bytes", "Size of the append-only file after its last rewrite or at the start."),
    gauge("Persistence", "aof_pending_rewrite", "aof_pending_rewrite", "1 when a rewrite of the append-only file waits for a snapshot to end."),
    gauge("Persistence", "aof_buffer_length", "aof_buffer_length", "Bytes in the buffer of the append-only file."),
    gauge("Persistence", "aof_rewrite_buffer_length", "aof_rewrite_buffer_length", "Bytes in the rewrite buffer of the append-only file (before Redis 7)."),
    gauge("Persistence", "aof_pending_bio_fsync", "aof_pending_bio_fsync", "Syncs of the append-only file that wait in the background."),
    gauge("Persistence", "aof_delayed_fsync", "aof_delayed_fsync", "Writes delayed by a slow sync of the append-only file since the start or CONFIG RESETSTAT."),
    counter("Persistence", "aof_delayed_fsync", "aof_delayed_fsyncs_total", "Writes delayed by a slow sync of the append-only file: the disk is too slow."),
    counter("Persistence", "aof_rewrites", "aof_rewrites_total", "Rewrites of the append-only file."),
    gauge("Persistence", "aof_rewrites_consecutive_failures", "aof_rewrites_consecutive_failures", "Rewrites of the append-only file that failed since the last one that succeeded."),
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
    gauge("Stats", "sync_full", "replica_resyncs_full", "Full resynchronisations with replicas since the start or CONFIG RESETSTAT."),
    counter("Stats", "sync_full", "replica_full_resyncs_total", "Full resynchronisations with replicas."),
    gauge("Stats", "sync_partial_ok", "replica_partial_resync_accepted", "Partial resynchronisations accepted since the start or CONFIG RESETSTAT."),
    counter("Stats", "sync_partial_ok", "replica_partial_resyncs_accepted_total", "Partial resynchronisations accepted: the backlog still had what a replica missed."),
    gauge("Stats", "sync_partial_err", "replica_partial_resync_denied", "Partial resynchronisations denied since the start or CONFIG RESETSTAT."),
    counter("Stats", "sync_partial_err", "replica_partial_resyncs_denied_total", "Partial resynchronisations denied: a full one had to follow."),
    counter("Stats", "expired_keys", "expired_keys_total", "Keys that expired."),
    counter("Stats", "expired_subkeys", "expired_subkeys_total", "Hash fields that expired (Redis 7.4 and later)."),
    counter("Stats", "expired_fields", "expired_fields_total", "Hash fields that expired (Valkey 9 and later)."),
    gauge("Stats", "expired_stale_perc", "expired_stale_percentage", "Estimated percentage of keys with a TTL that have expired and still take memory."),
    counter("Stats", "expired_time_cap_reached_count", "expired_time_cap_reached_total", "Expiry cycles that ran out of their time before they were done."),
    counter("Stats", "expire_cycle_cpu_milliseconds", "expire_cycle_cpu_time_ms_total", "Milliseconds spent on expiry cycles."),
    counter("Stats", "expire_cycle_cpu_milliseconds", "expire_cycle_cpu_seconds_total", "Time spent on expiry cycles.", msec),
    counter("Stats", "evicted_keys", "evicted_keys_total", "Keys evicted because of maxmemory."),
    counter("Stats", "evicted_clients", "evicted_clients_total", "Clients disconnected because of maxmemory-clients."),
    counter("Stats", "evicted_scripts", "evicted_scripts_total", "EVAL scripts evicted from the script cache."),
    counter("Stats", "total_eviction_exceeded_time", "eviction_exceeded_time_ms_total", "Milliseconds spent above maxmemory."),
    counter("Stats", "total_eviction_exceeded_time", "eviction_exceeded_seconds_total", "Time spent above maxmemory.", msec),
    gauge("Stats", "current_eviction_exceeded_time", "current_eviction_exceeded_time_ms", "Milliseconds since memory rose above maxmemory, 0 when it is not."),
    gauge("Stats", "current_eviction_exceeded_time", "current_eviction_exceeded_seconds", "Time since memory rose above maxmemory, 0 when it is not.", msec),
    counter("Stats", "keyspace_hits", "keyspace_hits_total", "Lookups of keys that were there."),
    counter("Stats", "keyspace_misses", "keyspace_misses_total", "Lookups of keys that were not there."),
    gauge("Stats", "pubsub_channels", "pubsub_channels", "Channels with at least one subscriber."),
    gauge("Stats", "pubsub_patterns", "pubsub_patterns", "Patterns with at least one subscriber."),
    gauge("Stats", "pubsubshard_channels", "pubsubshard_channels", "Shard channels with at least one subscriber."),
    gauge("Stats", "latest_fork_usec", "latest_fork_seconds", "Duration of the latest fork, during which nobody was served.", usec),
    counter("Stats", "total_forks", "forks_total", "Forks: snapshots, rewrites, full resynchronisations, child processes of modules."),
    gauge("Stats", "migrate_cached_sockets", "migrate_cached_sockets_total", "Sockets kept open for MIGRATE."),
    counter("Stats", "cached_keys", "cached_keys_total", "Keys that are in memory (KeyDB with a storage provider)."),
    counter("Stats", "storage_provider_read_hits", "storage_provider_read_hits", "Keys that were found in the storage provider (KeyDB)."),
    counter("Stats", "storage_provider_read_misses", "storage_provider_read_misses", "Keys that were not found in the storage provider (KeyDB)."),
    gauge("Stats", "slave_expires_tracked_keys", "slave_expires_tracked_keys", "Keys with a TTL that a writable replica has to expire itself."),
    gauge("Stats", "active_defrag_hits", "defrag_hits", "Values moved by active defragmentation since the start or CONFIG RESETSTAT."),
    counter("Stats", "active_defrag_hits", "active_defrag_hits_total", "Values moved by active defragmentation."),
    gauge("Stats", "active_defrag_misses", "defrag_misses", "Values left in place by active defragmentation since the start or CONFIG RESETSTAT."),
    counter("Stats", "active_defrag_misses", "active_defrag_misses_total", "Values left in place by active defragmentation."),
    gauge("Stats", "active_defrag_key_hits", "defrag_key_hits", "Keys defragmented actively since the start or CONFIG RESETSTAT."),
    counter("Stats", "active_defrag_key_hits", "active_defrag_key_hits_total", "Keys defragmented actively."),
    gauge("Stats", "active_defrag_key_misses", "defrag_key_misses", "Keys passed over by active defragmentation since the start or CONFIG RESETSTAT."),
    counter("Stats", "active_defrag_key_misses", "active_defrag_key_misses_total", "Keys passed over by active defragmentation."),
    counter("Stats", "total_active_defrag_time", "active_defrag_seconds_total", "Time during which memory was fragmented above the threshold of active defragmentation.", msec),
    gauge("Stats", "tracking_total_keys", "tracking_total_keys", "Keys tracked for client-side caching."),
    gauge("Stats", "tracking_total_items", "tracking_total_items", "Pairs of a key and a client tracked for client-side caching."),
    gauge("Stats", "tracking_total_prefixes", "tracking_total_prefixes", "Prefixes tracked for client-side caching in broadcast mode."),
    counter("Stats", "unexpected_error_replies", "unexpected_error_replies", "Unexpected error replies, such as a replica's to its master."),
    counter("Stats", "total_error_replies", "total_error_replies", "Error replies: rejected and failed commands."),
    counter("Stats", "dump_payload_sanitizations", "dump_payload_sanitizations", "Deep checks of a payload's integrity (sanitize-dump-payload)."),
    counter("Stats", "total_reads_processed", "total_reads_processed", "Reads from client sockets."),
    counter("Stats", "total_writes_processed", "total_writes_processed", "Writes to client sockets."),
    counter("Stats", "io_threaded_reads_processed", "io_threaded_reads_processed", "Reads from client sockets by I/O threads."),
    counter("Stats", "io_threaded_writes_processed", "io_threaded_writes_processed", "Writes to client sockets by I/O threads."),
    counter("Stats", "client_query_buffer_limit_disconnections", "client_query_buffer_limit_disconnections_total", "Clients disconnected because their query buffer grew too big."),
    counter("Stats", "client_output_buffer_limit_disconnections", "client_output_buffer_limit_disconnections_total", "Clients disconnected because their output buffer grew too big: they read too slowly."),
    counter("Stats", "reply_buffer_shrinks", "reply_buffer_shrinks_total", "Reply buffers of clients made smaller."),
    counter("Stats", "reply_buffer_expands", "reply_buffer_expands_total", "Reply buffers of clients made bigger."),
    counter("Stats", "eventloop_cycles", "eventloop_cycles_total", "Turns of the event loop."),
    counter("Stats", "eventloop_duration_sum", "eventloop_duration_sum_usec_total", "Microseconds spent in the event loop, waiting excluded."),
    counter("Stats", "eventloop_duration_sum", "eventloop_duration_seconds_total", "Time spent in the event loop, waiting excluded.", usec),
    counter("Stats", "eventloop_duration_cmd_sum", "eventloop_duration_cmd_sum_usec_total", "Microseconds of the event loop spent on commands."),
    counter("Stats", "eventloop_duration_cmd_sum", "eventloop_duration_cmd_seconds_total", "Time of the event loop spent on commands.", usec),
    gauge("Stats", "instantaneous_eventloop_cycles_per_sec", "instantaneous_eventloop_cycles_per_sec", "Turns of the event loop per second, averaged by the server over its last samples."),
    gauge("Stats", "instantaneous_eventloop_duration_usec", "instantaneous_eventloop_duration_usec", "Microseconds a turn of the event loop takes, averaged by the server over its last samples."),
    gauge("Stats", "instantaneous_eventloop_duration_usec", "instantaneous_eventloop_duration_seconds", "Time a turn of the event loop takes, averaged by the server over its last samples.", usec),
    counter("Stats", "acl_access_denied_auth", "acl_access_denied_auth_total", "Logins denied by the ACL."),
    counter("Stats", "acl_access_denied_cmd", "acl_access_denied_cmd_total", "Commands denied by the ACL."),
    counter("Stats", "acl_access_denied_key", "acl_access_denied_key_total", "Accesses to keys denied by the ACL."),
    counter("Stats", "acl_access_denied_channel", "acl_access_denied_channel_total", "Accesses to channels denied by the ACL."),
    counter("Stats", "acl_access_denied_db", "acl_access_denied_db_total", "Accesses to databases denied by the ACL (Valkey 9.1 and later)."),
    counter("Stats", "acl_access_denied_tls_cert", "acl_access_denied_tls_cert_total", "Logins by TLS certificate denied by the ACL (Valkey 9.1 and later)."),

    gauge("Replication", "connected_slaves", "connected_slaves", "Replicas connected."),
    gauge("Replication", "replicas_waiting_psync", "replicas_waiting_psync", "Replicas that wait until a synchronization begins."),
    gauge("Replication", "min_slaves_good_slaves", "min_slaves_good_slaves", "Replicas that are not too far behind, only where min-replicas-to-write is set."),
    gauge("Replication", "repl_backlog_size", "replication_backlog_bytes", "Size of the replication backlog (repl-backlog-size)."),
    gauge("Replication", "repl_backlog_active", "repl_backlog_is_active", "1 while there is a replication backlog."),
    gauge("Replication", "repl_backlog_first_byte_offset", "repl_backlog_first_byte_offset", "Replication offset of the oldest byte in the backlog."),
    gauge("Replication", "repl_backlog_histlen", "repl_backlog_history_bytes", "Bytes in the replication backlog."),
    gauge("Replication", "master_repl_offset", "master_repl_offset", "Replication offset that the server has reached."),
    gauge("Replication", "second_repl_offset", "second_repl_offset", "Offset up to which the previous replication id is accepted, -1 when there is none."),
    gauge("Replication", "slave_priority", "slave_priority", "Priority of this replica in a failover, 0 for never (replica-priority)."),

    counter("CPU", "used_cpu_sys", "cpu_sys_seconds_total", "CPU time of the server in the kernel, all threads."),
    counter("CPU", "used_cpu_user", "cpu_user_seconds_total", "CPU time of the server in user space, all threads."),
    counter("CPU", "used_cpu_sys_children", "cpu_sys_children_seconds_total", "CPU time of child processes in the kernel."),
    counter("CPU", "used_cpu_user_children", "cpu_user_children_seconds_total", "CPU time of child processes in user space."),
    counter("CPU", "used_cpu_sys_main_thread", "cpu_sys_main_thread_seconds_total", "CPU time of the main thread in the kernel."),
    counter("CPU", "used_cpu_user_main_thread", "cpu_user_main_thread_seconds_total", "CPU time of the main thread in user space."),
    counter("CPU", "used_active_time_main_thread", "active_time_main_thread_seconds_total", "Time during which the main thread was busy (Valkey 9 and later)."),

    gauge("CPU", "server_threads", "server_threads_total", "Threads that serve clients (KeyDB)."),
    gauge("CPU", "long_lock_waits", "long_lock_waits_total", "Long waits for the lock of the data since the server started (KeyDB)."),
    counter("CPU", "long_lock_waits", "lock_waits_long_total", "Long waits for the lock of the data (KeyDB)."),

    gauge("Cluster", "cluster_enabled", "cluster_enabled", "1 when the server is a cluster node."),
)



InstanceLabel = Literal[
    "role", "redis_version", "redis_build_id", "redis_mode", "os", "maxmemory_policy", "tcp_port", "run_id",
    "process_id", "master_replid", "valkey_version", "valkey_release_stage",
]  # fmt: skip
_IDENTITY: tuple[InstanceLabel, ...] = get_args(InstanceLabel)

INSTANCE = gauge("Server", "redis_version", "instance_info", "Always 1; the labels say what the server is, empty where it does not say.", labels=_IDENTITY)
SOFTWARE = gauge("Server", "redis_version", "server_info", "Always 1; the labels say which software the server is, and in which version of its own.", labels=("software", "version"))
START_TIME = gauge("Server", "server_time_usec", "start_time_seconds", "Unix time of the start of the server; changes only when it restarts.")
ROLE = gauge("Replication", "role", "role", "1 for the role that the server has, 0 for the others.", labels=("role",))
MAXMEMORY_RATIO = gauge("Memory", "used_memory", "memory_maxmemory_ratio", "used_memory divided by maxmemory, only where a limit is set.")
IO_THREAD = counter("CPU", "used_active_time_io_thread_N", "active_time_io_thread_seconds_total", "Time during which an I/O thread was busy (Valkey 9 and later).", labels=("thread",))
# fmt: on

ROLES = ("master", "slave", "sentinel")
#: KeyDB's active replica takes writes and follows a master.
_BOTH_ROLES = {"active-replica": ("master", "slave")}
_IO_THREAD_FIELD = re.compile(r"used_active_time_io_thread_([0-9]+)")
#: The server's own sections, in lower case; "" is what servers without headings have. Others are full of names that
#: somebody else chose: modules, commands, error codes.
_OWN = frozenset(
    {"", "server", "clients", "memory", "persistence", "threads", "stats", "replication", "cpu", "cluster", "keydb"}
    | {"data"}  # Pika
)


def merge(info: Info, sections: Iterable[str]) -> dict[str, str]:
    """Put sections into one dict; of a field that is in several, the first section's counts."""
    merged: dict[str, str] = {}
    for section in reversed(list(sections)):
        merged |= info[section]
    return merged


class InfoOptions(Options):
    """What is published beyond the plain fields."""

    empty_databases: Count = Field(
        16,
        description="Databases that are shown with 0 keys when they are empty, counted from `db0`. A cluster node shows"
        " `db0` alone. INFO names only databases that hold keys, so what a server's `databases` says is set here.",
    )
    instance_labels: tuple[InstanceLabel, ...] = Field(
        _IDENTITY,
        description="Labels of `redis_instance_info` that are filled; others stay empty. Without `run_id`, `process_id`"
        " and `master_replid` a restart or a failover makes no new series.",
    )


class InfoCollector(Stateless):
    """Read INFO once, tell the server about it, and walk the table.

    A row's field is looked for in the row's section; when it is not there, in the other sections of the server's own,
    since fields have moved between versions and compatible servers group them in their own way.
    """

    name: ClassVar[str] = "info"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *INFO_METRICS,
        *(INSTANCE, SOFTWARE, START_TIME, ROLE, MAXMEMORY_RATIO, IO_THREAD),
        *REPLICATION,
        *KEYSPACE,
    )
    options: ClassVar[type[Options]] = InfoOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("info",)

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock

    def applies(self, server: Server) -> bool:  # noqa: ARG002
        """Every server has it."""
        return True

    async def collect(self, server: Server, commands: Commands, options: InfoOptions) -> Iterable[CollectorItem]:
        """Read the reply, part by part: a part that makes no sense costs itself only."""
        info = await read_info(server, commands)
        own = merge(info, (section for section in info if section.lower() in _OWN))
        server.update(merge(info, info) | own)
        replication = info.get("Replication", own)
        found = chain(
            _plain(server, info, own),
            _identity(server, own, options.instance_labels),
            [self._start(server, own), _maxmemory_ratio(own)],
            read_masters(replication if "master_host" in replication else own),
            read_replicas(replication, own.get("master_repl_offset", "")),
            _io_threads(info.get("CPU", own)),
            read_databases(info.get("Keyspace"), 1 if server.mode == "cluster" else options.empty_databases),
        )
        read = [sample for sample in found if sample is not None]
        if not read:
            raise EmptyReplyError("the reply to INFO holds nothing that is known")
        return read

    def _start(self, server: Server, own: dict[str, str]) -> Sample | UnreadableField | None:
        """Compute the start time from the server's own clock where it tells us, or else from ours.

        Whole seconds of the server's clock minus its uptime are exactly the second in which it started.
        """
        if not own.get("uptime_in_seconds"):
            return None
        try:
            uptime, now = parse_number(own["uptime_in_seconds"]) or 0.0, usec(own.get("server_time_usec", ""))
        except ValueError:
            return UnreadableField(START_TIME.location)
        estimate = (self._wall_clock() if now is None else float(now // 1)) - uptime
        return START_TIME.sample(server.started(estimate))


def _plain(server: Server, info: Info, own: dict[str, str]) -> Iterator[Sample | UnreadableField | None]:
    nothing: dict[str, str] = {}
    for metric in INFO_METRICS:
        text = info.get(metric.section, nothing).get(metric.field)
        if text is None:
            text = own.get(metric.field)
        if text is None:
            continue
        read = metric.parse(text)
        if isinstance(read, UnreadableField) and is_underflow(text):
            # An idle Redis 8 has one at every poll. Nobody can act on it, so it counts once and raises no alert.
            if metric.location in server.underflows:
                continue
            server.underflows.add(metric.location)
        yield read


def _identity(server: Server, own: dict[str, str], labels: Collection[str]) -> Iterator[Sample]:
    said = {**own, "role": server.role, "redis_mode": server.mode}
    identity = [said.get(label, "") if label in labels else "" for label in _IDENTITY]
    if any(identity):
        yield INSTANCE.sample(1.0, *identity)
    if server.version:
        yield SOFTWARE.sample(1.0, server.software, server.version)
    if server.role:
        roles = _BOTH_ROLES.get(server.role, (server.role,))
        for role in ROLES:
            yield ROLE.sample(float(role in roles), role)


def _maxmemory_ratio(own: dict[str, str]) -> Sample | None:
    try:
        used, limit = parse_number(own.get("used_memory", "")), parse_number(own.get("maxmemory", ""))
    except ValueError:
        return None  # counted by the field's own row
    return MAXMEMORY_RATIO.sample(used / limit) if used is not None and limit and limit >= 1 else None


def _io_threads(cpu: dict[str, str]) -> Iterator[Sample | UnreadableField | None]:
    for field, text in cpu.items():
        if thread := _IO_THREAD_FIELD.fullmatch(field):
            yield IO_THREAD.parse(text, thread[1])


COLLECTOR = InfoCollector()
