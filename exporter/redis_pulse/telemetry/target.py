"""The instruments of one target: held cells, every reason at 0 from the start.

How far our own measurement can be trusted: what we would have added to it, and what we were late by.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from itertools import pairwise

from prometheus_client import CollectorRegistry, Counter, Histogram

from redis_pulse.circuit_breaker import STATES, State
from redis_pulse.telemetry import families
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.telemetry.series import FailureCounts, FamilySeries, HistogramValue, Value
from redis_pulse.text_format import escape_label_value, format_number

#: Seconds. From the wake-up of an idle loop to one that measures itself.
_OVERHEAD = (
    *(10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6),
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
_LATENESS = (100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_PAUSES = (100e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class ProbeAccuracyMetrics:
    """What the prober tells of itself, over all targets. ``observe`` in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"redis_exporter_{name}", text, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"redis_exporter_{name}", text, buckets=buckets, registry=registry)

        self.overhead = histogram(
            "probe_overhead_seconds",
            "What our own loop would have added to a reply's latency, and the kernel's stamp took off it.",
            _OVERHEAD,
        )
        self.lateness = histogram(
            "probe_send_lateness_seconds", "How long after it was due a PING was sent.", _LATENESS
        )
        self.uncertain_sends = counter(
            "probe_uncertain_sends", "PINGs that took long to send, so that we do not know when they left."
        )
        self.log_lost = counter("probe_log_lost_lines", "Lines of the probe log that could not be written.")
        self.accounting_errors = counter(
            "accounting_errors", "Renderings that found a slot without exactly one outcome: a fault of ours."
        )
        self.render_errors = counter(
            "render_errors", "Values left out of a page because reading them failed: a fault of ours."
        )
        self.gc_pause = histogram("gc_pause_seconds", "Pauses of the garbage collector.", _PAUSES)


#: The changes of state that there are.
_TRANSITIONS = (*pairwise(("closed", "open", "half_open", "closed")), ("half_open", "open"), ("open", "closed"))


class OperationMetrics:
    """The slots of one operation on one target: every slot counts once, and each has one outcome."""

    __slots__ = ("_duration", "_newest", "_newest_family", "_target", "failures", "retries", "total")

    def __init__(self, target: "TargetMetrics", name: str) -> None:
        self.total = target.value(families.OPERATIONS, name)
        self.retries = target.value(families.RETRIES, name)
        self._duration = target.value(families.DURATION, name)
        self.failures = target.failures(name)
        self._newest_family = families.NEWEST.get(name)
        self._newest: Value | None = None
        self._target = target

    def succeeded(self, seconds: float) -> None:
        """Book a success that took ``seconds``."""
        self._observe(seconds)

    def begin_histogram(self, duration: Value) -> None:
        """Observe durations in another histogram from now on."""
        self._duration = duration

    def failed(self, reason: str, waited: float | None = None, count: int = 1) -> None:
        """Book ``count`` failures; ``waited`` is the deadline in seconds when the reason is ``timeout``."""
        self.failures.inc(reason, count)
        if waited is not None:
            self._observe(waited)

    def _observe(self, seconds: float) -> None:
        self._duration.observe(seconds)
        if self._newest_family is not None:
            if self._newest is None:  # no series before the first one
                self._newest = self._target.value(self._newest_family)
            self._newest.set(seconds)


class TargetMetrics:
    """Everything that we count and time of one target; made with every reason at 0."""

    def __init__(
        self,
        name: str,
        buckets: tuple[float, ...],
        info: Mapping[str, str],
        operations: Iterable[str],
    ) -> None:
        self._buckets = buckets
        self._families: dict[MetricFamily, FamilySeries] = {}
        self._values: dict[tuple[MetricFamily, tuple[str, ...]], Value] = {}
        self._operations: dict[str, OperationMetrics] = {}
        self._own = f'target="{escape_label_value(name)}"'
        self._info = self._info_of(info)
        #: seconds that the breaker was not closed; whoever makes the breaker says how to know
        self.open_seconds: Callable[[], float] = float
        self._open_before = 0.0  # at addresses where the target was before
        #: what is known only when a page is made, by family and its label after ``target`` (empty: it has none);
        #: whoever knows says how, and None gives no series
        self.callbacks: dict[tuple[MetricFamily, str], Callable[[], float | None]] = {}
        self.probe_accuracy: ProbeAccuracyMetrics
        self.up = self.value(families.UP)
        self.value(families.NOT_SENT)
        self.late_replies = self.value(families.LATE_REPLIES)
        self.late_seconds = self.value(families.LATE_SECONDS)
        self._polls = self.value(families.SCRAPES)
        self._poll_seconds = self.value(families.SCRAPE_SECONDS)
        self._poll_error = b""
        for state in STATES:
            self.value(families.BREAKER_STATE, state).set(state == "closed")
        for old, new in _TRANSITIONS:
            self.value(families.BREAKER_TRANSITIONS, old, new)
        for operation in operations:
            self.operation(operation)

    def relabelled(self, info: Mapping[str, str]) -> None:
        """Show other labels."""
        self._info = self._info_of(info)

    def address_changed(self, info: Mapping[str, str], buckets: tuple[float, ...], operations: Container[str]) -> None:
        """Go on counting for the same target at another address, or with other settings.

        What is read at rendering is to be set anew. There the circuit breaker is another one, which is closed. The
        certificate is not known until it connects. Only with other buckets the histograms begin anew. Series of
        operations and collectors that it does not have any more are dropped.
        """
        self._info = self._info_of(info)
        if buckets != self._buckets:
            self._begin_histograms(buckets)
        for (family, labels), cell in tuple(self._values.items()):
            of_operation = family.labels[1:2] in (("operation",), ("collector",))
            if family == families.CERTIFICATE or (of_operation and labels[0] not in operations):
                self._drop(family, labels, cell)
        for name in [name for name in self._operations if name not in operations]:
            self._group(families.FAILURES).remove(self._operations.pop(name).failures)
        self.callbacks.clear()
        self._open_before += self.open_seconds()
        self.open_seconds = float
        for state in STATES:
            self.value(families.BREAKER_STATE, state).set(state == "closed")

    def _begin_histograms(self, buckets: tuple[float, ...]) -> None:
        """Measure durations in other buckets: counts cannot be moved from one set of edges to another."""
        self._buckets = buckets
        for (family, labels), cell in tuple(self._values.items()):
            if family == families.DURATION:
                self._drop(family, labels, cell)
        for name, operation in self._operations.items():
            operation.begin_histogram(self.value(families.DURATION, name))

    def collector_rests(self, name: str) -> bool:
        """Drop what its newest run left, when a collector is not run any more; return whether there was anything."""
        left = [(family, (name,)) for family in families.OF_RUNS if (family, (name,)) in self._values]
        for family, labels in left:
            self._drop(family, labels, self._values[family, labels])
        return bool(left)

    def _drop(self, family: MetricFamily, labels: tuple[str, ...], cell: Value) -> None:
        del self._values[family, labels]
        self._group(family).remove(cell)

    def _info_of(self, info: Mapping[str, str]) -> bytes:
        labels = "".join([f',{key}="{escape_label_value(value)}"' for key, value in info.items()])
        return f"{families.TARGET_INFO.name}{{{self._own}{labels}}} 1\n".encode()

    def value(self, family: MetricFamily, *labels: str) -> Value:
        """Return the cell of a family, by its labels after ``target``; hold it where it is used often."""
        if (known := self._values.get((family, labels))) is None:
            group = self._group(family)
            if family.kind == "histogram":
                known = HistogramValue(group, family, labels, families.BUCKETS.get(family, self._buckets))
            elif family.kind == "summary":
                known = HistogramValue(group, family, labels, ())
            else:
                known = Value(group, family, labels)
            self._values[family, labels] = known
        return known

    def failures(self, operation: str) -> FailureCounts:
        """Make the failures of one operation."""
        return FailureCounts(self._group(families.FAILURES), families.FAILURES, operation)

    def operation(self, name: str) -> OperationMetrics:
        """Return the held cells of one operation."""
        if (known := self._operations.get(name)) is None:
            known = self._operations[name] = OperationMetrics(self, name)
        return known

    def breaker_changed(self, old: State, new: State) -> None:
        """Book a change of the circuit breaker."""
        for state in STATES:
            self.value(families.BREAKER_STATE, state).set(state == new)
        self.value(families.BREAKER_TRANSITIONS, old, new).inc()

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
        """Book one run of a collector."""
        self.value(families.SUCCESS, name).set(success)
        self.value(families.SUPPORTED, name).set(supported)
        self.value(families.DENIED, name).set(denied)
        self.value(families.COLLECTOR_SECONDS, name).set(seconds)
        self.value(families.UNREADABLE, name).inc(unreadable)
        self.value(families.OVERFLOW, name).inc(overflow)

    def record_poll(self, seconds: float, reason: str = "") -> None:
        """Book the end of a poll; ``reason`` is that of the first collector that failed, or empty when none did."""
        self._polls.inc()
        self._poll_seconds.observe(seconds)
        self.value(families.LAST_SCRAPE_SECONDS).set(seconds)
        name = families.LAST_ERROR.name
        self._poll_error = f'{name}{{{self._own},err="{escape_label_value(reason)}"}} {int(bool(reason))}\n'.encode()

    def render(self) -> dict[MetricFamily, bytes]:
        """Return the lines of every family of this target."""
        lines = {family: group.render() for family, group in self._families.items()}
        lines[families.TARGET_INFO] = self._info
        if self._poll_error:
            lines[families.LAST_ERROR] = self._poll_error
        for (family, label), read in self.callbacks.items():
            try:
                value = read()
            except Exception:  # noqa: BLE001  # what cannot be read costs its own line, not the page
                self.probe_accuracy.render_errors.inc()
                continue
            if value is not None:
                pairs = f',{family.labels[1]}="{escape_label_value(label)}"' if label else ""
                line = f"{family.name}{{{self._own}{pairs}}} {format_number(value)}\n".encode()
                lines[family] = lines.get(family, b"") + line
        name = families.BREAKER_OPEN.name
        lines[families.BREAKER_OPEN] = (
            f"{name}{{{self._own}}} {format_number(self._open_before + self.open_seconds())}\n".encode()
        )
        return lines

    def _group(self, family: MetricFamily) -> FamilySeries:
        if (known := self._families.get(family)) is None:
            known = self._families[family] = FamilySeries(self._own)
        return known
