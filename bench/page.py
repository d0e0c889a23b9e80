"""The page of many targets, built in this process: time, longest step of the event loop, CPU, bytes, memory.

    python bench/page.py [--targets 1000] [--rounds 8] [--polled 0.33] [--profile] [--json FILE]

Each target has the samples of a recorded server with other values. Before each page all targets are pinged, and a share
of them is polled, always in the same order. A step is the time between two turns of the event loop while the page is
built. The page is also read to its end, as a client does.
"""

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parents[1])]

from redis_pulse import collectors  # noqa: E402
from redis_pulse.exposition import PageBuilder, render_steps  # noqa: E402
from redis_pulse.metric import Sample  # noqa: E402
from redis_pulse.sample_store import SampleStore  # noqa: E402
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics  # noqa: E402
from tests import replay  # noqa: E402

RECORDED = "valkey-9.1.2"
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
MAX_AGE = 45.0


class Run(NamedTuple):
    """One way to fetch the page, over all rounds. Seconds, and bytes as they are sent."""

    built: list[float]
    steps: list[float]
    cpu: list[float]
    read: list[float]


class Fleet:
    """A store and the metrics of many targets."""

    def __init__(self, count: int, samples: dict[str, list[Sample]]) -> None:
        self.random = random.Random(7)
        self.samples = samples
        self.metrics = ExporterMetrics("bench")
        self.store = SampleStore(render_steps, time.monotonic)
        self.metrics.sample_times = self.store.times
        specs = [spec for collector in collectors.load().values() for spec in collector.metrics]
        self.page = PageBuilder(self.store, self.metrics, specs)
        self.targets: dict[str, TargetMetrics] = {}
        for number in range(count):
            name = f"redis-{number:04d}.example"
            address = f"10.0.{number >> 8}.{number & 255}:6379"
            self.targets[name] = self.metrics.add_target(
                name, ["ping", "connect", *samples], buckets=BUCKETS, address=address, labels={"team": "shop"}
            )
        self._next = 0

    async def poll(self, count: int) -> None:
        """Store new samples of the targets whose turn it is."""
        names = list(self.targets)
        for _ in range(count):
            name = names[self._next % len(names)]
            self._next += 1
            target = self.targets[name]
            for collector, samples in self.samples.items():
                lines = await self.store.render(name, self.varied(samples))
                self.store.put(name, collector, lines, MAX_AGE)
                operation = target.operation(collector)
                operation.total.inc()
                operation.succeeded(self.random.expovariate(1000))
                target.record_collector(
                    collector, success=True, supported=True, denied=False, seconds=self.random.random() / 100
                )
            target.record_poll(self.random.random() / 100)
            await asyncio.sleep(0)

    def ping(self) -> None:
        """Count one answered ping of each target."""
        for target in self.targets.values():
            operation = target.operation("ping")
            operation.total.inc()
            operation.succeeded(self.random.expovariate(5000))
            target.up.set(1)

    def varied(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield the samples with other values."""
        for sample in samples:
            value = sample.value
            if value > 1:
                value = float(int(value * self.random.uniform(0.8, 1.2))) if value == int(value) else value * 1.1
            yield sample._replace(value=value)


async def recorded() -> dict[str, list[Sample]]:
    """Return the samples of each default collector."""
    replies = replay.recorded_sessions(RECORDED)["primary"]
    defaults = {name for name, collector in collectors.load().items() if collector.default}
    found: dict[str, list[Sample]] = {}
    for run in await replay.replay(replies, "primary"):
        if run.collector.name in defaults and run.items is not None:
            found[run.collector.name] = [item for item in run.items if isinstance(item, Sample)]
    return found


async def fetch(fleet: Fleet, *, is_gzip: bool, run: Run, on_piece: Callable[[bytes], object] = len) -> int:
    """Build one page, watch the loop meanwhile, and read it."""
    steps: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0)
            steps.append(time.perf_counter() - began)

    watching = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    began, cpu = time.perf_counter(), time.process_time()
    page = await fleet.page.full(openmetrics=True, gzip=is_gzip)
    run.built.append(time.perf_counter() - began)
    run.cpu.append(time.process_time() - cpu)
    watching.cancel()
    run.steps.append(max(steps))
    began = time.perf_counter()
    for piece in page.pieces():
        on_piece(piece)
    run.read.append(time.perf_counter() - began)
    return page.size


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of all pages."""
    samples = await recorded()
    began = resident()
    fleet = Fleet(options.targets, samples)
    await fleet.poll(options.targets)
    figures: dict[str, Any] = {"targets": options.targets, "memory polled, MB": resident() - began}
    runs = {is_gzip: Run([], [], [], []) for is_gzip in (True, False)}
    sizes: dict[bool, int] = {}
    lines = 0
    profile = cProfile.Profile()
    gc.collect()
    gc.freeze()
    for round_ in range(options.rounds + 1):
        for is_gzip, run in runs.items():
            await fleet.poll(int(options.targets * options.polled))
            fleet.ping()
            await asyncio.sleep(0.6)
            if round_ == 0:
                pieces: list[bytes] = []
                first = Run([], [], [], [])
                sizes[is_gzip] = await fetch(fleet, is_gzip=is_gzip, run=first, on_piece=pieces.append)
                if not is_gzip:
                    lines = sum(piece.count(b"\nredis_") for piece in pieces)
                del pieces
            else:
                if options.profile and is_gzip:
                    profile.enable()
                sizes[is_gzip] = await fetch(fleet, is_gzip=is_gzip, run=run)
                profile.disable()
    figures["samples"] = lines
    for is_gzip, run in runs.items():
        name = "gzip" if is_gzip else "plain"
        figures[name] = {
            "built, ms, median": 1e3 * statistics.median(run.built),
            "built, ms, max": 1e3 * max(run.built),
            "longest step, ms, median": 1e3 * statistics.median(run.steps),
            "longest step, ms, max": 1e3 * max(run.steps),
            "CPU, ms, median": 1e3 * statistics.median(run.cpu),
            "read, ms, median": 1e3 * statistics.median(run.read),
            "MB": sizes[is_gzip] / 1e6,
        }
    await asyncio.sleep(0.6)
    figures["memory after pages, MB"] = resident() - began
    figures["peak of the process, MB"] = resident("VmHWM")
    if options.profile:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(30)
    return figures


def resident(field: str = "VmRSS") -> float:
    """Return the memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1e3
    return 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=8, help="pages of each encoding")
    parser.add_argument("--polled", type=float, default=0.33, help="share of the targets polled between two pages")
    parser.add_argument("--profile", action="store_true", help="print where the time of the gzip pages goes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    figures = asyncio.run(measure(options))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print("| what | gzip | plain |\n|---|---|---|")
    for what in figures["gzip"]:
        print(f"| {what} | {figures['gzip'][what]:.3g} | {figures['plain'][what]:.3g} |")
    for what, value in figures.items():
        if not isinstance(value, dict):
            print(f"- {what}: {value:.6g}")


if __name__ == "__main__":
    main()
