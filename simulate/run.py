"""Run many seeds in parallel processes, until so many target-hours are simulated. Print what was found.

``python -m simulate.run --hours 3000`` runs seeds from 1. ``--seed 7`` runs one seed, with ``--hours`` more from there.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
#: Virtual hours of one seed.
EPISODE_HOURS = 2.0
#: Seconds of real time after which one seed is given up.
TIMEOUT = 3600.0

Result = dict[str, Any]


def command(seed: int, hours: float) -> list[str]:
    """Return the command that runs one seed."""
    return [sys.executable, "-m", "simulate.episode", str(seed), f"{hours:g}"]


def run_seed(seed: int, hours: float, hash_seed: str = "0") -> Result:
    """Run one seed in a process of its own, and return its result."""
    env = os.environ | {"PYTHONPATH": f"{CHECKOUT / 'exporter'}:{CHECKOUT}", "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        command(seed, hours), cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        text = f"the simulation itself ended with {done.returncode}: {done.stderr[-800:]}"
        violation = {"rule": "harness", "text": text, "at": 0.0}
        return {"seed": seed, "target_hours": 0.0, "cpu_seconds": 0.0, "faults": {}, "violations": [violation]}
    result: Result = json.loads(lines[-1])
    return result


def results(first_seed: int, hours: float, episode_hours: float, processes: int) -> Iterator[Result]:
    """Run seeds from ``first_seed`` until their target-hours reach ``hours``, and yield each result."""
    done_hours, seed = 0.0, first_seed
    with ThreadPoolExecutor(processes) as pool:
        running: set[Future[Result]] = set()
        while running or done_hours < hours:
            while len(running) < processes and done_hours < hours:
                running.add(pool.submit(run_seed, seed, episode_hours))
                seed += 1
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                result = future.result()
                done_hours += max(result["target_hours"], 0.001)
                yield result


class Summary:
    """The sum of all results."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.seeds: list[int] = []
        self.failed: list[int] = []
        self.target_hours = self.cpu_seconds = 0.0
        self.checks = self.breaker_changes = self.pages = 0

    def add(self, result: Result) -> None:
        """Add one result."""
        self.seeds.append(result["seed"])
        self.faults.update(result["faults"])
        self.target_hours += result["target_hours"]
        self.cpu_seconds += result["cpu_seconds"]
        self.checks += result.get("checks", 0)
        self.breaker_changes += result.get("breaker_changes", 0)
        self.pages += result.get("pages", 0)
        if result["violations"]:
            self.failed.append(result["seed"])

    def text(self, seconds: float) -> str:
        """Return the summary, after so many seconds of real time."""
        rate = 3600 * self.target_hours / self.cpu_seconds if self.cpu_seconds else 0.0
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.faults.most_common())
        seeds = f"{len(self.seeds)} seeds ({min(self.seeds)} to {max(self.seeds)})"
        return (
            f"{self.target_hours:.0f} target-hours with {seeds} in {seconds / 60:.1f} minutes: "
            f"{rate:.0f} target-hours per CPU-hour\n"
            f"{self.checks} checks, {self.pages} pages, {self.breaker_changes} changes of breakers\n"
            f"{self.faults.total()} faults: {kinds}\n"
            f"{len(self.failed)} seeds with violations: {sorted(self.failed)}"
        )


def main() -> int:
    """Run the seeds. Return 1 if there was a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, help="target-hours in total; default 100, or one seed with --seed")
    parser.add_argument("--seed", type=int, help="the first seed, default 1")
    parser.add_argument("--episode", type=float, default=EPISODE_HOURS, help="virtual hours of one seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    hours = arguments.hours or (0.001 if arguments.seed is not None else 100.0)
    processes = 1 if hours < 1 else arguments.processes
    summary, started = Summary(), time.monotonic()
    interrupted = False
    try:
        for result in results(arguments.seed or 1, hours, arguments.episode, processes):
            summary.add(result)
            _report(result, arguments.episode)
    except KeyboardInterrupt:
        interrupted = True
    if summary.seeds:
        print(summary.text(time.monotonic() - started))
    return 1 if summary.failed else 130 if interrupted else 0


def _report(result: Result, episode_hours: float) -> None:
    """Print the violations of one seed, and how to replay it."""
    for violation in result["violations"]:
        print(f"seed {result['seed']}, {violation['at']} s: [{violation['rule']}] {violation['text']}")
    if result["violations"]:
        print(f"  replay: PYTHONHASHSEED=0 python -m simulate.episode {result['seed']} {episode_hours:g} --log")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
