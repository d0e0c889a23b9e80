"""Native histograms: counts in buckets whose bounds grow by a constant factor. Only protobuf can show them.

The factor is the 2^4th root of 2 (schema 4), so a bucket is 4.4 % wide. A quantile lies in the bucket of the true
value, so its error is at most 4.4 %. Schema 3, which client_golang often uses, would allow 9 %.

When there are too many buckets, neighbours are merged, as client_golang does. The error then doubles. A histogram
never starts again at 0 for this. Scrapers would miss what was observed since the last scrape.

All durations below the zero threshold share one bucket. It is 2^-20 s, about 1 µs, and a bound of every schema.
"""

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from math import frexp
from typing import NamedTuple

from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.telemetry.series import FamilySeries, HistogramValue

#: The schema of a new histogram: 2^4 buckets for each doubling.
SCHEMA = 4
ZERO_THRESHOLD = 2.0**-20
#: Most buckets that are not empty. From 33 µs to 1 s there are 240 of schema 4.
MAX_BUCKETS = 240
#: The coarsest schema. Its buckets double.
_MIN_SCHEMA = 0
#: The upper bounds of the buckets from 0.5 to 1, without 1, by schema.
_BOUNDS = tuple(
    tuple(0.5 * 2.0 ** (step / 2**schema) for step in range(2**schema)) for schema in range(_MIN_SCHEMA, SCHEMA + 1)
)
#: The types of counts, the smallest first.
_TYPES = "HIQ"
#: Exemplars that are kept. The oldest leaves.
_MAX_EXEMPLARS = 5

#: Labels, value and Unix time.
Exemplar = tuple[tuple[tuple[str, str], ...], float, float]


class NativeSnapshot(NamedTuple):
    """The state of a native histogram. ``first`` is the index of the bucket of ``counts[0]``."""

    schema: int
    zero_threshold: float
    zero_count: int
    first: int
    counts: Sequence[int]
    total: float
    created: float
    exemplars: Sequence[Exemplar]


class NativeHistogram:
    """One native histogram. ``created`` is the Unix time of its start."""

    __slots__ = ("_bounds", "_counts", "_created", "_exemplars", "_filled", "_first", "_schema", "_total", "_zeros")

    def __init__(self, created: float) -> None:
        self._created = created
        self._schema = SCHEMA
        self._bounds = _BOUNDS[SCHEMA]
        #: The counts of neighbouring buckets. The index of the first is ``_first``. Most of them are small or 0, so
        #: each has two bytes until one counts more. Then each has four, and at last eight.
        self._counts = array(_TYPES[0])
        self._first = 0
        self._filled = 0
        self._zeros = 0
        self._total = 0.0
        self._exemplars: tuple[Exemplar, ...] = ()

    def observe(self, value: float) -> None:
        """Add one observation."""
        self._total += value
        if value <= ZERO_THRESHOLD:
            self._zeros += 1
            return
        mantissa, exponent = frexp(value)
        bounds = self._bounds
        place = bisect_left(bounds, mantissa) + (exponent - 1) * len(bounds) - self._first
        counts = self._counts
        if not 0 <= place < len(counts):
            place = self._make_room(place)
            counts = self._counts
        try:
            counts[place] += 1
        except OverflowError:
            counts = self._counts = array(_TYPES[_TYPES.index(counts.typecode) + 1], counts)
            counts[place] += 1
        if counts[place] == 1:
            self._filled += 1
            while self._filled > MAX_BUCKETS and self._schema > _MIN_SCHEMA:
                self._merge_neighbours()

    def add_exemplar(self, exemplar: Exemplar) -> None:
        """Keep an exemplar, and at most four older ones."""
        self._exemplars = (*self._exemplars[1 - _MAX_EXEMPLARS :], exemplar)

    def snapshot(self) -> NativeSnapshot:
        """Return the current state. It is valid until the next observation."""
        return NativeSnapshot(
            self._schema,
            ZERO_THRESHOLD,
            self._zeros,
            self._first,
            self._counts,
            self._total,
            self._created,
            self._exemplars,
        )

    def _make_room(self, place: int) -> int:
        """Extend the counts so that they include a place before or behind them. Return the place afterwards."""
        if not self._counts:
            self._first += place
            self._counts.append(0)
            return 0
        if place < 0:
            self._counts = _zeros(self._counts.typecode, -place) + self._counts
            self._first += place
            return 0
        self._counts += _zeros(self._counts.typecode, place + 1 - len(self._counts))
        return place

    def _merge_neighbours(self) -> None:
        """Halve the resolution. The buckets 1 and 2 become 1, and 3 and 4 become 2: the upper bounds stay bounds."""
        first = (self._first + 1) >> 1
        merged = _zeros(_TYPES[-1], ((self._first + len(self._counts)) >> 1) - first + 1)
        for index, count in enumerate(self._counts, start=self._first):
            merged[((index + 1) >> 1) - first] += count
        self._schema -= 1
        self._bounds = _BOUNDS[self._schema - _MIN_SCHEMA]
        self._first, self._counts = first, merged
        self._filled = sum(map(bool, merged))


def _zeros(kind: str, count: int) -> "array[int]":
    return array(kind, [0]) * count


class ClassicSnapshot(NamedTuple):
    """The state of a classic histogram. ``exemplars`` has what follows the line of a bucket, by its index."""

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float
    exemplars: Mapping[int, str]


class DualHistogram(HistogramValue):
    """A classic histogram that fills a native one too. Text pages show the classic one only.

    ``is_native`` is False if the operator wants no native histograms.
    """

    __slots__ = ("created", "native", "version")

    def __init__(
        self,
        family_series: FamilySeries,
        family: MetricFamily,
        labels: tuple[str, ...],
        bounds: tuple[float, ...],
        *,
        is_native: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(family_series, family, labels, bounds)
        #: The Unix time of its start.
        self.created = now()
        self.native = NativeHistogram(self.created) if is_native else None
        #: Changes with each observation and each exemplar.
        self.version = 0

    def observe(self, value: float) -> None:
        """Add one observation to both."""
        super().observe(value)
        self.version += 1
        if self.native is not None:
            self.native.observe(value)

    def classic(self) -> ClassicSnapshot:
        """Return the state of the classic histogram. It is valid until the next observation."""
        return ClassicSnapshot(self._bounds, self._counts, self._sum, self._exemplars or {})

    def set_exemplar(self, label: str, value: float, timestamp: float) -> None:
        """Attach an exemplar to the bucket of ``value``. ``label`` is one rendered label: ``stall_id="7"``."""
        super().set_exemplar(label, value, timestamp)
        self.version += 1
        if self.native is None:
            return
        name, _, text = label.partition('="')
        self.native.add_exemplar((((name, text[:-1]),), value, timestamp))
