"""The latest samples of every (target, collector): replaced as a whole, read while fresh, dropped as a whole.

Samples are rendered once, by the ``render`` function that was passed in, when they are stored. Only the rendered bytes
are kept, so a scrape just joins bytes. Samples older than ``max_age`` are not served. Only their age is still reported.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple
from weakref import WeakValueDictionary

from redis_pulse.metric import MetricSpec, Sample

Render = Callable[[str, Iterable[Sample]], Mapping[MetricSpec, bytes]]


class RowLayout:
    """The metrics that a collector returned, in order. Most targets return the same and share one layout."""

    __slots__ = ("__weakref__", "names", "positions")

    def __init__(self, specs: Iterable[MetricSpec]) -> None:
        self.positions = {spec: position for position, spec in enumerate(specs)}
        self.names = {spec.full_name: position for spec, position in self.positions.items()}


class RenderedSamples(Mapping[MetricSpec, bytes]):
    """The samples of one run of one collector. ``texts`` are the lines of the metrics in ``layout``, in its order."""

    __slots__ = ("layout", "texts")

    def __init__(self, layout: RowLayout, texts: tuple[bytes, ...]) -> None:
        self.layout = layout
        self.texts = texts

    def __getitem__(self, spec: MetricSpec) -> bytes:
        """Return the lines of a metric."""
        return self.texts[self.layout.positions[spec]]

    def __iter__(self) -> Iterator[MetricSpec]:
        """Yield the metrics."""
        return iter(self.layout.positions)

    def __len__(self) -> int:
        """Return the number of metrics."""
        return len(self.texts)

    def value(self, name: str) -> float | None:
        """Return the value of a metric with a single series, by its full name. Return None without that metric."""
        position = self.layout.names.get(name)
        return None if position is None else float(self.texts[position].rpartition(b" ")[2])


class StoreEntry(NamedTuple):
    """The samples of one run of one collector, and when it ended. Times are monotonic seconds."""

    lines: RenderedSamples
    at: float
    max_age: float


class SampleAge(NamedTuple):
    """The age of the samples of one collector, in seconds."""

    target: str
    collector: str
    seconds: float


class SampleStore:
    """Samples by (target, collector). ``clock`` is monotonic, in seconds."""

    def __init__(self, render: Render, clock: Callable[[], float]) -> None:
        self._render = render
        self._clock = clock
        self._entries: dict[str, dict[str, StoreEntry]] = {}
        self._layouts: WeakValueDictionary[tuple[MetricSpec, ...], RowLayout] = WeakValueDictionary()

    def put(self, target: str, collector: str, samples: Iterable[Sample], max_age: float) -> None:
        """Replace the samples of a collector. They are served for ``max_age`` seconds."""
        rendered = self._render(target, samples)
        specs = tuple(rendered)
        if (layout := self._layouts.get(specs)) is None:
            layout = self._layouts[specs] = RowLayout(specs)
        lines = RenderedSamples(layout, tuple(rendered.values()))
        self._entries.setdefault(target, {})[collector] = StoreEntry(lines, self._clock(), max_age)

    def fresh(self, target: str, collector: str) -> RenderedSamples | None:
        """Return the samples of a collector, or None if there are none that may still be served."""
        entry = self._entries.get(target, {}).get(collector)
        return entry.lines if entry and self._clock() - entry.at <= entry.max_age else None

    def fresh_by_collector(self, target: str) -> dict[str, RenderedSamples]:
        """Return all samples of a target that may still be served, by collector."""
        now, entries = self._clock(), self._entries.get(target, {})
        return {collector: lines for collector, (lines, at, max_age) in entries.items() if now - at <= max_age}

    def all_fresh(self) -> list[RenderedSamples]:
        """Return all samples of all targets that may still be served."""
        now = self._clock()
        return [
            lines
            for entries in self._entries.values()
            for lines, at, max_age in entries.values()
            if now - at <= max_age
        ]

    def ages(self, target: str | None = None) -> Iterator[SampleAge]:
        """Yield the ages of all samples, of one target or of all. This includes samples that are no longer served."""
        now = self._clock()
        for name in tuple(self._entries) if target is None else (target,):
            for collector, entry in tuple(self._entries.get(name, {}).items()):
                yield SampleAge(name, collector, now - entry.at)

    def age(self, target: str, collector: str) -> float | None:
        """Return the age of the samples of a collector in seconds, or None without samples."""
        entry = self._entries.get(target, {}).get(collector)
        return None if entry is None else self._clock() - entry.at

    def forget(self, target: str, collector: str | None = None) -> None:
        """Drop the samples of one collector of a target, or of all its collectors."""
        if collector is None:
            self._entries.pop(target, None)
        elif entries := self._entries.get(target):  # the poller calls this in every poll for unsupported collectors
            entries.pop(collector, None)
