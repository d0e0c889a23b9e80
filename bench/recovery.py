"""Measure how long a server is reported as down after its return, with default settings. See bench/README.md.

python bench/recovery.py [--targets 12] [--outages 10,140,1200] [--together] [--stall] [--fake] [--root PATH]
"""

import argparse
import asyncio
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import checkout
from process import allow_many_files
from recovery_figures import HEAD, Recovery, row
from recovery_run import OutageMeasurement, daemon
from recovery_servers import started


def main() -> None:
    """Measure and print."""
    options = arguments()
    allow_many_files()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # otherwise servers and daemons would keep running
    print_settings(options)
    with tempfile.TemporaryDirectory(prefix="redis-pulse-bench-") as folder:
        asyncio.run(measure(Path(folder), options))
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def lengths(text: str) -> list[float]:
        return [float(word) for word in text.split(",")]

    parser.add_argument("--targets", type=int, default=12, help="targets of each daemon")
    parser.add_argument("--outages", type=lengths, default=[10.0, 140.0, 1200.0], help="seconds, separated by commas")
    parser.add_argument("--repeat", type=int, default=1, help="outages of each length, one after another")
    parser.add_argument(
        "--together", action="store_true", help="all lengths at the same time, each with its own daemon"
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--stall", action="store_true", help="stop the servers (SIGSTOP) instead of killing them")
    way.add_argument("--fake", action="store_true", help="one process acts as all servers, for many targets")
    parser.add_argument("--root", type=Path, default=checkout.ROOT, help="the checkout whose daemon is measured")
    parser.add_argument("--settle", type=float, default=20.0, help="seconds between the start and the first outage")
    parser.add_argument("--after", type=float, default=15.0, help="seconds of measuring after all targets were up")
    parser.add_argument("--patience", type=float, default=180.0, help="maximum seconds of waiting")
    parser.add_argument("--counted", type=int, default=50, help="targets whose failures are counted")
    parser.add_argument("--each", action="store_true", help="print up/steady/failures/flaps of each target to stderr")
    return parser.parse_args()


async def measure(folder: Path, options: argparse.Namespace) -> None:
    """Run all outages, and print each row immediately after its outages."""
    runs = [run(folder, number, seconds, options) for number, seconds in enumerate(options.outages)]
    if options.together:
        await asyncio.gather(*runs)
    else:
        for each in runs:
            await each


async def run(folder: Path, number: int, seconds: float, options: argparse.Namespace) -> None:
    """Run the outages of one length."""
    run_folder = folder / str(number)
    run_folder.mkdir()
    recoveries: list[Recovery] = []
    with started(run_folder, options.targets, fake=options.fake, stall=options.stall) as servers:
        program = daemon(options.root.resolve(), run_folder, servers.ports)
        with program:
            measurement = OutageMeasurement(program, servers, options.counted, options.after, options.patience)
            await measurement.wait_until_up()
            await asyncio.sleep(options.settle)
            for _ in range(options.repeat):
                recoveries += (latest := await measurement.outage(seconds))
                if options.each:
                    print(
                        f"- {seconds:g} s, each target: {' '.join(map(describe, latest))}", file=sys.stderr, flush=True
                    )
    print("| " + " | ".join(row(f"{seconds:g} s", recoveries)) + " |", flush=True)


def describe(recovery: Recovery) -> str:
    """Return the figures of one target as up/steady/failures/flaps."""
    times = ["-" if value is None else f"{value:.2f}" for value in (recovery.seconds, recovery.steady)]
    failures = "-" if recovery.invented is None else str(recovery.invented.total())
    return "/".join([*times, failures, str(recovery.flaps)])


def print_settings(options: argparse.Namespace) -> None:
    """Print the settings of the measurement, and the header of the table."""
    way = "a process that closes its ports" if options.fake else "SIGSTOP and SIGCONT" if options.stall else "kill -9"
    commit = subprocess.run(
        ["git", "-C", options.root, "log", "-1", "--format=%h"], capture_output=True, text=True, check=False
    )
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; load {os.getloadavg()[0]:.1f} at the start")
    print(f"- redis-pulse at commit {commit.stdout.strip() or 'unknown'}, Python {platform.python_version()}")
    print(f"- {options.targets} targets; outage: {way}; {options.repeat} of each length")
    print(f"- command: `{' '.join(['python', 'bench/recovery.py', *sys.argv[1:]])}`\n")
    print("| " + " | ".join(HEAD) + " |")
    print("|---" * len(HEAD) + "|", flush=True)


if __name__ == "__main__":
    main()
