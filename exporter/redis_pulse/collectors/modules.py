"""Loaded modules, and metrics of the search, bloom and JSON modules of Redis and Valkey (INFO).

redis_module_info{target="cart",name="ReJSON",ver="20803",api="1",filters="0",usedby="[search]",using="[]"} 1
redis_search_number_of_indexes{target="cart"} 4

Some fields have two metrics. The first has the name that redis_exporter uses, and a wrong type or unit. The second is
correct.
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.support.info_lines import info_requests, read_info
from redis_pulse.commands import Args, Commands
from redis_pulse.config import Options
from redis_pulse.metric import MetricSpec, Sample, UnreadableField, counter, gauge, msec
from redis_pulse.parse.info import Info, parse_module
from redis_pulse.server_info import Server

# fmt: off
MODULE = gauge("Modules", "module", "module_info", "Always 1; the labels describe a loaded module.", labels=("name", "ver", "api", "filters", "usedby", "using"))

#: Fields with a single number. Each module has its own sections, where all names begin with the module's name.
MODULE_METRICS: tuple[MetricSpec, ...] = (
    gauge("Modules", "search_number_of_indexes", "search_number_of_indexes", "Search indexes."),
    gauge("Modules", "search_number_of_attributes", "search_number_of_attributes", "Attributes of all search indexes (Valkey)."),
    gauge("Modules", "search_number_of_active_indexes", "search_number_of_active_indexes", "Indexes with a running query or indexing."),
    gauge("Modules", "search_number_of_active_indexes_running_queries", "search_number_of_active_indexes_running_queries", "Indexes with a running query."),
    gauge("Modules", "search_number_of_active_indexes_indexing", "search_number_of_active_indexes_indexing", "Indexes that are being filled in the background."),
    gauge("Modules", "search_total_active_write_threads", "search_total_active_write_threads", "Threads that currently write to indexes."),
    gauge("Modules", "search_total_num_docs_in_indexes", "search_total_num_docs_in_indexes", "Documents in all indexes."),
    gauge("Modules", "search_total_indexed_documents", "search_total_indexed_documents", "Documents in all indexes (Valkey)."),
    gauge("Modules", "search_used_memory_bytes", "search_used_memory_bytes", "Bytes used by the search module (Valkey)."),
    gauge("Modules", "search_used_memory_indexes", "search_used_memory_indexes_bytes", "Bytes used by all indexes."),
    gauge("Modules", "search_smallest_memory_index", "search_smallest_memory_index_bytes", "Bytes used by the smallest index."),
    gauge("Modules", "search_largest_memory_index", "search_largest_memory_index_bytes", "Bytes used by the largest index."),
    gauge("Modules", "search_used_memory_vector_index", "search_used_memory_vector_index_bytes", "Bytes used by vector indexes."),
    gauge("Modules", "search_string_interning_store_size", "search_string_interning_store_size", "Strings that all indexes share (Valkey)."),
    counter("Modules", "search_total_indexing_time", "search_indexing_time_ms_total", "Milliseconds spent on indexing."),
    counter("Modules", "search_total_indexing_time", "search_indexing_seconds_total", "Time spent on indexing.", msec),

    gauge("Modules", "search_global_idle", "search_global_idle", "Open cursors that no client currently reads."),
    gauge("Modules", "search_global_total", "search_global_total", "Open cursors."),
    gauge("Modules", "search_global_idle_user", "search_global_idle_user", "Open cursors of users that no client currently reads."),
    gauge("Modules", "search_global_total_user", "search_global_total_user", "Open cursors of users."),
    gauge("Modules", "search_global_idle_internal", "search_global_idle_internal", "Open cursors between cluster nodes that no node currently reads."),
    gauge("Modules", "search_global_total_internal", "search_global_total_internal", "Open cursors between cluster nodes."),
    gauge("Modules", "search_dialect_1", "search_dialect_1", "Indexes that were queried in dialect 1."),
    gauge("Modules", "search_dialect_2", "search_dialect_2", "Indexes that were queried in dialect 2."),
    gauge("Modules", "search_dialect_3", "search_dialect_3", "Indexes that were queried in dialect 3."),
    gauge("Modules", "search_dialect_4", "search_dialect_4", "Indexes that were queried in dialect 4."),

    gauge("Modules", "search_bytes_collected", "search_collected_bytes", "Bytes freed by garbage collection since the server started (before search 8)."),
    counter("Modules", "search_bytes_collected", "search_bytes_collected_total", "Bytes freed by garbage collection (before search 8)."),
    counter("Modules", "search_total_cycles", "search_cycles_total", "Garbage collections (before search 8)."),
    counter("Modules", "search_total_ms_run", "search_run_ms_total", "Milliseconds spent on garbage collection (before search 8)."),
    counter("Modules", "search_total_ms_run", "search_run_seconds_total", "Time spent on garbage collection (before search 8).", msec),
    gauge("Modules", "search_gc_bytes_collected", "search_gc_collected_bytes", "Bytes freed by garbage collection since the server started."),
    counter("Modules", "search_gc_bytes_collected", "search_gc_bytes_collected_total", "Bytes freed by garbage collection."),
    counter("Modules", "search_gc_total_cycles", "search_gc_cycles_total", "Garbage collections."),
    counter("Modules", "search_gc_total_ms_run", "search_gc_run_ms_total", "Milliseconds spent on garbage collection."),
    counter("Modules", "search_gc_total_ms_run", "search_gc_run_seconds_total", "Time spent on garbage collection.", msec),
    gauge("Modules", "search_gc_total_docs_not_collected", "search_gc_total_docs_not_collected", "Deleted documents that are still in memory."),
    gauge("Modules", "search_gc_marked_deleted_vectors", "search_gc_marked_deleted_vectors", "Deleted vectors that are still in memory."),

    counter("Modules", "search_total_queries_processed", "search_queries_processed_total", "Queries that succeeded; a query that reads a cursor counts once."),
    counter("Modules", "search_total_query_commands", "search_query_commands_total", "Query commands that succeeded, including reads of cursors."),
    counter("Modules", "search_total_query_execution_time_ms", "search_query_execution_time_ms_total", "Milliseconds spent on queries."),
    counter("Modules", "search_total_query_execution_time_ms", "search_query_execution_seconds_total", "Time spent on queries.", msec),
    counter("Modules", "search_total_active_queries", "search_active_queries_total", "Queries that currently run in the background; not a counter in spite of its type."),
    gauge("Modules", "search_total_active_queries", "search_queries_active", "Queries that run in the background."),
    gauge("Modules", "search_errors_indexing_failures", "search_errors_indexing_failures", "Documents that could not be indexed, over all existing indexes."),

    gauge("Modules", "search_query_queue_size", "search_query_queue_size", "Queries that wait for a thread (Valkey)."),
    gauge("Modules", "search_writer_queue_size", "search_writer_queue_size", "Writes to indexes that wait for a thread (Valkey)."),
    counter("Modules", "search_worker_pool_suspend_cnt", "search_worker_pool_suspend_count", "Times that the threads were suspended, for a fork (Valkey)."),
    counter("Modules", "search_writer_resumed_cnt", "search_writer_resumed_count", "Times that the writing threads resumed (Valkey)."),
    counter("Modules", "search_reader_resumed_cnt", "search_reader_resumed_count", "Times that the reading threads resumed (Valkey)."),
    counter("Modules", "search_writer_suspension_expired_cnt", "search_writer_suspension_expired_count", "Times that the writing threads resumed because they had been suspended for too long (Valkey)."),
    counter("Modules", "search_rdb_load_success_cnt", "search_rdb_load_success_count", "Indexes loaded from a snapshot (Valkey)."),
    counter("Modules", "search_rdb_load_failure_cnt", "search_rdb_load_failure_count", "Indexes that could not be loaded from a snapshot (Valkey)."),
    counter("Modules", "search_rdb_save_success_cnt", "search_rdb_save_success_count", "Indexes saved to a snapshot (Valkey)."),
    counter("Modules", "search_rdb_save_failure_cnt", "search_rdb_save_failure_count", "Indexes that could not be saved to a snapshot (Valkey)."),
    counter("Modules", "search_successful_requests_count", "search_successful_requests_count", "Queries that succeeded (Valkey)."),
    counter("Modules", "search_failure_requests_count", "search_failure_requests_count", "Queries that failed (Valkey)."),
    counter("Modules", "search_hybrid_requests_count", "search_hybrid_requests_count", "Queries that combine a vector and a filter (Valkey)."),
    counter("Modules", "search_inline_filtering_requests_count", "search_inline_filtering_requests_count", "Queries whose filter was applied during the vector search (Valkey)."),
    counter("Modules", "search_hnsw_add_exceptions_count", "search_hnsw_add_exceptions_count", "Failures to add to an HNSW index (Valkey)."),
    counter("Modules", "search_hnsw_remove_exceptions_count", "search_hnsw_remove_exceptions_count", "Failures to remove from an HNSW index (Valkey)."),
    counter("Modules", "search_hnsw_modify_exceptions_count", "search_hnsw_modify_exceptions_count", "Failures to modify an HNSW index (Valkey)."),
    counter("Modules", "search_hnsw_search_exceptions_count", "search_hnsw_search_exceptions_count", "Failures to search an HNSW index (Valkey)."),
    counter("Modules", "search_hnsw_create_exceptions_count", "search_hnsw_create_exceptions_count", "Failures to create an HNSW index (Valkey)."),
    counter("Modules", "search_vector_externing_entry_count", "search_vector_externing_entry_count", "Vectors stored outside the keyspace (Valkey)."),
    gauge("Modules", "search_vector_externing_hash_extern_errors", "search_vector_externing_hash_extern_errors", "Vectors that could not be stored outside the keyspace (Valkey)."),
    counter("Modules", "search_vector_externing_generated_value_cnt", "search_vector_externing_generated_value_count", "Vectors copied back into the keyspace (Valkey)."),
    gauge("Modules", "search_vector_externing_num_lru_entries", "search_vector_externing_num_lru_entries", "Vectors in the cache of vectors that were copied back (Valkey)."),
    counter("Modules", "search_vector_externing_lru_promote_cnt", "search_vector_externing_lru_promote_count", "Vectors found in the cache of vectors that were copied back (Valkey)."),
    counter("Modules", "search_vector_externing_deferred_entry_cnt", "search_vector_externing_deferred_entry_count", "Vectors that wait to be stored outside the keyspace (Valkey)."),

    gauge("Modules", "bf_bloom_total_memory_bytes", "bf_bloom_total_memory_bytes", "Bytes used by bloom filters (Valkey)."),
    gauge("Modules", "bf_bloom_num_objects", "bf_bloom_num_objects", "Keys that are bloom filters (Valkey)."),
    gauge("Modules", "bf_bloom_num_filters_across_objects", "bf_bloom_num_filters_across_objects", "Filters inside all bloom filters (Valkey)."),
    gauge("Modules", "bf_bloom_num_items_across_objects", "bf_bloom_num_items_across_objects", "Items in all bloom filters (Valkey)."),
    gauge("Modules", "bf_bloom_capacity_across_objects", "bf_bloom_capacity_across_objects", "Items that all bloom filters can hold (Valkey)."),
    counter("Modules", "bf_bloom_defrag_hits", "bf_bloom_defrag_hits_total", "Bloom filters moved by active defragmentation (Valkey)."),
    counter("Modules", "bf_bloom_defrag_misses", "bf_bloom_defrag_misses_total", "Bloom filters left in place by active defragmentation (Valkey)."),
    gauge("Modules", "json_total_memory_bytes", "json_total_memory_bytes", "Bytes used by JSON documents (Valkey)."),
    gauge("Modules", "json_num_documents", "json_num_documents", "Keys that are JSON documents (Valkey)."),
)
# fmt: on
_METRICS_BY_FIELD: dict[str, list[MetricSpec]] = {}
for _metric in MODULE_METRICS:
    _METRICS_BY_FIELD.setdefault(_metric.field, []).append(_metric)


class ModulesCollector(Stateless):
    """Read the ``module:`` lines and the sections of the modules in the INFO reply of this poll."""

    name: ClassVar[str] = "modules"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (MODULE, *MODULE_METRICS)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("info",)

    def applies(self, server: Server) -> bool:
        """Return whether the server is not a Sentinel: all other servers can load modules."""
        return server.mode != "sentinel"

    def requests(self, server: Server, options: Any) -> Sequence[Args]:  # noqa: ARG002
        """Return INFO."""
        return info_requests(server)

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Sample | UnreadableField]:  # noqa: ARG002
        """Read the fields of modules. Return nothing if no module is loaded."""
        info = await read_info(server, commands)
        modules = server.newest_info.modules if server.newest_info is not None else ()
        return chain(_field_samples(info), _module_samples(modules if "module" in info.get("Modules", ()) else ()))


def _module_samples(lines: Iterable[str]) -> Iterator[Sample | UnreadableField]:
    seen: set[tuple[str, ...]] = set()
    for line in lines:
        module = parse_module(line)
        labels = tuple(module.get(label, "") for label in MODULE.labels)
        if "name" not in module or labels in seen:  # a page must not contain a series twice
            yield UnreadableField(MODULE.location)
            continue
        seen.add(labels)
        yield MODULE.sample(1.0, *labels)


def _field_samples(info: Info) -> Iterator[Sample | UnreadableField]:
    """Search all sections, because their headings differ. The prefix of a field identifies its module."""
    texts: dict[str, str] = {}
    for fields in info.values():
        for field in _METRICS_BY_FIELD.keys() & fields.keys():
            texts[field] = fields[field]
    for field, text in texts.items():
        for metric in _METRICS_BY_FIELD[field]:
            if (item := metric.parse(text)) is not None:
                yield item


COLLECTOR = ModulesCollector()
