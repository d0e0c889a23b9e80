"""Ping the server of ``echo`` as the daemon pings its targets, and compare each ping with the server's record."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, time_ns
from typing import NamedTuple

from redis_pulse.calibrate.echo import EchoedPing
from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import ConnectLimiter, NullClientObserver, TargetClient
from redis_pulse.config import BreakerSettings, ProbeSettings, TargetSettings, parse_url
from redis_pulse.probe import PING, Prober, ProbeResult, WallClockMonitor
from redis_pulse.probe.prober import MAX_CERTAIN_SEND
from redis_pulse.telemetry import ExporterMetrics

#: Pings per second of all targets together: as many as a daemon with a thousand targets sends.
MAX_RATE = 1000.0
#: Seconds between two pings of a target, at least.
MIN_INTERVAL = 0.1
#: Seconds after which a ping is a failure. No reply is held back for nearly so long.
TIMEOUT = 5.0
#: Seconds that the first ping of every target may take, with its connect.
WARM_UP = 30.0
_STATISTICS = Path("/proc/self/schedstat")


class ComparedPing(NamedTuple):
    """One ping on both sides, in seconds."""

    #: The measured round trip minus that in the server's record.
    error: float
    #: The two parts of it: until the server had the ping, and since its reply had left.
    before: float
    after: float
    #: The error of a client that takes the time when it reads a reply.
    naive: float
    #: From the due time until it left.
    late: float
    #: For how long the server held back the reply.
    held: float
    #: Whether the kernel timed the send, the reply, and both at the server.
    send_by_kernel: bool
    reply_by_kernel: bool
    record_by_kernel: bool


class Measurement(NamedTuple):
    """What was measured."""

    targets: int
    seconds: float
    #: How many pings came due, and how many were not sent because this program was late by a whole interval.
    due: int
    skipped: int
    #: The results of all others, each with the port of its target.
    results: Sequence[tuple[int, ProbeResult]]
    #: The share of time in which this program was ready to run and had no core. None where the system does not tell.
    waited: float | None

    @property
    def failures(self) -> Counter[str]:
        """How many pings failed, by reason."""
        return Counter(result.error.reason for _, result in self.results if result.error is not None)

    @property
    def uncertain(self) -> int:
        """How many pings were sent at an uncertain time, because the system call took long."""
        return sum(result.sent is not None and result.sent.took > MAX_CERTAIN_SEND for _, result in self.results)


class PingedTarget:
    """One target, and the results of its pings."""

    def __init__(
        self, port: int, interval: float, metrics: ExporterMetrics, limiter: ConnectLimiter, clocks: WallClockMonitor
    ) -> None:
        settings = TargetSettings(
            name=str(port),
            endpoint=parse_url(f"redis://127.0.0.1:{port}").endpoint,
            probe=ProbeSettings(interval=interval, timeout=TIMEOUT),
        )
        self.port = port
        self.results: list[ProbeResult] = []
        #: Set with the first result.
        self.answered = asyncio.Event()
        breaker = CircuitBreaker(BreakerSettings(force="closed"), monotonic, on_change=lambda *_: None)
        self._client = TargetClient(settings, breaker, NullClientObserver(), connect_limiter=limiter)
        target_metrics = metrics.add_target(
            settings.name, [PING], buckets=tuple(settings.probe.buckets), address=settings.name, labels={}
        )
        self.prober = Prober(self._client, breaker, target_metrics, self, wall_clock=clocks)

    def on_probe(self, result: ProbeResult) -> None:
        """Keep the result."""
        self.results.append(result)
        self.answered.set()

    def on_overdue(self, due: float) -> None:
        """Ignore a ping that waits: it has a result later."""

    def on_late_reply(self, due: float, at: float, seconds: float) -> None:
        """Ignore a reply after the deadline: the ping is a failure already."""

    async def close(self) -> None:
        """Close the connection."""
        await self.prober.stop()
        await self._client.aclose()


def interval_of(targets: int) -> float:
    """Return the seconds between two pings of a target."""
    return max(MIN_INTERVAL, targets / MAX_RATE)


async def measure(ports: Sequence[int], seconds: float) -> Measurement:
    """Ping all ports for so many seconds, each on a grid of its own, as the daemon does."""
    metrics, interval = ExporterMetrics(""), interval_of(len(ports))
    clocks, limiter = WallClockMonitor(monotonic, time_ns), ConnectLimiter()
    targets = [PingedTarget(port, interval, metrics, limiter, clocks) for port in ports]
    try:
        await _warm_up(targets)
        waited, began = _waited_ns(), monotonic()
        due, skipped = await _ping(targets, interval, began, began + seconds)
        took, waited_until = monotonic() - began, _waited_ns()
        await asyncio.gather(*[target.prober.drain() for target in targets])
    finally:
        await asyncio.gather(*[target.close() for target in targets])
    results = [(target.port, result) for target in targets for result in target.results if result.due >= began]
    share = None if waited is None or waited_until is None else (waited_until - waited) / 1e9 / took
    return Measurement(len(ports), took, due, skipped, results, share)


async def _warm_up(targets: Sequence[PingedTarget]) -> None:
    """Connect, and ping each target once. The kernel begins to take timestamps a moment after the first request."""
    for target in targets:
        target.prober.probe_due(monotonic())
    with suppress(TimeoutError):
        async with asyncio.timeout(WARM_UP):
            for target in targets:
                await target.answered.wait()


async def _ping(targets: Sequence[PingedTarget], interval: float, began: float, end: float) -> tuple[int, int]:
    """Let probes come due, target after target, until the end. Return how many, and how many of them were skipped.

    One that would be late by a whole interval is skipped, as in the daemon.
    """
    step, number, skipped = interval / len(targets), 0, 0
    while (due := began + number * step) < end:
        await asyncio.sleep(due - monotonic())
        prober = targets[number % len(targets)].prober
        if monotonic() - due > interval:
            prober.skipped(1, due)
            skipped += 1
        else:
            prober.probe_due(due)
        number += 1
    return number, skipped


def _waited_ns() -> int | None:
    """Return for how long this thread was ready to run and had no core, since it started."""
    try:
        return int(_STATISTICS.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None


def compare(measurement: Measurement, record: Iterable[EchoedPing]) -> list[ComparedPing]:
    """Return each answered ping with what the server recorded of it."""
    echoed: Mapping[tuple[int, int], EchoedPing] = {(ping.port, ping.number): ping for ping in record}
    compared = []
    for port, result in measurement.results:
        sent = result.sent
        if sent is None or sent.number is None or result.seconds is None:
            continue
        if (ping := echoed.get((port, sent.number))) is None:
            continue
        truth = (ping.left - ping.arrived) / 1e9
        before, error = (ping.arrived - sent.at_ns) / 1e9, result.seconds - truth
        compared.append(
            ComparedPing(
                error=error,
                before=before,
                after=error - before,
                naive=result.at - sent.at - truth,
                late=sent.at - result.due,
                held=ping.held,
                send_by_kernel=sent.is_stamped,
                reply_by_kernel=result.kernel_clock,
                record_by_kernel=ping.by_kernel,
            )
        )
    return compared
