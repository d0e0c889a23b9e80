"""Metrics of one target and of its operations. Every reason of failure is published as 0 from the start.

``ProbeAccuracyMetrics`` says how accurate the probes of all targets are.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

from prometheus_client import CollectorRegistry, Counter, Histogram

from redis_pulse.circuit_breaker import STATES, State
from redis_pulse.errors import OperationTimeoutError, TargetError
from redis_pulse.telemetry import families
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.telemetry.series import FailureCounts, FamilySeries, HistogramValue, Value, render_line
from redis_pulse.text_format import render_label

#: Seconds. From the wake-up of an idle loop to that of a loop which measures mostly itself.
_OVERHEAD_BUCKETS = (
    *(10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6),
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
_LATENESS_BUCKETS = (100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_PAUSE_BUCKETS = (100e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
#: All state changes that a circuit breaker can make.
_TRANSITIONS = (*pairwise(("closed", "open", "half_open", "closed")), ("half_open", "open"), ("open", "closed"))


class ProbeAccuracyMetrics:
    """How accurate the measurements are, over all targets. Histograms observe seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"redis_exporter_{name}", text, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"redis_exporter_{name}", text, buckets=buckets, registry=registry)

        self.overhead = histogram(
            "probe_overhead_seconds",
            "Delay of the exporter in reading a reply, which the kernel timestamp kept out of the latency.",
            _OVERHEAD_BUCKETS,
        )
        self.lateness = histogram(
            "probe_send_lateness_seconds", "Time from the due time of a PING until it was sent.", _LATENESS_BUCKETS
        )
        self.uncertain_sends = counter(
            "probe_uncertain_sends", "PINGs that took long to send, so that their send time is uncertain."
        )
        self.log_lost = counter("probe_log_lost_lines", "Lines of the probe log that could not be written.")
        self.accounting_errors = counter(
            "accounting_errors",
            "Renderings that found a scheduled probe without exactly one outcome: a fault of the exporter.",
        )
        self.render_errors = counter(
            "render_errors", "Values left out of a page because reading them failed: a fault of the exporter."
        )
        self.gc_pause = histogram("gc_pause_seconds", "Pauses of the garbage collector.", _PAUSE_BUCKETS)


class OperationMetrics:
    """Metrics of one operation on one target. Each run is counted once and gets exactly one outcome."""

    __slots__ = ("_duration", "_newest", "_newest_family", "_target", "failures", "retries", "total")

    def __init__(self, target: "TargetMetrics", name: str) -> None:
        self.total = target.value(families.OPERATIONS, name)
        self.retries = target.value(families.RETRIES, name)
        self._duration = target.histogram(families.DURATION, name)
        self.failures = target.failures(name)
        self._newest_family = families.NEWEST_DURATION.get(name)
        self._newest: Value | None = None
        self._target = target

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


class TargetMetrics:
    """All metrics of one target that the exporter itself counts and times."""

    def __init__(
        self,
        name: str,
        buckets: tuple[float, ...],
        info: Mapping[str, str],
        operations: Iterable[str],
        probe_accuracy: ProbeAccuracyMetrics,
    ) -> None:
        self._buckets = buckets
        self._families: dict[MetricFamily, FamilySeries] = {}
        self._series: dict[tuple[MetricFamily, tuple[str, ...]], Value | HistogramValue] = {}
        self._operations: dict[str, OperationMetrics] = {}
        self._target_label = render_label("target", name)
        self._info = b""
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
        self.late_seconds = self.value(families.LATE_SECONDS)
        self._polls = self.value(families.SCRAPES)
        self._poll_seconds = self.histogram(families.SCRAPE_SECONDS)
        self._poll_error = b""
        self._show_breaker_state("closed")
        for old, new in _TRANSITIONS:
            self.value(families.BREAKER_TRANSITIONS, old, new)
        for operation in operations:
            self.operation(operation)

    def set_info(self, info: Mapping[str, str]) -> None:
        """Publish these labels as ``redis_target_info``."""
        labels = ",".join([self._target_label, *(render_label(key, value) for key, value in info.items())])
        self._info = f"{families.TARGET_INFO.name}{{{labels}}} 1\n".encode()

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
            self._family_series(families.FAILURES).remove(self._operations.pop(name).failures)
        self.callbacks.clear()
        self._open_seconds_before += self.open_seconds()
        self.open_seconds = float
        self._show_breaker_state("closed")

    def _restart_histograms(self, buckets: tuple[float, ...]) -> None:
        """Measure durations in other buckets. Counts cannot be moved from one set of bounds to another."""
        self._buckets = buckets
        for family, labels in tuple(self._series):
            if family == families.DURATION:
                self._drop(family, labels)
        for name, operation in self._operations.items():
            operation.use_histogram(self.histogram(families.DURATION, name))

    def drop_collector(self, name: str) -> bool:
        """Drop what the newest run of a collector left, because it no longer runs. Return False if nothing was left."""
        left = [family for family in families.COLLECTOR_RUN_FAMILIES if (family, (name,)) in self._series]
        for family in left:
            self._drop(family, (name,))
        return bool(left)

    def _drop(self, family: MetricFamily, labels: tuple[str, ...]) -> None:
        self._family_series(family).remove(self._series.pop((family, labels)))

    def value(self, family: MetricFamily, *labels: str) -> Value:
        """Return a counter or gauge by its labels after ``target``. Create it if needed.

        Callers that use it often keep the returned object.
        """
        series = self._series.get((family, labels)) or self._create(family, labels)
        if not isinstance(series, Value):
            raise TypeError(f"{family.name} is a {family.kind}: call histogram()")
        return series

    def histogram(self, family: MetricFamily, *labels: str) -> HistogramValue:
        """Return a histogram or summary by its labels after ``target``. Create it if needed."""
        series = self._series.get((family, labels)) or self._create(family, labels)
        if not isinstance(series, HistogramValue):
            raise TypeError(f"{family.name} is a {family.kind}: call value()")
        return series

    def failures(self, operation: str) -> FailureCounts:
        """Create the failure counts of one operation."""
        return FailureCounts(self._family_series(families.FAILURES), families.FAILURES, operation)

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
        self.value(families.SUPPORTED, name).set(supported)
        self.value(families.DENIED, name).set(denied)
        self.value(families.COLLECTOR_SECONDS, name).set(seconds)
        self.value(families.UNREADABLE, name).inc(unreadable)
        self.value(families.OVERFLOW, name).inc(overflow)

    def record_poll(self, seconds: float, reason: str = "") -> None:
        """Record the end of a poll. ``reason`` is that of the first collector that failed, or empty without one."""
        self._polls.inc()
        self._poll_seconds.observe(seconds)
        self.value(families.LAST_SCRAPE_SECONDS).set(seconds)
        self._poll_error = self._line(families.LAST_ERROR, reason, value=int(bool(reason)))

    def render(self) -> dict[MetricFamily, bytes]:
        """Return the lines of every family of this target."""
        lines = {family: series.render() for family, series in self._families.items()}
        lines[families.TARGET_INFO] = self._info
        if self._poll_error:
            lines[families.LAST_ERROR] = self._poll_error
        for (family, label), read in self.callbacks.items():
            try:
                value = read()
            except Exception:  # noqa: BLE001  # a value that cannot be read costs its own line, not the page
                self.probe_accuracy.render_errors.inc()
                continue
            if value is not None:
                line = self._line(family, *([label] if label else []), value=value)
                lines[family] = lines.get(family, b"") + line
        open_seconds = self._open_seconds_before + self.open_seconds()
        lines[families.BREAKER_OPEN] = self._line(families.BREAKER_OPEN, value=open_seconds)
        return lines

    def _line(self, family: MetricFamily, *labels: str, value: float) -> bytes:
        return render_line(family, self._target_label, labels, value).encode()

    def _create(self, family: MetricFamily, labels: tuple[str, ...]) -> Value | HistogramValue:
        family_series = self._family_series(family)
        series: Value | HistogramValue
        match family.kind:
            case "histogram":
                series = HistogramValue(family_series, family, labels, families.BUCKETS.get(family, self._buckets))
            case "summary":
                series = HistogramValue(family_series, family, labels, ())
            case _:
                series = Value(family_series, family, labels)
        self._series[family, labels] = series
        return series

    def _family_series(self, family: MetricFamily) -> FamilySeries:
        if (known := self._families.get(family)) is None:
            known = self._families[family] = FamilySeries(self._target_label)
        return known
