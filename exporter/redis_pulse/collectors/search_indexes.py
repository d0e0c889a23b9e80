"""Search indexes: documents, terms, sizes, and how far indexing is.

redis_search_index_num_docs{target="cart",index_name="products"} 5120
redis_search_index_total_index_memory_size_bytes{target="cart",index_name="products"} 1.96e+06

FT._LIST and FT.INFO, which a server has when the search module is loaded; a field that it does not have (Valkey's has
fewer) has no series. Indexes are asked in small batches, each poll as many as the budget allows.
"""

import re
from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, ClassVar, Self

from redis_pulse.collectors.support.labels import label_value
from redis_pulse.collectors.support.round_robin import RoundRobin
from redis_pulse.collectors.support.time_budget import Clock, Sleep, TimeBudget, TimeBudgetOptions
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.config.option_types import Field, PositiveCount, RegexList
from redis_pulse.metric import CollectorItem, Convert, Kind, MetricSpec, OverflowCount, UnreadableField, parse_number
from redis_pulse.parse.reply import as_list, as_map, as_text, reply_or_none
from redis_pulse.server_info import Server


def megabytes(text: str) -> float | None:
    """Megabytes (of 1048576 bytes, as the module means them) to bytes."""
    value = parse_number(text)
    return None if value is None else value * 1048576


def _row(field: str, name: str, text: str, convert: Convert = parse_number, kind: Kind = "gauge") -> MetricSpec:
    return MetricSpec(kind, "FT.INFO", field, f"search_index_{name}", text, convert, ("index_name",))


ROWS = (
    _row("num_docs", "num_docs", "Documents in an index."),
    _row("max_doc_id", "max_doc_id", "Highest internal id of a document."),
    _row("num_terms", "num_terms", "Different terms in an index."),
    _row("num_records", "num_records", "Records in an index."),
    _row("inverted_sz_mb", "inverted_size_bytes", "Memory of the inverted index.", megabytes),
    _row("total_inverted_index_blocks", "total_inverted_index_blocks", "Blocks of the inverted index."),
    _row("vector_index_sz_mb", "vector_index_size_bytes", "Memory of the vector index.", megabytes),
    _row("offset_vectors_sz_mb", "offset_vectors_size_bytes", "Memory of the offset vectors.", megabytes),
    _row("doc_table_size_mb", "doc_table_size_bytes", "Memory of the table of documents.", megabytes),
    _row("sortable_values_size_mb", "sortable_values_size_bytes", "Memory of the sortable values.", megabytes),
    _row("key_table_size_mb", "key_table_size_bytes", "Memory of the table of keys.", megabytes),
    _row("tag_overhead_sz_mb", "tag_overhead_size_bytes", "Memory overhead of tags.", megabytes),
    _row("text_overhead_sz_mb", "text_overhead_size_bytes", "Memory overhead of texts.", megabytes),
    _row("total_index_memory_sz_mb", "total_index_memory_size_bytes", "Memory of an index.", megabytes),
    _row("geoshapes_sz_mb", "geoshapes_size_bytes", "Memory of the geometric shapes.", megabytes),
    _row("records_per_doc_avg", "avg_per_doc_records", "Mean number of records of a document."),
    _row("bytes_per_record_avg", "avg_per_record_bytes", "Mean size of a record."),
    _row("offsets_per_term_avg", "avg_per_term_offsets", "Mean number of offsets of a term."),
    _row("offset_bits_per_record_avg", "avg_per_record_offset_bits", "Mean number of offset bits of a record."),
    _row("indexing", "indexing", "1 while an index is being built."),
    _row("percent_indexed", "percent_indexed", "Share of the documents that is indexed, from 0 to 1."),
    _row("hash_indexing_failures", "hash_indexing_failures", "Documents that could not be indexed."),
    _row("number_of_uses", "number_of_uses_total", "Uses of an index.", kind="counter"),
    _row("cleaning", "cleaning", "1 while garbage is being collected."),
)
#: Indexes that are asked at once.
BATCH = 3
_NO_NUMBER = frozenset({"nan", "-nan", "inf", "-inf"})


class SearchOptions(TimeBudgetOptions):
    """Which indexes."""

    patterns: RegexList = Field(
        (".*",), description="Regular expressions; an index that one of them finds is looked at."
    )
    max_indexes: PositiveCount = Field(
        100, le=10_000, description="So many indexes have series; the others are only counted."
    )


class SearchIndexesCollector:
    """FT._LIST and FT.INFO."""

    name: ClassVar[str] = "search_indexes"
    metrics: ClassVar[tuple[MetricSpec, ...]] = ROWS
    options: ClassVar[type[SearchOptions]] = SearchOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("ft._list", "ft.info")

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._rota: RoundRobin[str] = RoundRobin(clock)

    def for_target(self) -> Self:
        """Return a collector that remembers the indexes of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel may have the module."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: SearchOptions) -> Iterable[CollectorItem]:  # noqa: ARG002
        """Ask for the names, then for as many indexes as there is time for."""
        listed = as_list(await commands.execute("FT._LIST"))
        if listed is None:
            return [UnreadableField("FT._LIST")]
        texts = [as_text(one) for one in listed]
        names = sorted({name for name in texts if name is not None})
        wanted = [name for name in names if any(re.search(one, name) for one in options.patterns)]
        more = max(0, len(wanted) - options.max_indexes)

        async def look(batch: list[str]) -> dict[str, list[CollectorItem]]:
            replies = await commands.pipeline([("FT.INFO", name) for name in batch])
            for reply in replies:
                if isinstance(reply, UNSUPPORTED):
                    raise reply
            return {name: list(_found(name, reply_or_none(reply))) for name, reply in zip(batch, replies, strict=True)}

        pace = TimeBudget(options, self._clock, self._sleep)
        await self._rota.run(wanted[: options.max_indexes], pace, BATCH, look, alike=lambda _: None)
        odd = [UnreadableField("FT._LIST")] * texts.count(None)
        return [*odd, *self._rota.results(), *([OverflowCount("FT._LIST", more)] if more else [])]


def _found(name: str, reply: Any) -> Iterator[CollectorItem]:
    info = as_map(reply)
    if info is None:
        yield UnreadableField("FT.INFO")
        return
    for row in ROWS:
        if row.field in info and (found := _read(row, info, name)) is not None:
            yield found


def _read(row: MetricSpec, info: Mapping[str, Any], name: str) -> CollectorItem | None:
    """Read a field, which is text or an integer; a mean of nothing is no number, and no sample."""
    value = info[row.field]
    text = str(value) if type(value) is int else as_text(value)
    if text is None:
        return UnreadableField(row.location)
    return None if text in _NO_NUMBER else row.parse(text, label_value(name))


COLLECTOR = SearchIndexesCollector()
