"""Metrics of the daemon itself, and the set of all monitored targets with their metrics.

``families`` names the metrics of a target, ``target`` holds them, and ``series`` renders them.

The metrics of the daemon use the client library. Those of a target do not, because a target has about 240 series. For
a thousand targets, the library's objects would take too much memory and time. ``series`` replaces them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, Metric, PlatformCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from redis_pulse.telemetry import families
from redis_pulse.telemetry.discovery import DiscoveryMetrics
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.telemetry.native_histogram import DualHistogram
from redis_pulse.telemetry.probe_accuracy import ProbeAccuracyMetrics
from redis_pulse.telemetry.process import ProcessLimitsAndNetwork
from redis_pulse.telemetry.scrapes import ScrapeMetrics
from redis_pulse.telemetry.series import seconds_at_zero
from redis_pulse.telemetry.target import TargetMetrics
from redis_pulse.text_format import ChangedValues, render_label

#: Seconds. From one iteration of an idle event loop to a loop that is too slow to measure anything.
LAG_BUCKETS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
RENDER_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
#: Targets whose ages of samples are rendered in one step. The page builder may pause after each step.
_TARGETS_PER_STEP = 20
#: A target, its collectors, the ages of their samples in seconds, and the Unix times of their polls.
Times = tuple[str, tuple[str, ...], Sequence[float], Sequence[float]]
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


class _ChangedValuesCollector(Collector):
    """Publishes how many label values were cut or cleaned."""

    def collect(self) -> Iterator[Metric]:
        """Yield the counter."""
        yield CounterMetricFamily(
            "redis_exporter_label_values_changed",
            "Label values that were cut to 256 bytes, or had control characters; counted each time they are rendered.",
            value=ChangedValues.count,
        )


class ExporterMetrics:
    """All metrics of the daemon and of its targets."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(ProcessLimitsAndNetwork())
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(_ChangedValuesCollector())
        self._targets: dict[str, TargetMetrics] = {}
        #: Returns the known times between two scrapes, in seconds. Their owner sets it.
        self.scrape_periods: Callable[[], Iterable[float]] = lambda: ()
        #: whether targets that are added from now on have native histograms too
        self.has_native_histograms = True
        #: Returns a target, its collectors, the ages of their samples in seconds and the Unix times of their polls.
        #: Does so for one target, or for each target if given None. The owner of the sample store sets it.
        self.sample_times: Callable[[str | None], Iterable[Times]] = lambda _target: ()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"redis_exporter_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"redis_exporter_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"redis_exporter_{name}", text, buckets=buckets, registry=registry)

        self.missed_runs = counter("missed_runs", "Runs that were due and never started.", "kind", "reason")
        self.job_errors = counter("job_errors", "Jobs that ended in an unexpected exception.", "kind")
        self.requests = counter("http_requests", "HTTP requests answered.", "path", "code")
        self.refused = counter(
            "http_refused", "Clients that were disconnected because they exceeded a limit.", "reason"
        )
        self.log_dropped = counter("log_lines_dropped", "Lines of the log that its reader was too slow for.")
        self.loop_lag = histogram(
            "loop_lag_seconds", "Time from the due time of a timer until the event loop ran it.", LAG_BUCKETS
        )
        self.stalls = counter("stalls", "Delays of the exporter's own event loop of 0.1 s or more.")
        self.stall_seconds = counter("stall_seconds", "Duration of these delays.")
        self.stall_records_lost = counter(
            "stall_records_lost", "Records of stalls that could not be written to stalls.file."
        )
        self.niceness = gauge("nice", "Niceness of the thread that sends the PINGs; a lower one is served first.")
        self.ping_process_targets = gauge(
            "ping_process_targets", "Targets whose PINGs are sent by the process of probe.process now."
        )
        self.ping_process_restarts = counter(
            "ping_process_restarts", "How often that process has ended or hung, and another had to take its place."
        )
        self.stall_enquiries_refused = counter(
            "stall_enquiries_refused", "Stalls without questions to their server, because too many came at once."
        )
        self.render_seconds = histogram("page_render_seconds", "Time to build one page.", RENDER_BUCKETS)
        self.probe_accuracy = ProbeAccuracyMetrics(registry)
        self.discovery = DiscoveryMetrics(registry)
        self.scrapes = ScrapeMetrics(registry)
        self.reload_successful = gauge("config_last_reload_successful", "1 if the newest configuration was valid.")
        self.reload_timestamp = gauge(
            "config_last_reload_success_timestamp_seconds", "When a configuration was last applied."
        )
        self.web_config_valid = gauge(
            "web_config_valid", "1 if the newest web configuration file is valid, or none is set."
        )
        self.web_config_valid.set(1)
        self.apply_failures = counter(
            "target_apply_failures", "Changes of the targets that failed; each is tried again.", "step"
        )
        for step in ("open", "move", "close"):
            self.apply_failures.labels(step)
        self.targets = gauge("targets", "Targets that are monitored.")
        self.adopted_targets = gauge("adopted_targets", "Targets that are monitored because a scrape named them.")
        self.adopt_changes = counter("adopt_changes", "Targets that a scrape added, or that were forgotten.", "change")
        for change in ("added", "forgotten"):
            self.adopt_changes.labels(change)
        self.adopt_refused = counter(
            "adopt_refused", "Requests to /scrape for a target that is not configured, and was refused.", "reason"
        )
        #: the names of targets that only ``/scrape?target=`` shows; the other pages would show their series twice
        self.scraped_apart: frozenset[str] = frozenset()
        #: The owner of the event loop sets the function that counts them.
        self.tasks = gauge("tasks", "asyncio tasks of the daemon; constant while the targets stay the same.")
        #: The web server counts requests for one target here if they name no target, or an unknown one.
        self.scrape_request_errors = Counter(
            "redis_target_scrape_request_errors", "Requests for one target that could not be served.", registry=registry
        )
        # The labels are those that existing dashboards use; python_info has the version of Python.
        build = gauge(
            "build_info",
            "1, with the version of the exporter.",
            "version",
            "commit_sha",
            "build_date",
            "golang_version",
        )
        build.labels(version, "", "", "").set(1)
        for kind in ("poll", "probe"):
            self.missed_runs.labels(kind, "late")
            self.missed_runs.labels(kind, "overrun")
            self.job_errors.labels(kind)

    def own_delay(self, seconds: float) -> None:
        """Count a delay of the exporter's own event loop that was as long as a stall."""
        self.stalls.inc()
        self.stall_seconds.inc(seconds)

    def missed(self, kind: str, late: int, overrun: int) -> None:
        """Count runs that never started: the exporter was too late, or the run before had not ended."""
        self.missed_runs.labels(kind, "late").inc(late)
        self.missed_runs.labels(kind, "overrun").inc(overrun)

    def add_target(
        self,
        target: str,
        operations: Iterable[str],
        *,
        buckets: tuple[float, ...],
        address: str,
        labels: Mapping[str, str],
        clock: Callable[[], float] = monotonic,
    ) -> TargetMetrics:
        """Create the metrics of one target, with these operations."""
        metrics = TargetMetrics(
            target,
            buckets,
            {"address": address, **labels},
            operations,
            self.probe_accuracy,
            is_native=self.has_native_histograms,
            clock=clock,
            seconds_at_zero=self._seconds_at_zero,
        )
        self._targets[target] = metrics
        self.targets.set(len(self._targets))
        return metrics

    def _seconds_at_zero(self) -> float:
        return seconds_at_zero(self.scrape_periods())

    def remove_target(self, target: str) -> None:
        """Drop all series of a target."""
        self._targets.pop(target, None)
        self.targets.set(len(self._targets))

    def __contains__(self, target: object) -> bool:
        """Return whether a target is monitored."""
        return target in self._targets

    def target_names(self) -> list[str]:
        """Return the names of all targets, except those that are scraped apart."""
        return [name for name in self._targets if name not in self.scraped_apart]

    def render_targets(self, *, openmetrics: bool = False) -> Iterator[Mapping[MetricFamily, bytes]]:
        """Yield the lines of one target after the other, by family, and then the times of all samples in steps.

        Targets that are scraped apart are left out.
        """
        apart = self.scraped_apart
        for name, metrics in tuple(self._targets.items()):
            if name not in apart:
                yield metrics.render(openmetrics=openmetrics)
        yield from self.render_times()

    def distributions(self, target: str) -> Iterator[tuple[MetricFamily, tuple[str, ...], DualHistogram]]:
        """Yield the histograms of one target, with their labels after ``target``."""
        if (metrics := self._targets.get(target)) is not None:
            yield from metrics.distributions()

    def render_target(self, target: str, *, openmetrics: bool = False) -> dict[MetricFamily, bytes]:
        """Return the lines of one target by family. Return an empty dict if the target is not monitored."""
        if (metrics := self._targets.get(target)) is None:
            return {}
        lines = metrics.render(openmetrics=openmetrics)
        for times in self.render_times(target):
            lines.update(times)
        return lines

    def quiet_version(self, target: str) -> int:
        """Return what changes whenever ``render_quiet`` would return other lines. It is -1 without that target."""
        metrics = self._targets.get(target)
        return -1 if metrics is None else metrics.quiet_version

    def render_quiet(self, target: str) -> dict[MetricFamily, bytes]:
        """Return the lines of one target that no ping changes, by family."""
        metrics = self._targets.get(target)
        return {} if metrics is None else metrics.render_quiet()

    def render_live(self, target: str, *, openmetrics: bool = False) -> dict[MetricFamily, bytes]:
        """Return the lines of one target that may change at any moment, by family."""
        metrics = self._targets.get(target)
        return {} if metrics is None else metrics.render_live(openmetrics=openmetrics)

    def drop_quiet_lines(self, target: str) -> None:
        """Keep no rendered lines of a target that no ping changes. The caller has compressed them."""
        if (metrics := self._targets.get(target)) is not None:
            metrics.drop_quiet_lines()

    def render_times(self, target: str | None = None) -> Iterator[dict[MetricFamily, bytes]]:
        """Yield the lines with the ages and the times of samples, in steps of some targets."""
        apart = frozenset() if target is not None else self.scraped_apart
        times = (one for one in self.sample_times(target) if one[0] not in apart)
        while some := list(islice(times, _TARGETS_PER_STEP)):
            yield {
                families.SAMPLE_AGE: "".join(
                    [render_ages(name, names, ages) for name, names, ages, _ in some]
                ).encode(),
                families.SAMPLE_TIMESTAMP: "".join(
                    [render_stamps(name, names, stamps) for name, names, _, stamps in some]
                ).encode(),
            }

    def collect_own(self) -> Iterable[Metric]:
        """Return the families of the daemon itself, including those of the process and of Python."""
        return self.registry.collect()  # type: ignore[no-any-return,unused-ignore]


def render_ages(target: str, collectors: tuple[str, ...], ages: Sequence[float]) -> str:
    """Return the lines of the ages of a target, in milliseconds, because shorter numbers are rendered faster."""
    return _render_times(families.SAMPLE_AGE, target, collectors, ages)


def render_stamps(target: str, collectors: tuple[str, ...], stamps: Sequence[float]) -> str:
    """Return the lines of the times of a target. They change only when the target is polled."""
    return _render_times(families.SAMPLE_TIMESTAMP, target, collectors, stamps)


def _render_times(family: MetricFamily, target: str, collectors: tuple[str, ...], values: Sequence[float]) -> str:
    label = render_label("target", target).replace("%", "%%")
    return _times_template(family, collectors).replace("\0", label) % tuple(values)


@lru_cache(maxsize=1000)
def _times_template(family: MetricFamily, collectors: tuple[str, ...]) -> str:
    """Return the lines of these collectors with places for the target and the values."""
    names = [render_label("collector", name).replace("%", "%%") for name in collectors]
    return "".join([f"{family.name}{{\0,{name}}} %.3f\n" for name in names])


def describe_all() -> list[MetricFamily]:
    """Return a description of every family of the exporter itself, sorted by name, for the documentation."""
    metrics = ExporterMetrics("")
    metrics.requests.labels("/", "200")
    metrics.refused.labels("timeout")
    metrics.adopt_refused.labels("not_allowed")
    metrics.discovery.show_every_family()
    metrics.scrapes.show_every_family()
    described = list(families.TARGET_FAMILIES)
    for family in metrics.collect_own():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label: None for sample in family.samples for label in sample.labels if label != "le"}
        described.append(
            MetricFamily(name, family.type, tuple(labels), family.documentation)  # type: ignore[arg-type]
        )
    return sorted(described, key=attrgetter("name"))


def sample_names() -> set[str]:
    """Return the name of every series of the exporter itself, as queries spell it (``…_bucket``, ``…_total``)."""
    names: set[str] = set()
    for family in describe_all():
        suffixes = _SUFFIXES.get(family.kind, ("",))
        names.update(family.name + suffix for suffix in suffixes)
    return names
