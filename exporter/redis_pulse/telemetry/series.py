"""The values of one target, and the text lines that they become.

A target has about 240 series of the exporter's own metrics, and a daemon may have a thousand targets. Few of these
series change with a ping. So everything that is equal for all targets is rendered once, as a shared template. A target
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
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from types import MappingProxyType

from prometheus_client.utils import floatToGoString

from redis_pulse.errors import REASONS
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.text_format import format_number, render_label

#: The place of the label of the target in a template. No operation has this character in its name.
_TARGET_MARK = "\0"
#: Failure counts before the first failure. All operations share this dict until one of them fails.
_NO_FAILURES = dict.fromkeys(REASONS, 0)
#: The same for operations that have a line only for the reasons that were counted.
_NO_REASONS: Mapping[str, int] = MappingProxyType({})
_NO_ZEROS: Mapping[str, "FirstZero"] = MappingProxyType({})
#: Seconds for which pages show a new counter as 0: the usual scrape interval, or the longest known one. A delay of more
#: than about a minute would hide failures.
SECONDS_AT_ZERO, MAX_SECONDS_AT_ZERO = 15.0, 66.0


class FamilySeries:
    """Series of one family on one target that change together. ``target_label`` is rendered: ``target="cart"``.

    The series that a ping changes are apart from those that a poll changes. So a ping costs the lines of the others
    nothing. The lines of a poll are kept until the next poll. Those of a ping are kept only if they did not change
    since the last page. Otherwise they will change again before the next one, and are not worth the memory.
    """

    __slots__ = ("_is_live", "_rendered", "_zeros", "has_exemplars", "lines", "series", "target_label", "version")

    def __init__(self, target_label: str, *, is_live: bool = False) -> None:
        self.target_label = target_label
        self._is_live = is_live
        #: A list would take twice the memory. A series is rarely added.
        self.series: tuple[Value | HistogramValue | FailureCounts | FailuresFromZero, ...] = ()
        #: The rendered lines, or None when they must be rendered again.
        self.lines: bytes | None = None
        #: Grows with each change of the lines.
        self.version = 0
        self._rendered = -1
        #: Of the counters that pages still show as 0. No lines are kept until there are none.
        self._zeros: tuple[FirstZero, ...] = ()
        #: Whether a histogram has an exemplar. Only OpenMetrics shows them, so these lines are never kept.
        self.has_exemplars = False

    def add(self, series: "Value | HistogramValue | FailureCounts | FailuresFromZero") -> None:
        """Render a further series after the others."""
        self.series = (*self.series, series)
        self.changed()

    def remove(self, series: "Value | HistogramValue | FailureCounts | FailuresFromZero") -> None:
        """Stop rendering a series."""
        self.series = tuple(one for one in self.series if one is not series)
        self.changed()

    def changed(self) -> None:
        """Render again for the next page."""
        self.lines = None
        self.version += 1

    def add_zero(self, zero: "FirstZero") -> None:
        """Render again when pages no longer show a 0."""
        self._zeros = (*self._zeros, zero)
        self.changed()

    def end_zeros(self) -> None:
        """Notice the counters whose 0 was shown for long enough."""
        if self._zeros and any(zero.is_over for zero in self._zeros):
            self._zeros = tuple(zero for zero in self._zeros if not zero.is_over)
            self.changed()

    def render(self) -> bytes:
        """Return the lines of all series. Callers use ``lines`` if they are kept."""
        self.end_zeros()
        target_label = self.target_label
        lines = "".join([one.render(target_label) for one in self.series]).encode()
        if not self._zeros and (not self._is_live or self._rendered == self.version):
            self.lines = lines
        self._rendered = self.version
        return lines

    def render_exemplars(self) -> bytes:
        """Return the lines of all series with the exemplars."""
        target_label = self.target_label
        rendered = [
            one.render_exemplars(target_label) if isinstance(one, HistogramValue) else one.render(target_label)
            for one in self.series
        ]
        return "".join(rendered).encode()


def seconds_at_zero(periods: Iterable[float]) -> float:
    """Return for how long pages show a new counter as 0. ``periods`` are the known times between two scrapes."""
    return min(MAX_SECONDS_AT_ZERO, max([SECONDS_AT_ZERO, *(period * 1.1 for period in periods)]))


class FirstZero:
    """How long pages show a new counter as 0. Otherwise ``increase()`` would not count its first increment.

    Pages show the value ``seconds()`` after the first page with the 0. So each Prometheus that scrapes at least that
    often reads the 0. One that scrapes more rarely reads it too, if no other reads pages. Nothing is lost: the counter
    itself counts from the start.
    """

    __slots__ = ("_clock", "_seconds", "_until")

    def __init__(self, clock: Callable[[], float], seconds: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._until: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the next page may show the value."""
        return self._until is not None and self._clock() >= self._until

    def shown(self) -> None:
        """Begin to count the seconds. The first page with the 0 is being rendered."""
        if self._until is None:
            self._until = self._clock() + self._seconds()


class Value:
    """One counter or gauge."""

    __slots__ = ("_family", "_template", "_value")

    def __init__(self, family_series: FamilySeries, family: MetricFamily, labels: tuple[str, ...]) -> None:
        self._family = family_series
        self._template: tuple[str, str] = value_template(family, labels)
        self._value: float = 0
        family_series.add(self)

    @property
    def value(self) -> float:
        """The current value."""
        return self._value

    def inc(self, amount: float = 1) -> None:
        """Add to a counter."""
        self._value += amount
        family = self._family
        family.lines = None
        family.version += 1

    def set(self, value: float) -> None:
        """Set a gauge. The rendered lines stay valid if the value is the same as before."""
        if value != self._value:
            self._value = value
            self._family.changed()

    def render(self, target_label: str) -> str:
        """Return the line of this value."""
        before, after = self._template
        return f"{before}{target_label}{after}{format_number(self._value)}\n"


class CounterFromZero(Value):
    """A counter that gets its series with its first increment. Pages show it as 0 at first (``FirstZero``)."""

    __slots__ = ("_zero",)

    def __init__(
        self,
        family_series: FamilySeries,
        family: MetricFamily,
        labels: tuple[str, ...],
        zero: FirstZero,
    ) -> None:
        super().__init__(family_series, family, labels)
        self._zero: FirstZero | None = zero
        family_series.add_zero(zero)

    def render(self, target_label: str) -> str:
        """Return the line of this counter, as 0 until the 0 was shown for long enough."""
        if (zero := self._zero) is None or zero.is_over:
            self._zero = None
            return super().render(target_label)
        zero.shown()
        before, after = self._template
        return f"{before}{target_label}{after}0\n"


class HistogramValue:
    """One histogram, or one summary without quantiles. A summary has no ``bounds``."""

    __slots__ = ("_bounds", "_counts", "_exemplars", "_family", "_sum", "_template")

    def __init__(
        self, family_series: FamilySeries, family: MetricFamily, labels: tuple[str, ...], bounds: tuple[float, ...]
    ) -> None:
        self._family = family_series
        self._bounds = bounds
        self._template = _histogram_template(family, labels, bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum: float = 0
        #: By the index of their bucket, as OpenMetrics writes them behind its line.
        self._exemplars: dict[int, str] | None = None
        family_series.add(self)

    def observe(self, value: float) -> None:
        """Add one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value
        family = self._family
        family.lines = None
        family.version += 1

    def render(self, target_label: str) -> str:
        """Return the lines of buckets, count and sum. A bucket counts everything up to its upper bound."""
        cumulative = list(accumulate(self._counts))
        buckets = cumulative if self._bounds else ()
        return _render(self._template, target_label, (*buckets, cumulative[-1], format_number(self._sum)))

    def set_exemplar(self, label: str, value: float, timestamp: float) -> None:
        """Attach an exemplar to the bucket of ``value``, instead of an older one. An empty bucket gets none.

        ``label`` is rendered, and ``timestamp`` is the Unix time of the observation.
        """
        bucket = bisect_left(self._bounds, value)
        if not self._counts[bucket]:
            return
        if self._exemplars is None:
            self._exemplars = {}
        self._exemplars[bucket] = f" # {{{label}}} {format_number(value)} {timestamp:.3f}"
        self._family.has_exemplars = True
        self._family.changed()

    def render_exemplars(self, target_label: str) -> str:
        """Return the same lines as ``render``, with the exemplars of the buckets, which come first."""
        lines = self.render(target_label).split("\n")
        for bucket, exemplar in (self._exemplars or {}).items():
            lines[bucket] += exemplar
        return "\n".join(lines)


class FailureCounts:
    """The failures of the pings, counted by reason. Every reason has a line from the start."""

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
        self._family.changed()

    def render(self, target_label: str) -> str:
        """Return one line for each reason."""
        return _render(self._template, target_label, tuple(self._counts.values()))


class FailuresFromZero:
    """The failures of one operation, counted by reason. A reason gets its line with its first failure.

    Pages show it as 0 at first (``FirstZero``). Most operations fail with one or two of the reasons in their life.
    """

    __slots__ = ("_counts", "_family", "_metric", "_new_zero", "_operation", "_zeros")

    def __init__(
        self, family_series: FamilySeries, family: MetricFamily, operation: str, new_zero: Callable[[], FirstZero]
    ) -> None:
        self._family = family_series
        self._metric = family
        self._operation = operation
        self._new_zero = new_zero
        self._counts: Mapping[str, int] = _NO_REASONS
        self._zeros: Mapping[str, FirstZero] = _NO_ZEROS
        family_series.add(self)

    def inc(self, reason: str, count: int) -> None:
        """Add failures that have the same reason."""
        if not count:
            return
        if reason not in self._counts:
            zero = self._new_zero()
            self._zeros = {**self._zeros, reason: zero}
            self._family.add_zero(zero)
        self._counts = {**self._counts, reason: self._counts.get(reason, 0) + count}
        self._family.changed()

    def render(self, target_label: str) -> str:
        """Return one line for each reason that was counted."""
        if not self._counts:
            return ""
        if self._zeros:
            self._zeros = {reason: zero for reason, zero in self._zeros.items() if not zero.is_over} or _NO_ZEROS
        shown = dict(self._counts)
        for reason, zero in self._zeros.items():
            zero.shown()
            shown[reason] = 0
        return "".join(
            [
                render_line(self._metric, target_label, (self._operation, reason), count)
                for reason, count in shown.items()
            ]
        )


def render_line(family: MetricFamily, target_label: str, labels: tuple[str, ...], value: float) -> str:
    """Return the line of a counter or gauge that has no ``Value``. ``labels`` follow the label of the target."""
    before, after = value_template(family, labels)
    return f"{before}{target_label}{after}{format_number(value)}\n"


def _render(template: str, target_label: str, numbers: tuple[object, ...]) -> str:
    """Do steps 2 and 3 of the worked example."""
    return template.replace(_TARGET_MARK, target_label.replace("%", "%%")) % numbers


@lru_cache(maxsize=10_000)
def value_template(family: MetricFamily, labels: tuple[str, ...]) -> tuple[str, str]:
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
