"""The latest samples of every (target, collector): replaced as a whole, read while fresh, dropped as a whole.

Samples are rendered once, by the ``render`` function that was passed in, before they are stored. Only the rendered
bytes are kept, so a scrape just joins bytes. The bytes of many targets are kept compressed. Samples older than
``max_age`` are not served. Only their age is still reported.
"""

import asyncio
import time
from array import array
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple
from weakref import WeakValueDictionary

from redis_pulse.deflate import compress_once, decompress
from redis_pulse.metric import MetricSpec, Sample, WrittenLines

#: Returns the lines of each metric of a target. Yields between two slices.
Render = Callable[[str, Iterable[Sample | WrittenLines]], Generator[None, None, Mapping[MetricSpec, bytes]]]


class RowLayout:
    """The metrics that a collector returned, in order. Most targets return the same and share one layout."""

    __slots__ = ("__weakref__", "names", "positions")

    def __init__(self, specs: Iterable[MetricSpec]) -> None:
        self.positions = {spec: position for position, spec in enumerate(specs)}
        self.names = {spec.full_name: position for spec, position in self.positions.items()}


class RenderedSamples(Mapping[MetricSpec, bytes]):
    """The samples of one run of one collector: the lines of the metrics in ``layout``, in its order.

    ``pack`` keeps them compressed. A reader then decompresses them, which takes 10 µs for the 15 kB of INFO.
    """

    __slots__ = ("_packed", "_sizes", "_texts", "_unpacked", "layout")

    def __init__(self, layout: RowLayout, texts: tuple[bytes, ...]) -> None:
        self.layout = layout
        self._texts: tuple[bytes, ...] | None = texts
        self._packed = b""
        #: bytes of each text
        self._sizes = array("I")
        #: all texts together, which a reader got from ``reader``
        self._unpacked: bytes | None = None

    @property
    def texts(self) -> tuple[bytes, ...]:
        """The lines of each metric."""
        if (texts := self._texts) is not None:
            return texts
        whole, ends = self._whole(), accumulate(self._sizes)
        return tuple([whole[end - size : end] for end, size in zip(ends, self._sizes, strict=True)])

    def pack(self) -> None:
        """Keep the lines compressed from now on."""
        if (texts := self._texts) is not None:
            self._sizes = array("I", map(len, texts))
            self._packed = compress_once(b"".join(texts))
            self._texts = None

    def reader(self) -> "RenderedSamples":
        """Return the same samples. Several values that are read of them are decompressed once."""
        if self._texts is not None or self._unpacked is not None:
            return self
        reader = RenderedSamples(self.layout, ())
        reader._texts, reader._sizes, reader._unpacked = None, self._sizes, decompress(self._packed)
        return reader

    def __getitem__(self, spec: MetricSpec) -> bytes:
        """Return the lines of a metric."""
        return self._text(self.layout.positions[spec])

    def __iter__(self) -> Iterator[MetricSpec]:
        """Yield the metrics."""
        return iter(self.layout.positions)

    def __len__(self) -> int:
        """Return the number of metrics."""
        return len(self.layout.positions)

    def value(self, name: str) -> float | None:
        """Return the value of a metric with a single series, by its full name. Return None without that metric."""
        position = self.layout.names.get(name)
        return None if position is None else float(self._text(position).rpartition(b" ")[2])

    def text(self, name: str) -> bytes:
        """Return the lines of a metric, by its full name, or nothing without that metric."""
        position = self.layout.names.get(name)
        return b"" if position is None else self._text(position)

    def numbers(self, name: str) -> list[float]:
        """Return the value of each series of a metric, by its full name."""
        return [float(line.rpartition(b" ")[2]) for line in self.text(name).splitlines() if line]

    def _text(self, position: int) -> bytes:
        if (texts := self._texts) is not None:
            return texts[position]
        start = sum(self._sizes[:position])
        return self._whole()[start : start + self._sizes[position]]

    def _whole(self) -> bytes:
        return decompress(self._packed) if self._unpacked is None else self._unpacked


NO_SAMPLES = RenderedSamples(RowLayout(()), ())


class StoreEntry(NamedTuple):
    """The samples of one run of one collector, and when it ended. ``at`` is in monotonic seconds."""

    lines: RenderedSamples
    at: float
    max_age: float
    #: Unix time of the end
    stamp: float


class SampleAge(NamedTuple):
    """The age of the samples of one collector, in seconds."""

    target: str
    collector: str
    seconds: float


class SampleTimes(NamedTuple):
    """The ages of the samples of a target in seconds, and the Unix times of their polls, by collector."""

    target: str
    collectors: tuple[str, ...]
    ages: Sequence[float]
    stamps: Sequence[float]


class SampleStore:
    """Samples by (target, collector). ``clock`` is monotonic, in seconds, and ``wall`` returns the Unix time."""

    def __init__(self, render: Render, clock: Callable[[], float], *, wall: Callable[[], float] = time.time) -> None:
        self._render = render
        self._clock = clock
        self._wall = wall
        #: called with the name of a target after its samples have changed or were dropped
        self.on_change: Callable[[str], None] = lambda _target: None
        self._entries: dict[str, dict[str, StoreEntry]] = {}
        self._layouts: WeakValueDictionary[tuple[MetricSpec, ...], RowLayout] = WeakValueDictionary()

    async def render(self, target: str, samples: Iterable[Sample | WrittenLines]) -> RenderedSamples:
        """Render the samples of a collector in slices. Between two slices other tasks run."""
        steps = self._render(target, samples)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                lines: Mapping[MetricSpec, bytes] = end.value
                break
            await asyncio.sleep(0)
        specs = tuple(lines)
        if (layout := self._layouts.get(specs)) is None:
            layout = self._layouts[specs] = RowLayout(specs)
        return RenderedSamples(layout, tuple(lines.values()))

    def put(self, target: str, collector: str, lines: RenderedSamples, max_age: float) -> None:
        """Replace the samples of a collector. They are served for ``max_age`` seconds."""
        entry = StoreEntry(lines, self._clock(), max_age, self._wall())
        self._entries.setdefault(target, {})[collector] = entry
        self.on_change(target)

    @property
    def target_count(self) -> int:
        """The number of targets with samples, fresh ones or not."""
        return len(self._entries)

    def __contains__(self, target: object) -> bool:
        """Return whether a target has samples, fresh ones or not."""
        return target in self._entries

    def fresh(self, target: str, collector: str) -> RenderedSamples | None:
        """Return the samples of a collector, or None if there are none that may still be served."""
        entry = self._entries.get(target, {}).get(collector)
        return entry.lines.reader() if entry and self._clock() - entry.at <= entry.max_age else None

    def fresh_by_collector(self, target: str) -> dict[str, RenderedSamples]:
        """Return all samples of a target that may still be served, by collector."""
        now, entries = self._clock(), self._entries.get(target, {})
        return {collector: lines for collector, (lines, at, max_age, _) in entries.items() if now - at <= max_age}

    def fresh_until(self, target: str) -> float:
        """Return when the first fresh sample of a target must no longer be served, by the monotonic clock."""
        now, entries = self._clock(), self._entries.get(target, {})
        ends = [at + max_age for _, at, max_age, _ in entries.values() if now - at <= max_age]
        return min(ends, default=float("inf"))

    def now(self) -> float:
        """Return the monotonic time by which samples age."""
        return self._clock()

    def pack(self, target: str) -> Iterator[None]:
        """Keep the samples of a target compressed. Yield after each collector."""
        for entry in tuple(self._entries.get(target, {}).values()):
            entry.lines.pack()
            yield

    def all_fresh(self, *, besides: Container[str] = ()) -> list[RenderedSamples]:
        """Return all samples that may still be served, of all targets but those in ``besides``."""
        now = self._clock()
        return [
            lines
            for target, entries in self._entries.items()
            if target not in besides
            for lines, at, max_age, _ in entries.values()
            if now - at <= max_age
        ]

    def times(self, target: str | None = None) -> Iterator[SampleTimes]:
        """Yield the ages and times of the samples of one target, or of all. This includes those not served any more."""
        for name in tuple(self._entries) if target is None else (target,):
            if entries := self._entries.get(name):
                now = self._clock()
                yield SampleTimes(
                    name,
                    tuple(entries),
                    [now - entry.at for entry in entries.values()],
                    [entry.stamp for entry in entries.values()],
                )

    def ages(self, target: str | None = None) -> Iterator[SampleAge]:
        """Yield the ages of all samples, of one target or of all. This includes samples that are no longer served."""
        for name, collectors, ages, _ in self.times(target):
            for collector, seconds in zip(collectors, ages, strict=True):
                yield SampleAge(name, collector, seconds)

    def age(self, target: str, collector: str) -> float | None:
        """Return the age of the samples of a collector in seconds, or None without samples."""
        entry = self._entries.get(target, {}).get(collector)
        return None if entry is None else self._clock() - entry.at

    def forget(self, target: str, collector: str | None = None) -> None:
        """Drop the samples of one collector of a target, or of all its collectors."""
        if collector is None:
            if self._entries.pop(target, None) is not None:
                self.on_change(target)
        elif self._entries.get(target, {}).pop(collector, None) is not None:
            self.on_change(target)  # not for unsupported collectors, for which the poller calls this in every poll
