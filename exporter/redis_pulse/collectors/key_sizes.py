"""How many keys there are, by type and size (INFO keysizes; Redis 8.0 and later). The server counts exactly.

redis_key_size_bytes_bucket{target="cart",db="db0",type="string",le="4095"} 12
redis_key_size_items_bucket{target="cart",db="db0",type="list",le="15"} 3

The server counts in buckets that are named by their smallest size: ``2K=7`` are 7 keys of 2048 to 4095. Prometheus
names buckets by their largest size. Sizes are whole numbers, so the bucket ``2K`` is ``le="4095"``, and the counts stay
exact. All distributions have the same edges at all times, so that they can be summed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, ClassVar

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.support.info_lines import info_requests, read_info
from redis_pulse.collectors.support.labels import OVERFLOW
from redis_pulse.commands import Args, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveCount
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge_histogram
from redis_pulse.parse.info import parse_pairs
from redis_pulse.parse.reply import parse_uint
from redis_pulse.server_info import Server
from redis_pulse.slices import sliced

SECTION = "Keysizes"
_LABELS = ("db", "type")
_NOTE = "It shows the keys that exist now, so rate() has no meaning (Redis 8.0 and later)."
#: Last word of a field → its metric.
DISTRIBUTIONS: dict[str, MetricSpec] = {
    "items": gauge_histogram(
        SECTION,
        "dbN_distrib_TYPE_items",
        "key_size_items",
        f"Keys by their number of elements. {_NOTE}",
        labels=_LABELS,
    ),
    "sizes": gauge_histogram(
        SECTION,
        "dbN_distrib_TYPE_sizes",
        "key_size_bytes",
        "Keys by their bytes: the length of a string, the memory of other types (key-memory-histograms; Redis 8.6 and "
        f"later). {_NOTE}",
        labels=_LABELS,
    ),
}

_FIELD = re.compile(r"(db[0-9]{1,9})_distrib_([a-z]{1,20})_(items|sizes)")
_BUCKET = re.compile(r"([0-9]{1,15})([KMGTPE]?)")
_UNITS = {unit: 1024**power for power, unit in enumerate(("", "K", "M", "G", "T", "P", "E"))}
#: Types as the command TYPE names them.
_TYPES = {"strings": "string", "lists": "list", "sets": "set", "zsets": "zset", "hashes": "hash"}
#: Types of a database that are read. Redis has five.
_MAX_TYPES = 10
#: The smallest size of each bucket: 0, 1, 2, 4, … 2**29. A string has at most 2**29 bytes.
STARTS = (0, *(2**power for power in range(30)))
#: The largest size of each bucket, as the text of the label ``le``.
_EDGES = ("0", *(str(2 * start - 1) for start in STARTS[1:]))
_POSITIONS = {start: position for position, start in enumerate(STARTS)}

#: Counts by bucket; the last one counts all sizes beyond the buckets.
Counts = list[int]


def parse_counts(text: str) -> Counts | None:
    """Read ``1=10,2=40,2K=2``, or return None if it is malformed or has a bucket that is no power of two."""
    counts = [0] * (len(STARTS) + 1)
    for bucket, number in parse_pairs(text).items():
        match, count = _BUCKET.fullmatch(bucket), parse_uint(number)
        if match is None or count is None:
            return None
        start = int(match[1]) * _UNITS[match[2]]
        if start & (start - 1):
            return None
        counts[_POSITIONS.get(start, -1)] += count
    return counts


class KeySizesOptions(Options):
    """Settings of the collector ``key_sizes``."""

    max_databases: PositiveCount = Field(
        16, description='Databases with their own series; the others are summed as `db="overflow"`.'
    )


class KeySizesCollector(Stateless):
    """Read the section Keysizes. Servers without it have no series."""

    name: ClassVar[str] = "key_sizes"
    metrics: ClassVar[tuple[MetricSpec, ...]] = tuple(DISTRIBUTIONS.values())
    options: ClassVar[type[Options]] = KeySizesOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("info",)

    def applies(self, server: Server) -> bool:
        """Return True unless the server is a Sentinel, which has no keys."""
        return server.mode != "sentinel"

    def requests(self, server: Server, options: Any) -> Sequence[Args]:  # noqa: ARG002
        """Return INFO."""
        return info_requests(server)

    async def collect(self, server: Server, commands: Commands, options: KeySizesOptions) -> Iterable[CollectorItem]:
        """Read each line. A line that is malformed is counted and left out."""
        info = await read_info(server, commands)
        return [item async for item in sliced(_read(info.get(SECTION, {}), options.max_databases)) if item is not None]


def _read(section: Mapping[str, str], max_databases: int) -> Iterator[CollectorItem | None]:
    types_by_database: dict[str, set[str]] = {}
    overflow: dict[tuple[str, str], Counts] = {}
    unadmitted: set[str] = set()
    for field, text in section.items():
        yield None  # the caller pauses between items
        if (match := _FIELD.fullmatch(field)) is None:
            continue
        db, key_type, word = match[1], _TYPES.get(match[2], match[2]), match[3]
        metric = DISTRIBUTIONS[word]
        if (counts := parse_counts(text)) is None:
            yield UnreadableField(metric.location)
            continue
        if db not in types_by_database and len(types_by_database) >= max_databases:
            unadmitted.add(db)
            db = OVERFLOW
        types = types_by_database.setdefault(db, set()) if db != OVERFLOW else {kind for kind, _ in overflow}
        if key_type not in types and len(types) >= _MAX_TYPES:
            yield OverflowCount(metric.location, 1)
        elif db == OVERFLOW:
            sums = overflow.setdefault((key_type, word), [0] * len(counts))
            overflow[key_type, word] = [before + more for before, more in zip(sums, counts, strict=True)]
        else:
            types.add(key_type)
            yield from _census(metric, counts, db, key_type)
    for (key_type, word), counts in overflow.items():
        yield from _census(DISTRIBUTIONS[word], counts, OVERFLOW, key_type)
    if unadmitted:
        yield OverflowCount(DISTRIBUTIONS["items"].location, len(unadmitted))


def _census(metric: MetricSpec, counts: Counts, db: str, key_type: str) -> Iterable[CollectorItem]:
    *below, total = accumulate(map(float, counts))
    return metric.census(zip(_EDGES, below, strict=True), total, db, key_type)


COLLECTOR = KeySizesCollector()
