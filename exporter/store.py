"""The latest samples of every (target, collector): put whole, read while fresh, forgotten whole.

What is put is rendered once, there and then, by the ``render`` that was handed in; a scrape only joins bytes. Samples
older than their ``max_age`` are kept for nothing but their age: they are never served.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from exporter.metric import Metric, Sample

Lines = Mapping[Metric, bytes]
Render = Callable[[str, Iterable[Sample]], Lines]


class Entry(NamedTuple):
    """What one run of one collector found; times are monotonic seconds."""

    samples: tuple[Sample, ...]
    lines: Lines
    at: float
    max_age: float


class Age(NamedTuple):
    """How old the samples of a collector are, in seconds."""

    target: str
    collector: str
    seconds: float


class Store:
    """Samples by (target, collector)."""

    def __init__(self, render: Render, clock: Callable[[], float]) -> None:
        self._render = render
        self._clock = clock
        self._entries: dict[tuple[str, str], Entry] = {}

    def put(self, target: str, collector: str, samples: Iterable[Sample], max_age: float) -> None:
        """Replace what a collector last found; it is served for ``max_age`` seconds."""
        kept = tuple(samples)
        self._entries[target, collector] = Entry(kept, self._render(target, kept), self._clock(), max_age)

    def fresh(self, target: str, collector: str) -> tuple[Sample, ...] | None:
        """Return the samples of a collector, or None when there are none that may still be served."""
        entry = self._entries.get((target, collector))
        return entry.samples if entry and self._is_fresh(entry) else None

    def pages(self) -> list[Lines]:
        """Return the rendered lines of everything that may be served."""
        return [entry.lines for entry in self._entries.values() if self._is_fresh(entry)]

    def ages(self) -> Iterator[Age]:
        """Yield how old the samples are, also of those that are no longer served."""
        now = self._clock()
        for (target, collector), entry in tuple(self._entries.items()):
            yield Age(target, collector, now - entry.at)

    def age(self, target: str, collector: str) -> float | None:
        """Return how old the samples of a collector are, in seconds, or None when it never had any."""
        entry = self._entries.get((target, collector))
        return None if entry is None else self._clock() - entry.at

    def forget(self, target: str, collector: str | None = None) -> None:
        """Drop what one collector, or every collector, found on a target."""
        if collector is not None:  # the sampler says so at every poll for what a server does not support
            self._entries.pop((target, collector), None)
            return
        for key in [key for key in self._entries if key[0] == target]:
            del self._entries[key]

    def _is_fresh(self, entry: Entry) -> bool:
        return self._clock() - entry.at <= entry.max_age
