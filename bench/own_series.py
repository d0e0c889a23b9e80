"""Measure what the exporter's own series of a target cost: samples, time of a page, memory. See bench/README.md.

python bench/own_series.py [--targets 1000] [--rounds 9]
"""

import argparse
import gc
import platform
import statistics
import time
import tracemalloc

from redis_pulse import collectors
from redis_pulse.config import PING_BUCKETS
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics, families

#: Collectors of the default set that run on no primary of Redis or Valkey.
ELSEWHERE = {"cluster", "sentinel", "tile38", "commandlog"}
CALLBACKS = (
    *((families.LONGEST, "ping"), (families.IN_FLIGHT, "ping"), (families.TCP_RTT, ""), (families.TCP_MIN_RTT, "")),
    (families.STALL_IN_PROGRESS, ""),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    default = [name for name, one in collectors.load().items() if one.default and name not in ELSEWHERE]
    rows = [measure(options.targets, options.rounds, names) for names in (default, ["info", "errorstats"])]
    print(f"Python {platform.python_version()}, {options.targets} targets, CPU time\n")
    print("| what | default | lean |\n|---|---|---|")
    for what in rows[0]:
        print(f"| {what} | {' | '.join(f'{row[what]:.3g}' for row in rows)} |")


def measure(number: int, rounds: int, names: list[str]) -> dict[str, float]:
    """Return the figures of so many targets with these collectors."""
    small = min(number, 200)
    gc.collect()
    tracemalloc.start()
    metrics, targets = fleet(small, names)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    page_seconds(metrics)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    lines = sum(text.count(b"\n") for text in targets[0].render().values())
    metrics, targets = fleet(number, names)
    seconds: dict[str, list[float]] = {"after a ping": [], "unchanged": [], "after a ping and a poll": []}
    for _ in range(rounds + 1):
        ping(targets)
        seconds["after a ping"].append(page_seconds(metrics))
        seconds["unchanged"].append(page_seconds(metrics))
        poll(targets, names)
        ping(targets)
        seconds["after a ping and a poll"].append(page_seconds(metrics))
    return {
        "samples of a target, without ages": lines,
        **{f"lines of all targets {when}, ms": statistics.median(some[1:]) * 1000 for when, some in seconds.items()},
        "memory of a target, kB": before / small / 1000,
        "memory of a target with its kept lines, kB": after / small / 1000,
    }


def fleet(number: int, names: list[str]) -> tuple[ExporterMetrics, list[TargetMetrics]]:
    """Return the metrics of so many targets that answered a connect, a poll and a ping."""
    metrics = ExporterMetrics("bench")
    targets = []
    for index in range(number):
        name = f"10.0.{index // 250}.{index % 250}:6379"
        target = metrics.add_target(name, ["ping", "connect"], buckets=PING_BUCKETS, address=name, labels={})
        target.value(families.TCP_RETRANSMITS).inc(0)
        target.value(families.SLO_OBJECTIVE).set(0.999)
        target.histogram(families.PHASE, "tcp").observe(0.0003)
        target.operation("connect").succeeded(0.0005)
        for clock in ("kernel", "user"):
            target.value(families.PROBE_CLOCK, clock)
        for family, label in CALLBACKS:
            target.callbacks[family, label] = lambda: 0.000123
        targets.append(target)
    poll(targets, names)
    ping(targets)
    return metrics, targets


def ping(targets: list[TargetMetrics]) -> None:
    """Count one answered ping of each target."""
    for target in targets:
        operation = target.operation("ping")
        operation.total.inc()
        operation.succeeded(0.00031)
        target.value(families.PROBE_CLOCK, "kernel").inc()
        target.up.set(1)


def poll(targets: list[TargetMetrics], names: list[str]) -> None:
    """Count one poll of each target."""
    for target in targets:
        for name in names:
            operation = target.operation(name)
            operation.total.inc()
            operation.succeeded(0.0012)
            target.record_collector(name, success=True, supported=True, denied=False, seconds=0.0012)
        target.record_poll(0.01)


def page_seconds(metrics: ExporterMetrics) -> float:
    """Return the CPU seconds in which the lines of all targets are rendered."""
    began = time.process_time()
    for _ in metrics.render_targets():
        pass
    return time.process_time() - began


if __name__ == "__main__":
    main()
