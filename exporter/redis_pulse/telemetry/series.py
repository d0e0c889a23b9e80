"""The values of one target, and the text lines that they become.

A target has about 400 series of the exporter's own metrics, and a daemon may have a thousand targets. Most of these
series never change from 0. So everything that is equal for all targets is rendered once, as a shared template. A target
stores only its numbers. Creation times (``_created``) are left out because they would double the page.

Worked example: the histogram ``redis_operation_duration_seconds`` of operation ``ping`` with one bucket of 0.1 s.

1. The template is the same for all targets and is cached. ``␀`` stands for the NUL character, ``_TARGET_MARK``::

       redis_operation_duration_seconds_bucket{␀,operation="ping",le="0.1"} %d
       redis_operation_duration_seconds_bucket{␀,operation="ping",le="+Inf"} %d
       redis_operation_duration_seconds_count{␀,operation="ping"} %d
       redis_operation_duration_seconds_sum{␀,operation="ping"} %s

2. The label of the target replaces each mark. Any ``%`` in a label is doubled, here that of the target ``50%``::

       redis_operation_duration_seconds_bucket{target="50%%",operation="ping",le="0.1"} %d

3. ``template % (3, 4, 4, "0.25")`` inserts the numbers and turns ``%%`` into ``%`` again::

       redis_operation_duration_seconds_bucket{target="50%",operation="ping",le="0.1"} 3
       redis_operation_duration_seconds_bucket{target="50%",operation="ping",le="+Inf"} 4
       redis_operation_duration_seconds_count{target="50%",operation="ping"} 4
       redis_operation_duration_seconds_sum{target="50%",operation="ping"} 0.25
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

from prometheus_client.utils import floatToGoString

from redis_pulse.errors import REASONS
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.text_format import format_number, render_label

#: The place of the label of the target in a template. No operation has this character in its name.
_TARGET_MARK = "\0"
#: Failure counts before the first failure. All operations share this dict until one of them fails.
_NO_FAILURES = dict.fromkeys(REASONS, 0)


class FamilySeries:
    """All series of one family on one target. ``target_label`` is rendered: ``target="cart"``.

    The rendered lines are kept until a value changes for the first time. A family that changed once will change
    again, so its later lines are not worth the memory.
    """

    __slots__ = ("_was_kept", "lines", "series", "target_label")

    def __init__(self, target_label: str) -> None:
        self.target_label = target_label
        self.series: list[Value | HistogramValue | FailureCounts] = []
        #: The rendered lines, or None when they must be rendered again.
        self.lines: bytes | None = None
        self._was_kept = False

    def add(self, series: "Value | HistogramValue | FailureCounts") -> None:
        """Render a further series after the others."""
        self.series.append(series)
        self.lines = None

    def remove(self, series: "Value | HistogramValue | FailureCounts") -> None:
        """Stop rendering a series."""
        self.series.remove(series)
        self.lines = None

    def render(self) -> bytes:
        """Return the lines of all series."""
        if self.lines is not None:
            return self.lines
        target_label = self.target_label
        lines = "".join([one.render(target_label) for one in self.series]).encode()
        if not self._was_kept:
            self._was_kept, self.lines = True, lines
        return lines


class Value:
    """One counter or gauge."""

    __slots__ = ("_family", "_template", "_value")

    def __init__(self, family_series: FamilySeries, family: MetricFamily, labels: tuple[str, ...]) -> None:
        self._family = family_series
        self._template: tuple[str, str] = _value_template(family, labels)
        self._value: float = 0
        family_series.add(self)

    def inc(self, amount: float = 1) -> None:
        """Add to a counter."""
        self._value += amount
        self._family.lines = None

    def set(self, value: float) -> None:
        """Set a gauge. The rendered lines stay valid if the value is the same as before."""
        if value != self._value:
            self._value = value
            self._family.lines = None

    def render(self, target_label: str) -> str:
        """Return the line of this value."""
        before, after = self._template
        return f"{before}{target_label}{after}{format_number(self._value)}\n"


class HistogramValue:
    """One histogram, or one summary without quantiles. A summary has no ``bounds``."""

    __slots__ = ("_bounds", "_counts", "_family", "_sum", "_template")

    def __init__(
        self, family_series: FamilySeries, family: MetricFamily, labels: tuple[str, ...], bounds: tuple[float, ...]
    ) -> None:
        self._family = family_series
        self._bounds = bounds
        self._template = _histogram_template(family, labels, bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum: float = 0
        family_series.add(self)

    def observe(self, value: float) -> None:
        """Add one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value
        self._family.lines = None

    def render(self, target_label: str) -> str:
        """Return the lines of buckets, count and sum. A bucket counts everything up to its upper bound."""
        cumulative = list(accumulate(self._counts))
        buckets = cumulative if self._bounds else ()
        return _render(self._template, target_label, (*buckets, cumulative[-1], format_number(self._sum)))


class FailureCounts:
    """The failures of one operation, counted by reason. Every reason has a line from the start."""

    __slots__ = ("_counts", "_family", "_template")

    def __init__(self, family_series: FamilySeries, family: MetricFamily, operation: str) -> None:
        self._family = family_series
        self._template = _failures_template(family, operation)
        self._counts = _NO_FAILURES
        family_series.add(self)

    def inc(self, reason: str, count: int) -> None:
        """Add failures that have the same reason."""
        if self._counts is _NO_FAILURES:
            self._counts = _NO_FAILURES.copy()
        self._counts[reason] += count
        self._family.lines = None

    def render(self, target_label: str) -> str:
        """Return one line for each reason."""
        return _render(self._template, target_label, tuple(self._counts.values()))


def render_line(family: MetricFamily, target_label: str, labels: tuple[str, ...], value: float) -> str:
    """Return the line of a counter or gauge that has no ``Value``. ``labels`` follow the label of the target."""
    before, after = _value_template(family, labels)
    return f"{before}{target_label}{after}{format_number(value)}\n"


def _render(template: str, target_label: str, numbers: tuple[object, ...]) -> str:
    """Do steps 2 and 3 of the worked example."""
    return template.replace(_TARGET_MARK, target_label.replace("%", "%%")) % numbers


@lru_cache(maxsize=10_000)
def _value_template(family: MetricFamily, labels: tuple[str, ...]) -> tuple[str, str]:
    """Return the parts of a line before and after the label of the target."""
    return f"{family.name}{{", f"{_render_labels(family.labels[1:], labels)}}} "


@lru_cache(maxsize=10_000)
def _histogram_template(family: MetricFamily, labels: tuple[str, ...], bounds: tuple[float, ...]) -> str:
    """Return the template of a histogram or a summary, step 1 of the worked example."""
    rendered = _render_labels(family.labels[1:], labels).replace("%", "%%")
    upper_bounds = [_format_bound(bound) for bound in (*bounds, math.inf)] if family.kind == "histogram" else []
    buckets = [f'{family.name}_bucket{{{_TARGET_MARK}{rendered},le="{bound}"}} %d\n' for bound in upper_bounds]
    return "".join(buckets) + "".join(
        f"{family.name}_{suffix}{{{_TARGET_MARK}{rendered}}} %{conversion}\n"
        for suffix, conversion in (("count", "d"), ("sum", "s"))
    )


@lru_cache(maxsize=10_000)
def _failures_template(family: MetricFamily, operation: str) -> str:
    """Return the template of the failures of one operation, with one line for each reason."""
    label_lists = (_render_labels(family.labels[1:], (operation, reason)).replace("%", "%%") for reason in REASONS)
    return "".join([f"{family.name}{{{_TARGET_MARK}{rendered}}} %d\n" for rendered in label_lists])


def _render_labels(names: Sequence[str], values: Sequence[str]) -> str:
    """Return labels that follow the label of the target. Each starts with a comma."""
    return "".join([f",{render_label(name, value)}" for name, value in zip(names, values, strict=True)])


def _format_bound(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call,unused-ignore]
