"""Fuzz every target, and print a table: `python -m fuzz.run --runs 1000000 --seed 1`.

The exit code is 1 if anything was found. Every finding is written into a file, which becomes a test when it is moved to
`tests/fuzz/found/`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fuzz import collect, daemon
from fuzz.inputs import Chooser
from fuzz.steps import count_steps
from fuzz.targets import TARGETS, FuzzTarget
from redis_pulse import collectors

#: One execution in so many has its steps counted, which makes it slower.
_COUNTED = 500
#: Shares of the collectors together, of the two ways to write lines, and of the whole poll, in 1000.
_COLLECTORS, _WRITTEN, _DAEMON = 60, 4, 2
#: An execution that takes longer is a finding. No input has more than some 10 KB.
_MAX_SECONDS = 0.25


class Finding(NamedTuple):
    """An input that broke a property."""

    target: str
    seed: int
    error: str
    #: None for targets whose input is the seed
    input: Any


class Job(NamedTuple):
    """What is run with seeds. ``make`` returns the input of a seed, and ``run`` reads it."""

    name: str
    make: Callable[[int], Any]
    run: Callable[[Any], object]
    allowed: tuple[type[Exception], ...]
    share: float


def _make(target: FuzzTarget, seed: int) -> Any:
    return target.make(Chooser(seed))


def jobs() -> Iterator[Job]:
    """Yield all jobs. Their shares add up to 1."""
    weights = sum(target.weight for target in TARGETS.values())
    left = 1 - (_COLLECTORS + _WRITTEN + _DAEMON) / 1000
    for name, target in TARGETS.items():
        share = left * target.weight / weights
        yield Job(name, partial(_make, target), target.run, target.allowed, share)
    names = list(collectors.load())
    for name in names:
        yield Job(f"collector {name}", int, collect.runner(name), (), _COLLECTORS / 1000 / len(names))
    yield Job("written lines", int, collect.compare, (), _WRITTEN / 1000)
    yield Job("daemon", int, daemon.runner(), (), _DAEMON / 1000)


def execute(job: Job, value: Any) -> str:
    """Read one input. Return the error that is a finding, or an empty text."""
    started = time.thread_time()
    try:
        job.run(value)
    except job.allowed:
        pass
    except Exception as error:  # noqa: BLE001  that is what is searched
        return f"{type(error).__name__}: {error}"[:300]
    took = time.thread_time() - started
    return f"it took {took:.1f} s of the processor" if took > _MAX_SECONDS else ""


class Outcome(NamedTuple):
    """What the executions of a job found: at most 20 findings, and the input with the most steps."""

    findings: list[Finding]
    steps: int
    #: seconds of the processor of the slowest execution
    slowest: float


def fuzz(job: Job, runs: int, seed: int) -> Outcome:
    """Run a job with one seed after the other. The slowest inputs have their steps counted."""
    found: list[Finding] = []
    most, slowest = 0, 0.0
    for number in range(seed, seed + runs):
        value = job.make(number)
        started = time.thread_time()
        error = execute(job, value)
        took = time.thread_time() - started
        if error and len(found) < 20:
            found.append(Finding(job.name, number, error, None if isinstance(value, int) else value))
        if took > slowest or number % _COUNTED == 0:
            slowest = max(slowest, took)
            most = max(most, count_steps(partial(job.run, value)))
    return Outcome(found, most, slowest)


def main() -> int:
    """Print a line for each job, and the findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000, help="executions in total")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="jobs with this text in their name")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="folder for findings")
    options = parser.parse_args()
    chosen = [job for job in jobs() if options.only in job.name]
    total_share = sum(job.share for job in chosen)
    executions, findings = 0, list[Finding]()
    print(f"{'target':<28} {'executions':>10} {'findings':>8} {'most steps':>10} {'slowest ms':>10} {'s':>7}")
    for job in chosen:
        runs = max(1, -int(-options.runs * job.share / total_share // 1))
        started = time.process_time()
        found, most, slowest = fuzz(job, runs, options.seed * 10_000_000)
        executions += runs
        findings += found
        seconds = time.process_time() - started
        print(
            f"{job.name:<28} {runs:>10} {len(found):>8} {most:>10} {slowest * 1000:>10.1f} {seconds:>7.1f}", flush=True
        )
    print(f"{'total':<28} {executions:>10} {len(findings):>8}")
    for finding in findings:
        options.found.mkdir(parents=True, exist_ok=True)
        file = options.found / f"{finding.target.replace(' ', '-')}-{finding.seed}.txt"
        file.write_text(
            f"{finding.target}\n{finding.seed}\n{finding.input!r}\n", encoding="utf-8", errors="backslashreplace"
        )
        print(f"{finding.target} seed {finding.seed}: {finding.error}\n    {repr(finding.input)[:300]}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
