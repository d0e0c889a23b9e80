"""One child of a metric and its lines, which are rendered when it has changed and not before.

A target has some 200 series of ours, nearly all of them zeros that never move; rendering them at every scrape would
cost more than everything else on the page.
"""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram, Summary

from exporter.instruments import families
from exporter.instruments.families import Family
from exporter.lines import escape, number

#: A metric of the client library, or one child of it.
Plain = Counter | Gauge | Summary
_KINDS: dict[str, type[Plain]] = {"counter": Counter, "gauge": Gauge, "summary": Summary}


class Parents:
    """The labelled metrics that all targets share; histograms by their buckets."""

    def __init__(self) -> None:
        self._plain: dict[Family, Plain] = {
            family: _KINDS[family.kind](family.name, family.help, family.labels, registry=None)
            for family in families.OF_TARGETS
            if family.kind in _KINDS
        }
        self._histograms: dict[tuple[Family, tuple[float, ...]], Histogram] = {}

    def of(self, family: Family, buckets: tuple[float, ...]) -> Plain | Histogram:
        """Return the metric of a family."""
        if family.kind != "histogram":
            return self._plain[family]
        buckets = families.BUCKETS.get(family, buckets)
        if (known := self._histograms.get((family, buckets))) is None:
            known = Histogram(family.name, family.help, family.labels, buckets=buckets, registry=None)
            self._histograms[family, buckets] = known
        return known


class Group:
    """The cells of one family of one target, and their lines as long as none has changed."""

    __slots__ = ("cells", "lines")

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.lines: bytes | None = None

    def render(self) -> bytes:
        """Return the lines of all its cells."""
        if self.lines is None:
            self.lines = b"".join([cell.render() for cell in self.cells])
        return self.lines


class Cell:
    """One child of a metric, and its lines as long as it has not changed."""

    __slots__ = ("_child", "_group", "_labels", "_lines", "_name")

    def __init__(self, group: Group, family: Family, child: Plain | Histogram, values: tuple[str, ...]) -> None:
        self._group = group
        self._child = child
        self._name = family.name.removesuffix("_total")
        self._labels = ",".join([f'{key}="{escape(value)}"' for key, value in zip(family.labels, values, strict=True)])
        self._lines: bytes | None = None

    def inc(self, amount: float = 1) -> None:
        """Add to a counter."""
        self._child.inc(amount)  # type: ignore[union-attr]
        self._lines = self._group.lines = None

    def set(self, value: float) -> None:
        """Set a gauge."""
        self._child.set(value)  # type: ignore[union-attr]
        self._lines = self._group.lines = None

    def observe(self, value: float) -> None:
        """Add to a histogram or a summary."""
        self._child.observe(value)  # type: ignore[union-attr]
        self._lines = self._group.lines = None

    def render(self) -> bytes:
        """Return the lines of this child; without creation times, which would double the page."""
        if self._lines is None:
            (family,) = self._child.collect()
            self._lines = "".join(
                [
                    f"{sample.name}{{{self._labels}{_edge(sample.labels)}}} {number(sample.value)}\n"
                    for sample in family.samples
                    if not sample.name.endswith("_created")
                ]
            ).encode()
        return self._lines


def _edge(labels: Mapping[str, str]) -> str:
    return f',le="{labels["le"]}"' if labels else ""
