"""One monitored target, for the tests of client, prober, poller and daemon."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from redis_pulse import metric
from redis_pulse.client import TargetClient
from redis_pulse.commands import Args
from redis_pulse.config import TargetSettings, parse_url
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorFault, LatencySpikes, SlowCommands
from redis_pulse.probe import ProbeCsvLog, Prober, ProbeResult, WallClockMonitor
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics
from redis_pulse.telemetry.series import SECONDS_AT_ZERO
from tests.fakes import CountingBreaker, ManualClock
from tests.patience import Patience


def target_settings(url: str = "redis://127.0.0.1:1", **changes: Any) -> TargetSettings:
    """Return the resolved settings of a target called ``t``."""
    return TargetSettings(**{"name": "t", "endpoint": parse_url(url).endpoint, **changes})


def metric_value(metrics: ExporterMetrics, name: str, **labels: str) -> float:
    """Return the value of one of the exporter's own series, or 0 if it is missing."""
    for sample in all_samples(metrics):
        if sample.name == name and labels.items() <= sample.labels.items():
            return float(sample.value)
    return 0.0


def all_samples(metrics: ExporterMetrics) -> list[Sample]:
    """Return all of the exporter's own series: those of the targets and those of the daemon."""
    text = b"".join([lines for families in metrics.render_targets() for lines in families.values()]).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return samples + [sample for family in metrics.collect_own() for sample in family.samples]


def end_first_zeros(metrics: ExporterMetrics, clock: ManualClock) -> None:
    """Let pages show the counters that are 0 at first."""
    all_samples(metrics)
    clock.advance(SECONDS_AT_ZERO)


def put(store: SampleStore, target: str, collector: str, samples: Iterable[metric.Sample], max_age: float) -> None:
    """Render and store samples at once."""
    rendering = store.render(target, samples)
    while True:
        try:
            rendering.send(None)
        except StopIteration as end:
            store.put(target, collector, end.value, max_age)
            return


async def eventually(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Let the event loop run until a condition is true. Raises TimeoutError."""
    patience = Patience(within)
    while not condition():
        if patience.is_over:
            raise TimeoutError(f"did not happen within {within} s")
        await asyncio.sleep(0.001)


def block_event_loop(seconds: float) -> None:
    """Let this time pass for the running event loop at once, as if something had blocked it."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


class RecordingObserver:
    """Records what a client, a prober and a poller report."""

    def __init__(self) -> None:
        self.connects: list[str] = []
        self.retries: list[str] = []
        self.replies: list[tuple[Args, Any]] = []
        self.results: list[ProbeResult] = []
        self.overdue: list[float] = []
        self.late_replies: list[tuple[float, float]] = []
        self.runs: list[tuple[str, str]] = []
        self.faults: dict[str, list[CollectorFault]] = {}
        self.slow: list[SlowCommands] = []
        self.spikes: list[LatencySpikes] = []
        self.not_renewed: list[str] = []
        self.polls = 0

    def connected(self, _seconds: float, error: TargetError | None) -> None:
        self.connects.append("ok" if error is None else error.reason)

    def retried(self, operation: str) -> None:
        self.retries.append(operation)

    def replied(self, commands: Sequence[Args], replies: Sequence[Any]) -> None:
        self.replies += zip(commands, replies, strict=True)

    def token_not_renewed(self, reason: str) -> None:
        self.not_renewed.append(reason)

    def on_probe(self, result: ProbeResult) -> None:
        self.results.append(result)

    def on_overdue(self, due: float) -> None:
        self.overdue.append(due)

    def on_late_reply(self, due: float, _at: float, seconds: float) -> None:
        self.late_replies.append((due, seconds))

    def on_collector(self, collector: str, error: Exception | None) -> None:
        self.runs.append((collector, "ok" if error is None else getattr(error, "reason", type(error).__name__)))

    def unsupported(self, collector: str, error: TargetError) -> None:
        self.runs.append((collector, f"unsupported: {error.reason}"))

    def skipped_for_role(self, collector: str) -> None:
        self.runs.append((collector, "skipped for role"))

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        self.runs.append((collector, f"denied: {' '.join(commands)}"))

    def partial_failures(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        self.faults[collector] = list(faults)

    def slow_commands(self, found: SlowCommands) -> None:
        self.slow += [found]

    def latency_spikes(self, found: LatencySpikes) -> None:
        self.spikes += [found]

    def polled(self) -> None:
        self.polls += 1

    @property
    def reasons(self) -> list[str]:
        """How the scheduled probes ended, in the order in which they ended."""
        return ["ok" if result.error is None else result.error.reason for result in self.results]


class TargetHarness:
    """A target with everything that monitors it, on a clock that the test advances.

    The wall clock advances with it. So no kernel timestamp is trusted, unless ``wall`` is a real clock.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] | None = None,
        wall: Callable[[], int] | None = None,
        csv_log: ProbeCsvLog | None = None,
        **changes: Any,
    ) -> None:
        self.clock = ManualClock()
        #: how long pages have shown a new counter as 0
        self.pages = ManualClock()
        #: the clock of the client, the breaker and the prober
        self.now = now = clock or self.clock
        wall_clock = WallClockMonitor(now, wall or (lambda: round(now() * 1e9)))
        self.observer = RecordingObserver()
        self.metrics = ExporterMetrics("test")
        self.target = target_settings(url, **changes)
        self.breaker = CountingBreaker(
            self.target.breaker,
            now,
            on_change=lambda *_: None,
            trial_interval=self.target.probe.trial_interval,
        )
        self.client = TargetClient(self.target, self.breaker, self.observer, clock=now, wall_clock=wall_clock.wall)
        self.target_metrics: TargetMetrics = self.metrics.add_target(
            "t", ["ping"], buckets=tuple(self.target.probe.buckets), address="a", labels={}, clock=self.pages
        )
        self.prober = Prober(
            self.client, self.breaker, self.target_metrics, self.observer, wall_clock=wall_clock, csv_log=csv_log
        )

    async def probe_due(self) -> None:
        """Let one scheduled probe come due now."""
        self.prober.probe_due(self.prober._wall_clock.now())
        await asyncio.sleep(0)  # the probe continues in the event loop

    async def probes_due(self, count: int, apart: float = 1.0) -> None:
        """Let several scheduled probes come due, one after the other."""
        for _ in range(count):
            self.clock.advance(apart)
            await self.probe_due()

    async def ended(self, count: int) -> None:
        """Wait until this number of scheduled probes have ended."""
        await eventually(lambda: len(self.observer.results) >= count)

    def total(self, operation: str = "ping") -> float:
        return metric_value(self.metrics, "redis_operations_total", operation=operation)

    def failures(self, reason: str, operation: str = "ping") -> float:
        end_first_zeros(self.metrics, self.pages)
        return metric_value(self.metrics, "redis_operation_failures_total", operation=operation, reason=reason)

    def not_sent(self) -> float:
        return metric_value(self.metrics, "redis_pings_not_sent_total")

    async def close(self) -> None:
        await self.prober.stop()
        await self.client.aclose()
