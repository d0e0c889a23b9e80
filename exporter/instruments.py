"""What we count and time ourselves: counters and histograms of what a client feels, and of our own health.

One ``Instruments`` for the daemon, one ``TargetInstruments`` for each target. A target's children are made once, with
every reason at 0, and held: ``labels()`` costs more than ``observe()``. A target that goes takes its series along.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, PlatformCollector
from prometheus_client import Metric as Family
from prometheus_client.process_collector import ProcessCollector

from exporter.breaker import STATES, State
from exporter.errors import REASONS

#: Seconds. From one turn of an idle loop to a loop that is of no use for measuring.
LAG_BUCKETS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
RENDER_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_DURATION = ("redis_operation_duration_seconds", "Time a client would have waited; a timeout is seen at its deadline.")
_OPEN_SECONDS = ("redis_circuit_breaker_open_seconds", "Seconds that the circuit breaker spent not closed.")
_SAMPLE_AGE = ("redis_sample_age_seconds", "Age of the newest samples of a collector, served or not.")
_TARGET_INFO = ("redis_target_info", "1, with the address and the configured labels of a target.")


class Described(NamedTuple):
    """One family for the documentation."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


class Operation:
    """The slots of one operation on one target: every slot counts once, and each has one outcome."""

    __slots__ = ("_failures", "duration", "retries", "total")

    def __init__(self, total: Counter, failures: Mapping[str, Counter], duration: Histogram, retries: Counter) -> None:
        self.total = total
        self.duration = duration
        self.retries = retries
        self._failures = failures

    def succeeded(self, seconds: float) -> None:
        """Book a success that took ``seconds``."""
        self.duration.observe(seconds)

    def failed(self, reason: str, waited: float | None = None, count: int = 1) -> None:
        """Book ``count`` failures; ``waited`` is the deadline in seconds when the reason is ``timeout``."""
        self._failures[reason].inc(count)
        if waited is not None:
            self.duration.observe(waited)


class Instruments:
    """Everything that the daemon counts of itself; ``collect()`` yields families for the page."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._histograms: dict[tuple[float, ...], Histogram] = {}
        self._targets: dict[str, TargetInstruments] = {}
        #: (target, collector, seconds) of every sample in the store; whoever makes the store says how to know
        self.sample_ages: Callable[[], Iterable[tuple[str, str, float]]] = tuple

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self.up = gauge("redis_up", "1 while the newest probe slot succeeded within its deadline.", "target")
        self.operations = counter(
            "redis_operations_total", "Scheduled slots of an operation; every slot counts once.", "target", "operation"
        )
        self.failures = counter(
            "redis_operation_failures_total", "Slots that did not succeed.", "target", "operation", "reason"
        )
        self.retries = counter(
            "redis_operation_retries_total", "Reads sent a second time within a slot.", "target", "operation"
        )
        self.late_replies = counter(
            "redis_late_replies_total", "Replies that came after their slot had timed out.", "target"
        )
        self.late_seconds = gauge(
            "redis_last_late_reply_seconds", "Round trip of the newest reply that came too late.", "target"
        )
        self.breaker_state = gauge(
            "redis_circuit_breaker_state", "1 for the state that the circuit breaker is in.", "target", "state"
        )
        self.breaker_transitions = counter(
            "redis_circuit_breaker_transitions_total",
            "Changes of state of the circuit breaker.",
            "target",
            "from_state",
            "to_state",
        )
        self.success = gauge("redis_collector_success", "1 if the newest run worked.", "target", "collector")
        self.supported = gauge(
            "redis_collector_supported", "0 if the server lacks or denies what it reads.", "target", "collector"
        )
        self.collector_seconds = gauge(
            "redis_collector_duration_seconds", "Duration of the newest run.", "target", "collector"
        )
        self.unreadable = counter(
            "redis_exporter_unreadable_fields_total", "Parts of replies that made no sense.", "target", "collector"
        )
        self.missed_runs = counter(
            "redis_exporter_missed_runs_total", "Runs that were due and never started: we were late.", "job"
        )
        self.job_errors = counter("redis_exporter_job_errors_total", "Jobs that ended in an exception of ours.", "job")
        self.requests = counter("redis_exporter_http_requests_total", "HTTP requests answered.", "path", "code")
        self.loop_lag = Histogram(
            "redis_exporter_loop_lag_seconds",
            "How late the event loop woke a timer that was due.",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self.render_seconds = Histogram(
            "redis_exporter_page_render_seconds", "Time to build one page.", buckets=RENDER_BUCKETS, registry=registry
        )
        self.reload_successful = gauge(
            "redis_exporter_config_last_reload_successful", "1 if the newest configuration was good."
        )
        self.reload_timestamp = gauge(
            "redis_exporter_config_last_reload_success_timestamp_seconds", "When a configuration was last taken over."
        )
        self.targets = gauge("redis_exporter_targets", "Targets being watched.")
        build = gauge("redis_exporter_build_info", "1, with our version and Python's.", "version", "python")
        build.labels(version, ".".join(map(str, sys.version_info[:3]))).set(1)
        for job in ("poll", "probe"):
            self.missed_runs.labels(job)
            self.job_errors.labels(job)

    def watch(
        self,
        target: str,
        operations: Iterable[str],
        *,
        buckets: tuple[float, ...],
        address: str,
        labels: Mapping[str, str],
    ) -> "TargetInstruments":
        """Make the children of one target, all reasons at 0."""
        histogram = self._histograms.get(buckets)
        if histogram is None:
            histogram = Histogram(*_DURATION, ("target", "operation"), buckets=buckets, registry=None)
            self._histograms[buckets] = histogram
        watched = TargetInstruments(self, target, histogram, {**labels, "address": address})
        for operation in operations:
            watched.operation(operation)
        self._targets[target] = watched
        self.targets.set(len(self._targets))
        return watched

    def forget(self, target: str) -> None:
        """Drop every series of a target."""
        if watched := self._targets.pop(target, None):
            watched.forget()
        self.targets.set(len(self._targets))

    def collect(self) -> Iterator[Family]:
        """Yield every family once, targets merged."""
        yield from self.registry.collect()
        merged = Family(*_DURATION, "histogram")
        for histogram in self._histograms.values():
            for family in histogram.collect():
                merged.samples.extend(family.samples)
        yield merged
        seconds, info = Family(*_OPEN_SECONDS, "counter"), Family(*_TARGET_INFO, "gauge")
        for name, target in self._targets.items():
            seconds.add_sample(_OPEN_SECONDS[0] + "_total", {"target": name}, target.open_seconds())
            info.add_sample(_TARGET_INFO[0], {**target.info, "target": name}, 1)
        ages = Family(*_SAMPLE_AGE, "gauge")
        for name, collector, age in self.sample_ages():
            ages.add_sample(_SAMPLE_AGE[0], {"target": name, "collector": collector}, age)
        yield from (seconds, info, ages)


class TargetInstruments:
    """The held children of one target."""

    __slots__ = (
        "_all", "_by_operation", "_histogram", "_name", "info", "late_replies", "late_seconds", "open_seconds", "up",
    )  # fmt: skip

    def __init__(
        self,
        every: Instruments,
        name: str,
        histogram: Histogram,
        info: Mapping[str, str],
    ) -> None:
        self._all = every
        self._name = name
        self._histogram = histogram
        self._by_operation: dict[str, Operation] = {}
        self.info = info
        #: seconds that the breaker was not closed; whoever makes the breaker says how to know
        self.open_seconds: Callable[[], float] = float
        self.up = every.up.labels(name)
        self.late_replies = every.late_replies.labels(name)
        self.late_seconds = every.late_seconds.labels(name)
        for state in STATES:
            every.breaker_state.labels(name, state).set(state == "closed")
        for old, new in (("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")):
            every.breaker_transitions.labels(name, old, new)

    def operation(self, name: str) -> Operation:
        """Return the held children of one operation."""
        if (known := self._by_operation.get(name)) is None:
            every, target = self._all, self._name
            known = self._by_operation[name] = Operation(
                every.operations.labels(target, name),
                {reason: every.failures.labels(target, name, reason) for reason in REASONS},
                self._histogram.labels(target, name),
                every.retries.labels(target, name),
            )
        return known

    def breaker_changed(self, old: State, new: State) -> None:
        """Book a change of the circuit breaker."""
        for state in STATES:
            self._all.breaker_state.labels(self._name, state).set(state == new)
        self._all.breaker_transitions.labels(self._name, old, new).inc()

    def collector_ran(self, name: str, *, success: bool, supported: bool, seconds: float, unreadable: int) -> None:
        """Book one run of a collector."""
        self._all.success.labels(self._name, name).set(success)
        self._all.supported.labels(self._name, name).set(supported)
        self._all.collector_seconds.labels(self._name, name).set(seconds)
        self._all.unreadable.labels(self._name, name).inc(unreadable)

    def forget(self) -> None:
        """Drop every series of this target."""
        labels = {"target": self._name}
        every = self._all
        metrics: tuple[Counter | Gauge | Histogram, ...] = (
            *(every.up, every.operations, every.failures, every.retries, every.late_replies, every.late_seconds),
            *(every.breaker_state, every.breaker_transitions, every.success, every.supported),
            *(every.collector_seconds, every.unreadable, self._histogram),
        )
        for metric in metrics:
            metric.remove_by_labels(labels)


def described() -> list[Described]:
    """Describe every family of ours, by name, for the documentation."""
    found = []
    for family in _example().collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        keys = {key for sample in family.samples for key in sample.labels if key != "le"}
        found.append(Described(name, family.type, tuple(sorted(keys)), family.documentation))
    return sorted(found)


def sample_names() -> set[str]:
    """Every name of a series of ours, as a query spells it (``…_bucket``, ``…_total``)."""
    return {sample.name for family in _example().collect() for sample in family.samples}


def _example() -> Instruments:
    """Make instruments in which every family has a series."""
    instruments = Instruments("")
    target = instruments.watch("x", ["ping"], buckets=(1.0,), address="x", labels={})
    target.collector_ran("x", success=True, supported=True, seconds=0, unreadable=0)
    instruments.requests.labels("/", "200")
    instruments.sample_ages = lambda: [("x", "x", 0.0)]
    return instruments
