"""Search indexes: documents, terms, sizes and the progress of indexing.

redis_search_index_num_docs{target="cart",index_name="products"} 5120
redis_search_index_total_index_memory_size_bytes{target="cart",index_name="products"} 1.96e+06

FT._LIST and FT.INFO exist on servers with the search module. A field that the module does not have has no series; the
module of Valkey has fewer. Indexes are read in small batches, as many in each poll as the budget allows.
"""

from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, ClassVar, Self

from redis_pulse.collectors.support.labels import label_value
from redis_pulse.collectors.support.round_robin import RoundRobin
from redis_pulse.collectors.support.time_budget import Clock, Sleep, TimeBudget, TimeBudgetOptions
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.config.option_types import Field, PositiveCount, RegexList
from redis_pulse.config.regular_expressions import MAX_TEXT, compile_expression
from redis_pulse.metric import CollectorItem, Convert, Kind, MetricSpec, OverflowCount, UnreadableField, parse_number
from redis_pulse.parse.reply import as_list, as_map, as_text, reply_or_none
from redis_pulse.server_info import Server


def megabytes(text: str) -> float | None:
    """Convert megabytes to bytes; return None without a value. The module counts 1048576 bytes as a megabyte."""
    value = parse_number(text)
    return None if value is None else value * 1048576


def _metric(field: str, name: str, text: str, convert: Convert = parse_number, kind: Kind = "gauge") -> MetricSpec:
    return MetricSpec(kind, "FT.INFO", field, f"search_index_{name}", text, convert, ("index_name",))


INDEX_METRICS = (
    _metric("num_docs", "num_docs", "Documents in an index."),
    _metric("max_doc_id", "max_doc_id", "Highest internal id of a document."),
    _metric("num_terms", "num_terms", "Different terms in an index."),
    _metric("num_records", "num_records", "Records in an index."),
    _metric("inverted_sz_mb", "inverted_size_bytes", "Memory of the inverted index.", megabytes),
    _metric("total_inverted_index_blocks", "total_inverted_index_blocks", "Blocks of the inverted index."),
    _metric("vector_index_sz_mb", "vector_index_size_bytes", "Memory of the vector index.", megabytes),
    _metric("offset_vectors_sz_mb", "offset_vectors_size_bytes", "Memory of the offset vectors.", megabytes),
    _metric("doc_table_size_mb", "doc_table_size_bytes", "Memory of the table of documents.", megabytes),
    _metric("sortable_values_size_mb", "sortable_values_size_bytes", "Memory of the sortable values.", megabytes),
    _metric("key_table_size_mb", "key_table_size_bytes", "Memory of the table of keys.", megabytes),
    _metric("tag_overhead_sz_mb", "tag_overhead_size_bytes", "Memory overhead of tags.", megabytes),
    _metric("text_overhead_sz_mb", "text_overhead_size_bytes", "Memory overhead of texts.", megabytes),
    _metric("total_index_memory_sz_mb", "total_index_memory_size_bytes", "Memory of an index.", megabytes),
    _metric("geoshapes_sz_mb", "geoshapes_size_bytes", "Memory of the geometric shapes.", megabytes),
    _metric("records_per_doc_avg", "avg_per_doc_records", "Mean number of records of a document."),
    _metric("bytes_per_record_avg", "avg_per_record_bytes", "Mean size of a record."),
    _metric("offsets_per_term_avg", "avg_per_term_offsets", "Mean number of offsets of a term."),
    _metric("offset_bits_per_record_avg", "avg_per_record_offset_bits", "Mean number of offset bits of a record."),
    _metric("indexing", "indexing", "1 while an index is being built."),
    _metric("percent_indexed", "percent_indexed", "Share of the documents that is indexed, from 0 to 1."),
    _metric("hash_indexing_failures", "hash_indexing_failures", "Documents that could not be indexed."),
    _metric("number_of_uses", "number_of_uses_total", "Uses of an index.", kind="counter"),
    _metric("cleaning", "cleaning", "1 while garbage is being collected."),
)
#: Indexes that are read at once.
BATCH = 3
#: Names that are read.
MAX_LISTED = 10_000
#: Means of an empty index.
_NOT_A_NUMBER = frozenset({"nan", "-nan", "inf", "-inf"})


class SearchOptions(TimeBudgetOptions):
    """Settings of the collector ``search_indexes``."""

    patterns: RegexList = Field(
        (".*",), description="Regular expressions of RE2; an index is read if one of them matches its name."
    )
    max_indexes: PositiveCount = Field(
        100, le=10_000, description="Indexes that have series; the others are only counted."
    )


class SearchIndexesCollector:
    """Reads FT._LIST, and FT.INFO of each index."""

    name: ClassVar[str] = "search_indexes"
    metrics: ClassVar[tuple[MetricSpec, ...]] = INDEX_METRICS
    options: ClassVar[type[SearchOptions]] = SearchOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("ft._list", "ft.info")

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._reads: RoundRobin[str] = RoundRobin(clock)

    def for_target(self) -> Self:
        """Return a new collector, which remembers the indexes of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Return True unless the server is a Sentinel, which cannot load the module."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: SearchOptions) -> Iterable[CollectorItem]:  # noqa: ARG002
        """Read the names, then as many indexes as the budget allows."""
        budget = TimeBudget(options, self._clock, self._sleep)
        listed = as_list(await commands.execute("FT._LIST"))
        if listed is None:
            return [UnreadableField("FT._LIST")]
        texts = [as_text(one) for one in listed[:MAX_LISTED]]
        names = sorted({name for name in texts if name is not None})
        patterns = [compile_expression(one) for one in options.patterns]
        wanted: list[str] = []
        for name in names:
            await budget.pause()
            if any(one.search(name[:MAX_TEXT]) for one in patterns):
                wanted.append(name)
        more = max(0, len(wanted) - options.max_indexes) + max(0, len(listed) - MAX_LISTED)

        async def read_batch(batch: list[str]) -> dict[str, list[CollectorItem]]:
            replies = await commands.pipeline([("FT.INFO", name) for name in batch])
            for reply in replies:
                if isinstance(reply, UNSUPPORTED):
                    raise reply
            return {name: list(_items(name, reply_or_none(reply))) for name, reply in zip(batch, replies, strict=True)}

        await self._reads.run(wanted[: options.max_indexes], budget, BATCH, read_batch, batch_key=lambda _: None)
        unreadable = [UnreadableField("FT._LIST")] * texts.count(None)
        overflow = [OverflowCount("FT._LIST", more)] if more else []
        return [*unreadable, *self._reads.results(), *overflow]


def _items(name: str, reply: Any) -> Iterator[CollectorItem]:
    info = as_map(reply)
    if info is None:
        yield UnreadableField("FT.INFO")
        return
    for metric in INDEX_METRICS:
        if metric.field in info and (item := _parse_field(metric, info, name)) is not None:
            yield item


def _parse_field(metric: MetricSpec, info: Mapping[str, Any], name: str) -> CollectorItem | None:
    """Return the sample of a text or integer field, or None for the mean of an empty index."""
    value = info[metric.field]
    text = str(value) if type(value) is int else as_text(value)
    if text is None:
        return UnreadableField(metric.location)
    return None if text in _NOT_A_NUMBER else metric.parse(text, label_value(name))


COLLECTOR = SearchIndexesCollector()
