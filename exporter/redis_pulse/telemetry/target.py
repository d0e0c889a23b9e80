"""Metrics of one target and of its operations.

For the pings, every reason of failure is published as 0 from the start. Other operations get the series of a reason
with its first failure. Counters that stay 0 on most targets (retries, unreadable fields) begin with their first
increment too. Pages show each as 0 at first, so ``increase()`` counts its first increment (``series.FirstZero``).
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from time import monotonic

from redis_pulse.circuit_breaker import STATES, State
from redis_pulse.errors import OperationTimeoutError, TargetError
from redis_pulse.telemetry import families
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.telemetry.native_histogram import DualHistogram
from redis_pulse.telemetry.probe_accuracy import ProbeAccuracyMetrics
from redis_pulse.telemetry.series import (
    SECONDS_AT_ZERO,
    CounterFromZero,
    FailureCounts,
    FailuresFromZero,
    FamilySeries,
    FirstZero,
    HistogramValue,
    Value,
    render_line,
    value_template,
)
from redis_pulse.text_format import format_number, render_label, render_labels

#: All state changes that a circuit breaker can make.
_TRANSITIONS = (*pairwise(("closed", "open", "half_open", "closed")), ("half_open", "open"), ("open", "closed"))
#: A series of a target: its family, and its labels after ``target``.
_Key = tuple[MetricFamily, tuple[str, ...]]


class OperationMetrics:
    """Metrics of one operation on one target. Each run is counted once and gets exactly one outcome."""

    __slots__ = ("_duration", "_name", "_newest", "_newest_family", "_target", "failures", "total")

    def __init__(self, target: "TargetMetrics", name: str) -> None:
        self._name = name
        self.total = target.value(families.OPERATIONS, name)
        self._duration = target.histogram(families.DURATION, name)
        self.failures = target.failures(name)
        self._newest_family = families.NEWEST_DURATION.get(name)
        self._newest: Value | None = None
        self._target = target

    @property
    def retries(self) -> Value:
        """The reads that were sent a second time. The counter has no series before this is read."""
        return self._target.counter_from_zero(families.RETRIES, self._name)

    @contextmanager
    def run(self, clock: Callable[[], float], timeout: float) -> Iterator[None]:
        """Count the block as one run with one outcome, and pass on its exception.

        ``clock`` is monotonic, in seconds. ``timeout`` is the deadline of the run in seconds.
        """
        self.total.inc()
        started = clock()
        try:
            yield
        except BaseException as error:
            self.record_outcome(error, clock() - started, timeout)
            raise
        self.record_outcome(None, clock() - started, timeout)

    def record_outcome(self, error: BaseException | None, seconds: float, timeout: float) -> None:
        """Record the outcome of a run: a success that took ``seconds``, or the reason of ``error``.

        An exception that is not a TargetError, such as a cancellation, has the reason ``other``. A timeout is observed
        at its deadline, ``timeout`` seconds, but only if something was sent.
        """
        if error is None:
            self.succeeded(seconds)
            return
        reason = error.reason if isinstance(error, TargetError) else TargetError.reason
        has_waited = isinstance(error, OperationTimeoutError) and error.was_tried
        self.failed(reason, timeout if has_waited else None)

    def missed(self, late: int, overrun: int) -> None:
        """Count runs that never started.

        ``late`` runs are ``skipped``, because the exporter came too late for them. ``overrun`` runs are ``timeout``,
        because the run before still waited for the target.
        """
        self.total.inc(late + overrun)
        self.failed("skipped", count=late)
        self.failed("timeout", count=overrun)

    def succeeded(self, seconds: float) -> None:
        """Record a success that took ``seconds``."""
        self._observe(seconds)

    def failed(self, reason: str, waited: float | None = None, count: int = 1) -> None:
        """Record ``count`` failures. For a timeout, ``waited`` is the deadline in seconds at which it is observed."""
        self.failures.inc(reason, count)
        if waited is not None:
            self._observe(waited)

    def use_histogram(self, duration: HistogramValue) -> None:
        """Observe durations in another histogram from now on."""
        self._duration = duration

    def _observe(self, seconds: float) -> None:
        self._duration.observe(seconds)
        if self._newest_family is not None:
            if self._newest is None:  # before the first duration there is no series
                self._newest = self._target.value(self._newest_family)
            self._newest.set(seconds)


@lru_cache(maxsize=1000)
def _callback_template(key: tuple[MetricFamily, str]) -> tuple[str, str]:
    """Return the parts of the line of a callback before and after the label of the target."""
    family, label = key
    return value_template(family, (label,) if label else ())


@lru_cache(maxsize=10_000)
def _shared_key(key: _Key) -> _Key:
    """Return one object for all targets that have this series. It saves 8 kB for each target."""
    return key


class TargetMetrics:
    """All metrics of one target that the exporter itself counts and times."""

    def __init__(
        self,
        name: str,
        buckets: tuple[float, ...],
        info: Mapping[str, str],
        operations: Iterable[str],
        probe_accuracy: ProbeAccuracyMetrics,
        *,
        is_native: bool = True,
        clock: Callable[[], float] = monotonic,
        seconds_at_zero: Callable[[], float] = lambda: SECONDS_AT_ZERO,
    ) -> None:
        self._buckets = buckets
        self._is_native = is_native
        self._clock = clock
        self._seconds_at_zero = seconds_at_zero
        #: The series that a ping changes, and those that only a poll or a connect changes.
        self._live: dict[MetricFamily, FamilySeries] = {}
        self._quiet: dict[MetricFamily, FamilySeries] = {}
        self._quiet_changes = 0
        self._series: dict[_Key, Value | HistogramValue] = {}
        self._operations: dict[str, OperationMetrics] = {}
        self._target_label = render_label("target", name)
        self._info = self._poll_error = b""
        self.set_info(info)
        #: Returns the seconds for which the circuit breaker was not closed. The owner of the breaker sets it.
        self.open_seconds: Callable[[], float] = float
        self._open_seconds_before = 0.0  # at earlier addresses of the target
        #: Callbacks that return a value at render time, keyed by family and the value of its label after ``target``.
        #: The label value is empty if the family has no such label. A callback that returns None produces no series.
        self.callbacks: dict[tuple[MetricFamily, str], Callable[[], float | None]] = {}
        self.probe_accuracy = probe_accuracy
        self.up = self.value(families.UP)
        self.value(families.NOT_SENT)
        self.late_replies = self.value(families.LATE_REPLIES)
        self._polls = self.value(families.SCRAPES)
        self._poll_seconds = self.histogram(families.SCRAPE_SECONDS)
        self._show_breaker_state("closed")
        for old, new in _TRANSITIONS:
            self.value(families.BREAKER_TRANSITIONS, old, new)
        for operation in operations:
            self.operation(operation)

    def set_info(self, info: Mapping[str, str]) -> None:
        """Publish these labels as ``redis_target_info``."""
        labels = ",".join([self._target_label, *render_labels(info)])
        self._info = f"{families.TARGET_INFO.name}{{{labels}}} 1\n".encode()
        self._quiet_changes += 1

    def address_changed(self, info: Mapping[str, str], buckets: tuple[float, ...], operations: Container[str]) -> None:
        """Continue to count for the same target at another address, or with other settings.

        - The callbacks are removed. The owners of the values must set them again.
        - The circuit breaker is a new one, which is closed.
        - The certificate is unknown until the next connection.
        - The histograms of durations start again at 0, but only if the buckets changed.
        - Series of operations and collectors that are not in ``operations`` are dropped.
        """
        self.set_info(info)
        if buckets != self._buckets:
            self._restart_histograms(buckets)
        for family, labels in tuple(self._series):
            is_per_operation = family.labels[1:2] in (("operation",), ("collector",))
            if family == families.CERTIFICATE or (is_per_operation and labels[0] not in operations):
                self._drop(family, labels)
        for name in [name for name in self._operations if name not in operations]:
            self._family_series(families.FAILURES, (name,)).remove(self._operations.pop(name).failures)
        self.callbacks.clear()
        self._open_seconds_before += self.open_seconds()
        self.open_seconds = float
        self._show_breaker_state("closed")

    def _restart_histograms(self, buckets: tuple[float, ...]) -> None:
        """Measure durations in other buckets. Counts cannot be moved from one set of bounds to another."""
        before, self._buckets = self._buckets, buckets
        for name, operation in self._operations.items():
            family, labels = families.DURATION, (name,)
            if families.buckets(family, labels, before) != families.buckets(family, labels, buckets):
                self._drop(family, labels)
                operation.use_histogram(self.histogram(family, name))

    def drop_collector(self, name: str) -> bool:
        """Drop what the newest run of a collector left, because it no longer runs. Return False if nothing was left."""
        left = [family for family in families.COLLECTOR_RUN_FAMILIES if (family, (name,)) in self._series]
        for family in left:
            self._drop(family, (name,))
        return bool(left)

    def drop_renewals(self) -> None:
        """Drop the failed renewals of a login that the target had before."""
        for family, labels in tuple(self._series):
            if family == families.TOKEN_FAILURES:
                self._drop(family, labels)

    def _drop(self, family: MetricFamily, labels: tuple[str, ...]) -> None:
        self._family_series(family, labels).remove(self._series.pop((family, labels)))

    def value(self, family: MetricFamily, *labels: str) -> Value:
        """Return a counter or gauge by its labels after ``target``. Create it if needed.

        Callers that use it often keep the returned object.
        """
        series = self._series.get((family, labels)) or self._create(family, labels)
        if not isinstance(series, Value):
            raise TypeError(f"{family.name} is a {family.kind}: call histogram()")
        return series

    def current(self, family: MetricFamily, *labels: str) -> float | None:
        """Return the value of a counter or gauge, or None if it was never set."""
        series = self._series.get((family, labels))
        return series.value if isinstance(series, Value) else None

    def histogram(self, family: MetricFamily, *labels: str) -> HistogramValue:
        """Return a histogram or summary by its labels after ``target``. Create it if needed."""
        series = self._series.get((family, labels)) or self._create(family, labels)
        if not isinstance(series, HistogramValue):
            raise TypeError(f"{family.name} is a {family.kind}: call value()")
        return series

    def counter_from_zero(self, family: MetricFamily, *labels: str) -> Value:
        """Return a counter by its labels after ``target``. Create it if needed: pages then show 0 for some seconds."""
        if (family, labels) not in self._series:
            series = CounterFromZero(self._family_series(family, labels), family, labels, self._new_zero())
            self._series[_shared_key((family, labels))] = series
        return self.value(family, *labels)

    def _new_zero(self) -> FirstZero:
        return FirstZero(self._clock, self._seconds_at_zero)

    def failures(self, operation: str) -> FailureCounts | FailuresFromZero:
        """Create the failure counts of one operation."""
        family = families.FAILURES
        family_series = self._family_series(family, (operation,))
        if operation == families.PING:
            return FailureCounts(family_series, family, operation)
        return FailuresFromZero(family_series, family, operation, self._new_zero)

    def operation(self, name: str) -> OperationMetrics:
        """Return the metrics of one operation. Create them if needed."""
        if (known := self._operations.get(name)) is None:
            known = self._operations[name] = OperationMetrics(self, name)
        return known

    def breaker_changed(self, old: State, new: State) -> None:
        """Record a state change of the circuit breaker."""
        self._show_breaker_state(new)
        self.value(families.BREAKER_TRANSITIONS, old, new).inc()

    def _show_breaker_state(self, current: State) -> None:
        for state in STATES:
            self.value(families.BREAKER_STATE, state).set(state == current)

    def record_collector(
        self,
        name: str,
        *,
        success: bool,
        supported: bool,
        denied: bool,
        seconds: float,
        unreadable: int = 0,
        overflow: int = 0,
    ) -> None:
        """Record one run of a collector."""
        self.value(families.SUCCESS, name).set(success)
        if not supported or (families.SUPPORTED, (name,)) in self._series:
            self.value(families.SUPPORTED, name).set(supported)
        if denied or (families.DENIED, (name,)) in self._series:
            self.value(families.DENIED, name).set(denied)
        self.value(families.COLLECTOR_SECONDS, name).set(seconds)
        if unreadable:
            self.counter_from_zero(families.UNREADABLE, name).inc(unreadable)
        if overflow:
            self.counter_from_zero(families.OVERFLOW, name).inc(overflow)

    def record_poll(self, seconds: float, reason: str = "") -> None:
        """Record the end of a poll. ``reason`` is that of the first collector that failed, or empty without one."""
        self._polls.inc()
        self._poll_seconds.observe(seconds)
        self.value(families.LAST_SCRAPE_SECONDS).set(seconds)
        self._poll_error = self._line(families.LAST_ERROR, reason, value=int(bool(reason)))
        self._quiet_changes += 1

    def distributions(self) -> Iterator[tuple[MetricFamily, tuple[str, ...], DualHistogram]]:
        """Yield the histograms of this target, with their labels after ``target``."""
        for (family, labels), series in self._series.items():
            if isinstance(series, DualHistogram):
                yield family, labels, series

    def render(self, *, openmetrics: bool = False) -> dict[MetricFamily, bytes]:
        """Return the lines of every family of this target. Only OpenMetrics has exemplars."""
        lines = self.render_quiet()
        for family, live in self.render_live(openmetrics=openmetrics).items():
            lines[family] = live + lines[family] if family in lines else live
        return lines

    @property
    def quiet_version(self) -> int:
        """Changes whenever ``render_quiet`` would return other lines than before."""
        version = self._quiet_changes
        for series in self._quiet.values():
            series.end_zeros()
            version += series.version
        return version

    def render_quiet(self) -> dict[MetricFamily, bytes]:
        """Return the lines that no ping changes, by family. They are the same for both formats."""
        lines = {
            family: series.render() if (kept := series.lines) is None else kept
            for family, series in self._quiet.items()
        }
        lines[families.TARGET_INFO] = self._info
        if self._poll_error:
            lines[families.LAST_ERROR] = self._poll_error
        return lines

    def drop_quiet_lines(self) -> None:
        """Render the lines that no ping changes again when they are needed. Of many targets they take much memory."""
        for series in self._quiet.values():
            series.lines = None

    def render_live(self, *, openmetrics: bool = False) -> dict[MetricFamily, bytes]:
        """Return the lines that may change at any moment, by family. Those of a family come before its quiet lines."""
        lines = {
            family: series.render() if (kept := series.lines) is None else kept for family, series in self._live.items()
        }
        if openmetrics and (pings := self._live.get(families.DURATION)) is not None and pings.has_exemplars:
            lines[families.DURATION] = pings.render_exemplars()
        target_label = self._target_label
        for key, read in self.callbacks.items():
            try:
                value = read()
            except Exception:  # noqa: BLE001  # a value that cannot be read costs its own line, not the page
                self.probe_accuracy.render_errors.inc()
                continue
            if value is not None:
                before, after = _callback_template(key)
                line = f"{before}{target_label}{after}{format_number(value)}\n".encode()
                lines[key[0]] = lines[key[0]] + line if key[0] in lines else line
        open_seconds = self._open_seconds_before + self.open_seconds()
        lines[families.BREAKER_OPEN] = self._line(families.BREAKER_OPEN, value=open_seconds)
        return lines

    def _line(self, family: MetricFamily, *labels: str, value: float) -> bytes:
        return render_line(family, self._target_label, labels, value).encode()

    def _create(self, family: MetricFamily, labels: tuple[str, ...]) -> Value | HistogramValue:
        family_series = self._family_series(family, labels)
        series: Value | HistogramValue
        match family.kind:
            case "histogram":
                bounds = families.buckets(family, labels, self._buckets)
                series = DualHistogram(family_series, family, labels, bounds, is_native=self._is_native)
            case "summary":
                series = HistogramValue(family_series, family, labels, ())
            case _:
                series = Value(family_series, family, labels)
        self._series[_shared_key((family, labels))] = series
        return series

    def _family_series(self, family: MetricFamily, labels: tuple[str, ...]) -> FamilySeries:
        is_live = families.is_live(family, labels)
        part = self._live if is_live else self._quiet
        if (known := part.get(family)) is None:
            known = part[family] = FamilySeries(self._target_label, is_live=is_live)
        return known
