"""The numbers of one target, a few words of memory each, and their lines, rendered when they have changed.

A target has some 400 series of ours, nearly all of them zeros that never move, and a daemon has a thousand targets. So
what all targets share of a line is made once and shared: a number knows only its place. Creation times are left out,
they would double the page.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

from prometheus_client.utils import floatToGoString

from redis_pulse.errors import REASONS
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.text_format import escape_label_value, format_number

_OWN = "\0"  # where a shared text has the label of the target
_NEVER = dict.fromkeys(REASONS, 0)


class FamilySeries:
    """What one target has of one family; ``own``: ``target="…"``.

    Its lines are kept until something changes. What has changed once will again, and is not worth the memory.
    """

    __slots__ = ("_changes", "lines", "own", "values")

    def __init__(self, own: str) -> None:
        self.own = own
        self.values: list[Value | FailureCounts] = []
        self.lines: bytes | None = None
        self._changes = False

    def remove(self, cell: "Value | FailureCounts") -> None:
        """Render a cell no more."""
        self.values.remove(cell)
        self.lines = None

    def render(self) -> bytes:
        """Return the lines of all its cells."""
        if self.lines is not None:
            return self.lines
        own = self.own
        lines = "".join([cell.text(own) for cell in self.values]).encode()
        if not self._changes:
            self._changes, self.lines = True, lines
        return lines


class Value:
    """One number: a counter or a gauge."""

    __slots__ = ("_group", "_shared", "_value")

    def __init__(self, group: FamilySeries, family: MetricFamily, labels: tuple[str, ...]) -> None:
        self._group = group
        self._shared: tuple[str, str] = _line_template(family, labels)
        self._value: float = 0
        group.values.append(self)
        group.lines = None

    def inc(self, amount: float = 1) -> None:
        """Add to a counter."""
        self._value += amount
        self._group.lines = None

    def set(self, value: float) -> None:
        """Set a gauge; the lines are kept when it is the same."""
        if value != self._value:
            self._value = value
            self._group.lines = None

    def observe(self, value: float) -> None:  # noqa: ARG002
        """Add to a histogram or a summary; a counter or a gauge is none."""
        raise TypeError("neither a histogram nor a summary")

    def text(self, own: str) -> str:
        """Return its lines."""
        head, tail = self._shared
        return f"{head}{own}{tail}{format_number(self._value)}\n"


class HistogramValue(Value):
    """One histogram, or a summary without quantiles: then without edges."""

    __slots__ = ("_counts", "_edges", "_lines")

    def __init__(
        self, group: FamilySeries, family: MetricFamily, labels: tuple[str, ...], edges: tuple[float, ...]
    ) -> None:
        super().__init__(group, family, labels)
        self._edges = edges
        self._lines = _distribution(family, labels, edges)
        self._counts = [0] * (len(edges) + 1)

    def observe(self, value: float) -> None:
        """Add one value."""
        self._counts[bisect_left(self._edges, value)] += 1
        self._value += value
        self._group.lines = None

    def text(self, own: str) -> str:
        """Return its lines; of a histogram each bucket holds those below it."""
        counts = list(accumulate(self._counts))
        buckets = counts if self._edges else ()
        return _render(self._lines, own, (*buckets, counts[-1], format_number(self._value)))


class FailureCounts:
    """The failures of one operation by their reason: all reasons from the start."""

    __slots__ = ("_counts", "_group", "_lines")

    def __init__(self, group: FamilySeries, family: MetricFamily, operation: str) -> None:
        self._group = group
        self._lines = _failure_template(family, operation)
        self._counts = _NEVER
        group.values.append(self)
        group.lines = None

    def inc(self, reason: str, count: int) -> None:
        """Add failures."""
        if self._counts is _NEVER:
            self._counts = _NEVER.copy()
        self._counts[reason] += count
        self._group.lines = None

    def text(self, own: str) -> str:
        """Return its lines."""
        return _render(self._lines, own, tuple(self._counts.values()))


def _render(lines: str, own: str, numbers: tuple[object, ...]) -> str:
    return lines.replace(_OWN, own.replace("%", "%%")) % numbers


@lru_cache(maxsize=10_000)
def _line_template(family: MetricFamily, labels: tuple[str, ...]) -> tuple[str, str]:
    """Return what stands before and after the label of the target."""
    return f"{family.name}{{", f"{_pairs(family.labels[1:], labels)}}} "


@lru_cache(maxsize=10_000)
def _distribution(family: MetricFamily, labels: tuple[str, ...], edges: tuple[float, ...]) -> str:
    """Return the lines of a histogram or a summary, with places for the label of the target and the numbers."""
    pairs = _pairs(family.labels[1:], labels).replace("%", "%%")
    bounds = [_edge(edge) for edge in (*edges, math.inf)] if family.kind == "histogram" else []
    buckets = [f'{family.name}_bucket{{{_OWN}{pairs},le="{bound}"}} %d\n' for bound in bounds]
    return "".join(buckets) + "".join(
        f"{family.name}_{what}{{{_OWN}{pairs}}} %{kind}\n" for what, kind in (("count", "d"), ("sum", "s"))
    )


@lru_cache(maxsize=10_000)
def _failure_template(family: MetricFamily, operation: str) -> str:
    """Return the lines of the failures of an operation, with places for the label of the target and the numbers."""
    pairs = (_pairs(family.labels[1:], (operation, reason)).replace("%", "%%") for reason in REASONS)
    return "".join([f"{family.name}{{{_OWN}{one}}} %d\n" for one in pairs])


def _pairs(names: Sequence[str], values: Sequence[str]) -> str:
    return "".join([f',{name}="{escape_label_value(value)}"' for name, value in zip(names, values, strict=True)])


def _edge(edge: float) -> str:
    return str(floatToGoString(edge))  # type: ignore[no-untyped-call,unused-ignore]
