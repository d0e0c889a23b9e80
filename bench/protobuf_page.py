"""The page of metrics in protobuf: CPU, size and longest step, beside the text page of the same targets.

`make bench BENCH=protobuf_page`, or `python bench/protobuf_page.py [--targets 1000] [--rounds 5] [--profile]`.

Before each round every target is polled with other values and gets five pings. The samples are those of a recorded
Valkey with the default collectors. Times are those of the CPU, and medians. A step is the time between two turns of the
event loop. The native histograms of one target are measured too: the time of an observation, and their memory.
"""

import argparse
import asyncio
import cProfile
import gc
import pstats
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "exporter"), str(ROOT)]

from redis_pulse import collectors  # noqa: E402
from redis_pulse.exposition import PageBuilder, ProtobufPage, render_steps  # noqa: E402
from redis_pulse.metric import Sample  # noqa: E402
from redis_pulse.sample_store import SampleStore  # noqa: E402
from redis_pulse.slices import MAX_SLICE  # noqa: E402
from redis_pulse.telemetry import ExporterMetrics, NativeHistogram  # noqa: E402
from redis_pulse.telemetry.families import DURATION  # noqa: E402
from redis_pulse.telemetry.series import FamilySeries, HistogramValue  # noqa: E402
from tests import replay  # noqa: E402

SERVER = "valkey-9.1.2"
PINGS = [int(line) / 1e9 for line in (ROOT / "tests" / "recordings" / "pings.txt").read_text().split()]
BUCKETS = tuple(0.0001 * 1.5**step for step in range(24))


class Fleet:
    """Targets with samples of a recorded server, and both pages of them."""

    def __init__(self, targets: int, samples: dict[str, list[Sample]]) -> None:
        self.metrics = ExporterMetrics("bench")
        self.store = SampleStore(render_steps, time.monotonic)
        self.metrics.sample_times = self.store.times
        self.names = [f"10.0.{number // 250}.{number % 250}:6379" for number in range(targets)]
        self.samples = samples
        self.targets = [
            self.metrics.add_target(name, ["ping", "connect", *samples], buckets=BUCKETS, address=name, labels={})
            for name in self.names
        ]
        self.text = PageBuilder(self.store, self.metrics, [])
        self.protobuf = ProtobufPage(self.text, self.store, self.metrics)

    async def poll(self, number: int) -> None:
        """Let every sample have another value, and observe pings."""
        for name, target in zip(self.names, self.targets, strict=True):
            for collector, samples in self.samples.items():
                changed = [sample._replace(value=sample.value + number) for sample in samples]
                self.store.put(name, collector, await self.store.render(name, changed), 1e6)
                target.operation(collector).succeeded(0.001)
            for seconds in random.choices(PINGS, k=5):
                target.operation("ping").succeeded(seconds)


async def cpu_of(work: Callable[[], Awaitable[object]]) -> tuple[float, float, object]:
    """Return the CPU time of a page and its longest step, in ms, and the page."""
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            gaps.append(time.thread_time() - began)

    gc.collect()
    gc.freeze()  # as the daemon does
    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    began = time.thread_time()
    page = await work()
    took = time.thread_time() - began
    ticking.cancel()
    return took * 1e3, max(gaps, default=took) * 1e3, page


async def encode(fleet: Fleet) -> None:
    """Do what the task in the background does after the polls."""
    began = time.perf_counter()
    for _ in fleet.protobuf.prepare():
        if time.perf_counter() - began > MAX_SLICE:
            await asyncio.sleep(0)
            began = time.perf_counter()


async def pages(targets: int, rounds: int) -> None:
    """Measure both pages in turns, and print the medians."""
    samples = {}
    sessions = replay.recorded_sessions(SERVER)
    defaults = {name for name, collector in collectors.load().items() if collector.default}
    for run in await replay.replay(sessions["primary"], "primary"):
        if run.collector.name in defaults:
            samples[run.collector.name] = [item for item in run.items or () if isinstance(item, Sample)]
    fleet = Fleet(targets, samples)
    rows: dict[str, list[tuple[float, float, int]]] = {}
    for number in range(rounds + 1):
        await fleet.poll(number)
        parts = {
            "text, gzip": lambda: fleet.text.full(openmetrics=False, gzip=True),
            "encoding of the polls": lambda: encode(fleet),
            "protobuf, gzip": lambda: fleet.protobuf.full(gzip=True),
            "protobuf, plain": lambda: fleet.protobuf.full(gzip=False),
        }
        for what, work in parts.items():
            took, longest, page = await cpu_of(work)
            if number:  # the first round fills the caches
                rows.setdefault(what, []).append((took, longest, _size(page)))
            del page
            await asyncio.sleep(0.6)  # pages are kept for half a second
    lines = sum(len(found) for found in samples.values())
    print(f"{targets} targets with {lines} samples of servers each, medians of {rounds} rounds\n")
    print("| what | CPU, ms | longest step, ms | MB |\n|---|---|---|---|")
    for what, results in rows.items():
        took, longest, size = (statistics.median(result[column] for result in results) for column in range(3))
        print(f"| {what} | {took:.0f} | {longest:.2f} | {size / 1e6:.1f} |")
    fleet.protobuf.stop()


def _size(page: object) -> int:
    return len(bytes(page)) if page is not None else 0  # type: ignore[call-overload,no-any-return]


def observations() -> None:
    """Measure one observation, and the memory of one histogram with the recorded pings."""
    series = FamilySeries('target="a"')
    classic = HistogramValue(series, DURATION, ("ping",), BUCKETS)
    kinds: dict[str, Callable[[float], None]] = {"classic": classic.observe, "native": NativeHistogram(0).observe}
    best = dict.fromkeys(kinds, 1.0)
    for _ in range(9):
        for name, observe in kinds.items():
            began = time.thread_time()
            for seconds in PINGS:
                observe(seconds)
            best[name] = min(best[name], (time.thread_time() - began) / len(PINGS))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    histograms = [NativeHistogram(0) for _ in range(200)]
    empty = tracemalloc.get_traced_memory()[0]
    for histogram in histograms:
        for seconds in PINGS[:2000]:
            histogram.observe(seconds)
    full = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    filled = sum(map(bool, histograms[0].snapshot().counts))
    print("\nAn observation: " + ", ".join(f"{name} {seconds * 1e6:.2f} µs" for name, seconds in best.items()))
    print(
        f"A native histogram: {(empty - before) / 200:.0f} bytes before the first observation, "
        f"{(full - before) / 200:.0f} bytes with {filled} buckets"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    profile = cProfile.Profile() if options.profile else None
    if profile:
        profile.enable()
    asyncio.run(pages(options.targets, options.rounds))
    if profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    observations()


if __name__ == "__main__":
    main()
