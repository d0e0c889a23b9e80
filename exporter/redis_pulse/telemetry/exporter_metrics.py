"""What we count and time ourselves: what a client feels of every target, and our own health.

``families`` names what there is of a target, ``target`` holds it in ``cells``; this file has what there is of
the daemon.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, PlatformCollector
from prometheus_client import Metric as Collected
from prometheus_client.process_collector import ProcessCollector

from redis_pulse.telemetry import families
from redis_pulse.telemetry.discovery import DiscoveryMetrics
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.telemetry.target import ProbeAccuracyMetrics, TargetMetrics
from redis_pulse.text_format import escape_label_value, format_number

#: Seconds. From one turn of an idle loop to a loop that is of no use for measuring.
LAG_BUCKETS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
#: So many ages are rendered at once.
_AGES = 250
RENDER_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class ExporterMetrics:
    """Everything that the daemon counts of itself and of its targets."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._targets: dict[str, TargetMetrics] = {}
        #: (target, collector, seconds) of the samples of a target, or of all; whoever makes the store says how to know
        self.sample_ages: Callable[[str | None], Iterable[tuple[str, str, float]]] = lambda _target: ()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"redis_exporter_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"redis_exporter_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"redis_exporter_{name}", text, buckets=buckets, registry=registry)

        self.missed_runs = counter("missed_runs", "Runs that were due and never started.", "kind", "cause")
        self.job_errors = counter("job_errors", "Jobs that ended in an exception of ours.", "kind")
        self.requests = counter("http_requests", "HTTP requests answered.", "path", "code")
        self.refused = counter("http_refused", "Clients cut off because they asked too much.", "reason")
        self.log_dropped = counter("log_lines_dropped", "Lines of the log that its reader was too slow for.")
        self.loop_lag = histogram("loop_lag_seconds", "How late the event loop woke a timer that was due.", LAG_BUCKETS)
        self.render_seconds = histogram("page_render_seconds", "Time to build one page.", RENDER_BUCKETS)
        self.probe_accuracy = ProbeAccuracyMetrics(registry)
        self.discovery = DiscoveryMetrics(registry)
        self.reload_successful = gauge("config_last_reload_successful", "1 if the newest configuration was good.")
        self.reload_timestamp = gauge(
            "config_last_reload_success_timestamp_seconds", "When a configuration was last taken over."
        )
        self.apply_failures = counter(
            "target_apply_failures", "Changes of the targets that failed: each is tried again.", "step"
        )
        for step in ("open", "move", "close"):
            self.apply_failures.labels(step)
        self.targets = gauge("targets", "Targets being watched.")
        #: whoever runs the event loop says how to count them
        self.tasks = gauge("tasks", "asyncio tasks of the daemon; level while the targets stay the same.")
        #: Whoever answers requests for one target counts here those that name none, or an unknown one.
        self.scrape_request_errors = Counter(
            "redis_target_scrape_request_errors", "Requests for one target that could not be served.", registry=registry
        )
        # The labels are those that dashboards know; python_info has the version of Python.
        build = gauge("build_info", "1, with our version.", "version", "commit_sha", "build_date", "golang_version")
        build.labels(version, "", "", "").set(1)
        for kind in ("poll", "probe"):
            self.missed_runs.labels(kind, "late")
            self.missed_runs.labels(kind, "overrun")
            self.job_errors.labels(kind)

    def missed(self, kind: str, late: int, overrun: int) -> None:
        """Book runs that never started: we were late, or the run before was not over."""
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
        """Make the instruments of one target, all reasons of these operations at 0."""
        watched = TargetMetrics(target, buckets, {"address": address, **labels}, operations)
        watched.probe_accuracy = self.probe_accuracy
        self._targets[target] = watched
        self.targets.set(len(self._targets))
        return watched

    def remove_target(self, target: str) -> None:
        """Drop every series of a target."""
        self._targets.pop(target, None)
        self.targets.set(len(self._targets))

    def render_targets(self) -> Iterator[Mapping[MetricFamily, bytes]]:
        """Yield the lines of every target by family, and then the ages of the samples, some at a time."""
        for target in tuple(self._targets.values()):
            yield target.render()
        yield from self._ages(None)

    def target_names(self) -> list[str]:
        """Return the names of all targets."""
        return list(self._targets)

    def render_target(self, target: str) -> dict[MetricFamily, bytes]:
        """Return the lines of one target by family; empty when it is not watched."""
        if (watched := self._targets.get(target)) is None:
            return {}
        lines = watched.render()
        for ages in self._ages(target):
            lines |= ages
        return lines

    def _ages(self, target: str | None) -> Iterator[dict[MetricFamily, bytes]]:
        name = families.SAMPLE_AGE.name
        ages = iter(self.sample_ages(target))
        while some := [
            f'{name}{{target="{escape_label_value(owner)}",collector="{escape_label_value(collector)}"}} '
            f"{format_number(seconds)}\n"
            for owner, collector, seconds in islice(ages, _AGES)
        ]:
            yield {families.SAMPLE_AGE: "".join(some).encode()}

    def collect_own(self) -> Iterable[Collected]:
        """Return the families of the daemon itself, process and Python included."""
        return self.registry.collect()  # type: ignore[no-any-return,unused-ignore]


def describe_all() -> list[MetricFamily]:
    """Describe every family of ours, by name, for the documentation."""
    instruments = ExporterMetrics("")
    instruments.requests.labels("/", "200")
    instruments.refused.labels("timeout")
    instruments.discovery.show_every_family()
    found = list(families.OF_TARGETS)
    for family in instruments.collect_own():
        name = family.name + ("_total" if family.type == "counter" else "")
        keys = {key: None for sample in family.samples for key in sample.labels if key != "le"}
        found.append(MetricFamily(name, family.type, tuple(keys), family.documentation))  # type: ignore[arg-type]
    return sorted(found)


def sample_names() -> set[str]:
    """Return every name of a series of ours, as a query spells it (``…_bucket``, ``…_total``)."""
    names: set[str] = set()
    for family in describe_all():
        suffixes = _SUFFIXES.get(family.kind, ("",))
        names.update(family.name + suffix for suffix in suffixes)
    return names
