"""Metrics of the daemon itself, and the set of all monitored targets with their metrics.

``families`` names the metrics of a target, ``target`` holds them, and ``series`` renders them.

The metrics of the daemon use the client library. Those of a target do not, because a target has about 400 series. For
a thousand targets, the library's objects would take too much memory and time. ``series`` replaces them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, Metric, PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from redis_pulse.telemetry import families
from redis_pulse.telemetry.discovery import DiscoveryMetrics
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.telemetry.series import render_line
from redis_pulse.telemetry.target import ProbeAccuracyMetrics, TargetMetrics
from redis_pulse.text_format import render_label

#: Seconds. From one iteration of an idle event loop to a loop that is too slow to measure anything.
LAG_BUCKETS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
RENDER_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
#: Ages of samples that are rendered in one step. The page builder may pause after each step.
_AGES_PER_STEP = 250
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


class ExporterMetrics:
    """All metrics of the daemon and of its targets."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._targets: dict[str, TargetMetrics] = {}
        #: Returns (target, collector, age in seconds) for the samples of one target, or of all targets if given None.
        #: The owner of the sample store sets it.
        self.sample_ages: Callable[[str | None], Iterable[tuple[str, str, float]]] = lambda _target: ()

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
        self.render_seconds = histogram("page_render_seconds", "Time to build one page.", RENDER_BUCKETS)
        self.probe_accuracy = ProbeAccuracyMetrics(registry)
        self.discovery = DiscoveryMetrics(registry)
        self.reload_successful = gauge("config_last_reload_successful", "1 if the newest configuration was valid.")
        self.reload_timestamp = gauge(
            "config_last_reload_success_timestamp_seconds", "When a configuration was last applied."
        )
        self.apply_failures = counter(
            "target_apply_failures", "Changes of the targets that failed; each is tried again.", "step"
        )
        for step in ("open", "move", "close"):
            self.apply_failures.labels(step)
        self.targets = gauge("targets", "Targets that are monitored.")
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
    ) -> TargetMetrics:
        """Create the metrics of one target, with every reason of these operations at 0."""
        metrics = TargetMetrics(target, buckets, {"address": address, **labels}, operations, self.probe_accuracy)
        self._targets[target] = metrics
        self.targets.set(len(self._targets))
        return metrics

    def remove_target(self, target: str) -> None:
        """Drop all series of a target."""
        self._targets.pop(target, None)
        self.targets.set(len(self._targets))

    def target_names(self) -> list[str]:
        """Return the names of all targets."""
        return list(self._targets)

    def render_targets(self) -> Iterator[Mapping[MetricFamily, bytes]]:
        """Yield the lines of one target after the other, by family, and then the ages of all samples in steps."""
        for metrics in tuple(self._targets.values()):
            yield metrics.render()
        yield from self._render_ages(None)

    def render_target(self, target: str) -> dict[MetricFamily, bytes]:
        """Return the lines of one target by family. Return an empty dict if the target is not monitored."""
        if (metrics := self._targets.get(target)) is None:
            return {}
        lines = metrics.render()
        for ages in self._render_ages(target):
            for family, more in ages.items():
                lines[family] = lines.get(family, b"") + more
        return lines

    def _render_ages(self, target: str | None) -> Iterator[dict[MetricFamily, bytes]]:
        lines = self._age_lines(target)
        while some := list(islice(lines, _AGES_PER_STEP)):
            yield {families.SAMPLE_AGE: "".join(some).encode()}

    def _age_lines(self, target: str | None) -> Iterator[str]:
        newest_name = target_label = None
        for name, collector, seconds in self.sample_ages(target):
            if name != newest_name or target_label is None:  # the ages of one target follow each other
                newest_name, target_label = name, render_label("target", name)
            yield render_line(families.SAMPLE_AGE, target_label, (collector,), seconds)

    def collect_own(self) -> Iterable[Metric]:
        """Return the families of the daemon itself, including those of the process and of Python."""
        return self.registry.collect()  # type: ignore[no-any-return,unused-ignore]


def describe_all() -> list[MetricFamily]:
    """Return a description of every family of the exporter itself, sorted by name, for the documentation."""
    metrics = ExporterMetrics("")
    metrics.requests.labels("/", "200")
    metrics.refused.labels("timeout")
    metrics.discovery.show_every_family()
    described = list(families.TARGET_FAMILIES)
    for family in metrics.collect_own():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label: None for sample in family.samples for label in sample.labels if label != "le"}
        described.append(
            MetricFamily(name, family.type, tuple(labels), family.documentation)  # type: ignore[arg-type]
        )
    return sorted(described)


def sample_names() -> set[str]:
    """Return the name of every series of the exporter itself, as queries spell it (``…_bucket``, ``…_total``)."""
    names: set[str] = set()
    for family in describe_all():
        suffixes = _SUFFIXES.get(family.kind, ("",))
        names.update(family.name + suffix for suffix in suffixes)
    return names
