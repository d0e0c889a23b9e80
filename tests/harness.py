"""One target under watch, put together by hand, for the tests of client, prober, sampler and fleet."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import TargetClient
from redis_pulse.config import TargetSettings, parse_url
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorFault
from redis_pulse.probe import ProbeCsvLog, Prober, ProbeResult, WallClockMonitor
from redis_pulse.server_info import Target
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics
from tests.fakes import ManualClock


def target_settings(url: str = "redis://127.0.0.1:1", **changes: Any) -> TargetSettings:
    """Make the resolved settings of a target called ``t``."""
    return TargetSettings(**{"name": "t", "endpoint": parse_url(url).endpoint, **changes})


def metric_value(instruments: ExporterMetrics, name: str, **labels: str) -> float:
    """Read one of our own series; 0 when it is not there."""
    for sample in all_samples(instruments):
        if sample.name == name and labels.items() <= sample.labels.items():
            return float(sample.value)
    return 0.0


def all_samples(instruments: ExporterMetrics) -> list[Sample]:
    """Read all our own series, of the targets and of the daemon."""
    text = b"".join([lines for page in instruments.render_targets() for lines in page.values()]).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return samples + [sample for family in instruments.collect_own() for sample in family.samples]


async def eventually(condition: Callable[[], bool], within: float = 5.0) -> None:
    """Let the loop turn until something has come true."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.001)


class RecordingObserver:
    """Writes down what a client, a prober and a sampler tell."""

    def __init__(self) -> None:
        self.connects: list[str] = []
        self.retries: list[str] = []
        self.outcomes: list[ProbeResult] = []
        self.runs: list[tuple[str, str]] = []
        self.faults: dict[str, list[CollectorFault]] = {}
        self.polls = 0

    def connected(self, _seconds: float, error: TargetError | None) -> None:
        self.connects.append("ok" if error is None else error.reason)

    def retried(self, operation: str) -> None:
        self.retries.append(operation)

    def on_probe(self, outcome: ProbeResult) -> None:
        self.outcomes.append(outcome)

    def on_collector(self, collector: str, error: Exception | None) -> None:
        self.runs.append((collector, "ok" if error is None else getattr(error, "reason", type(error).__name__)))

    def unsupported(self, collector: str, error: TargetError) -> None:
        self.runs.append((collector, f"unsupported: {error.reason}"))

    def skipped_for_role(self, collector: str) -> None:
        self.runs.append((collector, "rests"))

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        self.runs.append((collector, f"denied: {' '.join(commands)}"))

    def parts(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        self.faults[collector] = list(faults)

    def polled(self) -> None:
        self.polls += 1

    @property
    def reasons(self) -> list[str]:
        """How the slots ended, in the order in which they did."""
        return ["ok" if outcome.error is None else outcome.error.reason for outcome in self.outcomes]


class TargetHarness:
    """A target with everything that watches it, on a clock turned by hand.

    The wall's clock is turned with it, so no stamp of the kernel is believed unless ``wall`` is a real one.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] | None = None,
        wall: Callable[[], int] | None = None,
        log: ProbeCsvLog | None = None,
        **changes: Any,
    ) -> None:
        self.clock = ManualClock()
        now = clock or self.clock
        clocks = WallClockMonitor(now, wall or (lambda: round(now() * 1e9)))
        self.heard = RecordingObserver()
        self.instruments = ExporterMetrics("test")
        self.target = Target.of(target_settings(url, **changes))
        self.breaker = CircuitBreaker(
            self.target.settings.breaker,
            now,
            on_change=lambda *_: None,
            trial_interval=self.target.settings.probe.trial_interval,
        )
        self.client = TargetClient(self.target, self.breaker, self.heard, clock=now, wall=clocks.wall)
        self.of_target: TargetMetrics = self.instruments.add_target(
            "t", ["ping"], buckets=tuple(self.target.settings.probe.buckets), address="a", labels={}
        )
        self.prober = Prober(self.client, self.breaker, self.of_target, self.heard, clocks=clocks, log=log)

    async def probe_due(self) -> None:
        """Let one slot come due now."""
        self.prober.probe_due(self.prober._wall_clock.now())
        await asyncio.sleep(0)  # a slot takes its course in the loop

    async def slots(self, count: int, apart: float = 1.0) -> None:
        """Let several slots come due, one after the other."""
        for _ in range(count):
            self.clock.advance(apart)
            await self.probe_due()

    async def ended(self, count: int) -> None:
        """Wait until so many slots have ended."""
        await eventually(lambda: len(self.heard.outcomes) >= count)

    def total(self, operation: str = "ping") -> float:
        return metric_value(self.instruments, "redis_operations_total", operation=operation)

    def failures(self, reason: str, operation: str = "ping") -> float:
        return metric_value(self.instruments, "redis_operation_failures_total", operation=operation, reason=reason)

    def not_sent(self) -> float:
        return metric_value(self.instruments, "redis_pings_not_sent_total")

    async def close(self) -> None:
        await self.prober.stop()
        await self.client.aclose()
