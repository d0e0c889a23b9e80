"""The latest samples of every (target, collector): put whole, read while fresh, forgotten whole.

What is put is rendered once, there and then, by the ``render`` that was handed in, and only that is kept: a scrape
joins bytes. What is older than its ``max_age`` is kept for nothing but its age: it is never served.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from weakref import WeakValueDictionary

from redis_pulse.metric import MetricSpec, Sample

Render = Callable[[str, Iterable[Sample]], Mapping[MetricSpec, bytes]]


class RowLayout:
    """Which rows a collector found, in which order; most targets have the same, and share it."""

    __slots__ = ("__weakref__", "names", "places")

    def __init__(self, rows: Iterable[MetricSpec]) -> None:
        self.places = {row: place for place, row in enumerate(rows)}
        self.names = {row.full_name: place for row, place in self.places.items()}


class RenderedSamples(Mapping[MetricSpec, bytes]):
    """What one run of one collector found, rendered: ``texts`` of the rows of ``shape``."""

    __slots__ = ("layout", "texts")

    def __init__(self, shape: RowLayout, texts: tuple[bytes, ...]) -> None:
        self.layout = shape
        self.texts = texts

    def __getitem__(self, row: MetricSpec) -> bytes:
        """Return the lines of a row."""
        return self.texts[self.layout.places[row]]

    def __iter__(self) -> Iterator[MetricSpec]:
        """Yield the rows that there are."""
        return iter(self.layout.places)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.texts)

    def value(self, name: str) -> float | None:
        """Return the value of a row that has one series, by its full name; None when it is not there."""
        place = self.layout.names.get(name)
        return None if place is None else float(self.texts[place].rpartition(b" ")[2])


class StoreEntry(NamedTuple):
    """What one run of one collector found; times are monotonic seconds."""

    lines: RenderedSamples
    at: float
    max_age: float


class SampleAge(NamedTuple):
    """How old the samples of a collector are, in seconds."""

    target: str
    collector: str
    seconds: float


class SampleStore:
    """Samples by (target, collector)."""

    def __init__(self, render: Render, clock: Callable[[], float]) -> None:
        self._render = render
        self._clock = clock
        self._entries: dict[str, dict[str, StoreEntry]] = {}
        self._layouts: WeakValueDictionary[tuple[MetricSpec, ...], RowLayout] = WeakValueDictionary()

    def put(self, target: str, collector: str, samples: Iterable[Sample], max_age: float) -> None:
        """Replace what a collector last found; it is served for ``max_age`` seconds."""
        rendered = self._render(target, samples)
        rows = tuple(rendered)
        if (shape := self._layouts.get(rows)) is None:
            shape = self._layouts[rows] = RowLayout(rows)
        lines = RenderedSamples(shape, tuple(rendered.values()))
        self._entries.setdefault(target, {})[collector] = StoreEntry(lines, self._clock(), max_age)

    def fresh(self, target: str, collector: str) -> RenderedSamples | None:
        """Return what a collector found, or None when there is nothing that may still be served."""
        entry = self._entries.get(target, {}).get(collector)
        return entry.lines if entry and self._clock() - entry.at <= entry.max_age else None

    def fresh_by_collector(self, target: str) -> dict[str, RenderedSamples]:
        """Return everything that may be served of a target, by collector."""
        now, entries = self._clock(), self._entries.get(target, {})
        return {collector: lines for collector, (lines, at, max_age) in entries.items() if now - at <= max_age}

    def all_fresh(self) -> list[RenderedSamples]:
        """Return the rendered lines of everything that may be served."""
        now = self._clock()
        return [
            lines
            for entries in self._entries.values()
            for lines, at, max_age in entries.values()
            if now - at <= max_age
        ]

    def ages(self, target: str | None = None) -> Iterator[SampleAge]:
        """Yield how old the samples are, of one target or of all, also of those that are no longer served."""
        now = self._clock()
        for name in tuple(self._entries) if target is None else (target,):
            for collector, entry in tuple(self._entries.get(name, {}).items()):
                yield SampleAge(name, collector, now - entry.at)

    def age(self, target: str, collector: str) -> float | None:
        """Return how old the samples of a collector are, in seconds, or None when it never had any."""
        entry = self._entries.get(target, {}).get(collector)
        return None if entry is None else self._clock() - entry.at

    def forget(self, target: str, collector: str | None = None) -> None:
        """Drop what one collector, or every collector, found on a target."""
        if collector is None:
            self._entries.pop(target, None)
        elif entries := self._entries.get(target):  # the sampler says so at every poll for what is not supported
            entries.pop(collector, None)
