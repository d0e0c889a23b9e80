"""The command line: ``python -m stalls_bench.run --times 3 --seed 1``. It exits with 1 if a server does not pass."""

import argparse
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from stalls_bench import cable, document, judge, processes, results, slow_calls
from stalls_bench.injectors import cpu_limit_folder
from stalls_bench.kinds import KINDS, SLOW_CALLS, LaneName
from stalls_bench.lane import Row
from stalls_bench.plan import make_plan, select
from stalls_bench.server import USUAL, Software, binary
from stalls_bench.session import Session


def _say(text: str) -> None:
    print(text, flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make stalls", description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="how often each kind is made")
    parser.add_argument("--seed", type=int, help="repeats a plan; without it, the clock gives one")
    parser.add_argument("--only", default="", help="kinds, with commas")
    parser.add_argument("--full", action="store_true", help="all kinds, not only the quick ones")
    parser.add_argument("--server", default=",".join(USUAL), help="redis, valkey, redis8, with commas")
    parser.add_argument("--quiet", type=float, default=0.0, help="minutes with load and small snapshots, no stall")
    parser.add_argument("--usual-priority", action="store_true", help="do not raise the priority of any process")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no stall after so many minutes")
    parser.add_argument("--results", type=Path, help="append each stall with its evidence to this file")
    parser.add_argument("--judge", type=Path, nargs="+", help="judge stored results by the rules of this checkout")
    parser.add_argument("--as-named", action="store_true", help="with --judge: keep the causes that were named")
    parser.add_argument("--write", action="store_true", help="with --judge: write the tables into docs/")
    parser.add_argument("--record", type=Path, help="with --judge: write evidence for tests into this folder")
    return parser.parse_args(arguments)


def available(names: str) -> list[Software]:
    """Return the servers that can run here. Print why others cannot."""
    found: list[Software] = []
    for name in names.split(","):
        software: Software = name  # type: ignore[assignment]
        try:
            binary(software)
        except LookupError as error:
            _say(f"skipped {name}: {error}")
        else:
            found.append(software)
    return found


def possible(kinds: Iterable[str]) -> list[str]:
    """Return the kinds that this machine can make. Print why others are skipped."""
    groups = {
        "the kinds of the network": ({name for name in KINDS if KINDS[name].lane == "net"}, cable.unavailable_reason),
        "the kinds with slow calls": (SLOW_CALLS, lambda: "" if slow_calls.can_build() else "gcc is not installed"),
        "limit": ({"limit"}, lambda: "" if cpu_limit_folder() else "no CPU controller of cgroups v1 is writable"),
    }
    left = set(kinds)
    for title, (members, reason_of) in groups.items():
        if left & members and (reason := reason_of()):
            _say(f"skipped {title}: {reason}")
            left -= members
    return [name for name in kinds if name in left]


def quiet(folder: Path, servers: Sequence[Software], minutes: float) -> int:
    """Print the stalls of a quiet time. Return the exit code."""
    lanes: list[LaneName] = ["idle", "aof"]
    with Session(folder, [(server, lane) for server in servers for lane in lanes]) as session:
        found = session.watch(minutes * 60)
        rates = session.rates()
    for record in found:
        _say(f"{record['target']}: {record['seconds']} s {record['cause']}: {record['why']}")
    _say(f"{minutes:g} quiet minutes on {', '.join(servers)}: {len(found)} stalls; commands per second: {rates}")
    return 1 if found else 0


def run(folder: Path, options: argparse.Namespace, seed: int) -> list[Row]:
    """Make all stalls, and print each. Return their rows."""
    servers = available(options.server)
    kinds = possible(select(options.only, full=options.full))
    plans = {server: make_plan(seed, kinds, options.times, server) for server in servers}
    lanes = [(server, lane) for server in servers for lane in plans[server]]
    own_times = 0 if options.only else options.times
    until = time.monotonic() + (options.minutes * 60 or math.inf)
    _say(f"seed {seed}: {len(kinds)} kinds, {options.times} times, on {', '.join(servers)}")
    rows = []
    with Session(folder, lanes) as session:
        for row in session.make(plans, seed, until, own_times):
            rows.append(row)
            _say(describe(row))
            if options.results:
                results.write(options.results, row)
    return rows


def describe(row: Row) -> str:
    """Return a line about one stall."""
    found = []
    for record, outcome in zip(row.records, judge.outcomes([row]), strict=True):
        mark = "" if outcome.result == "right" else f" <<< {outcome.result}, {outcome.expected}: {record['why']}"
        found.append(f"{record['seconds']:.2f} s {outcome.named}{mark}")
    return f"{row.server:7} {row.kind:16} {row.rate:6.0f}/s  {'; '.join(found) or 'no ping met it'}"


def report(rows: Sequence[Row]) -> int:
    """Print the matrix of each server and the verdict. Return the exit code."""
    code = 0
    for server in dict.fromkeys(row.server for row in rows):
        seeds = ", ".join(str(seed) for seed in dict.fromkeys(row.seed for row in rows if row.server == server))
        _say(f"\n### {server}, seeds {seeds}\n\n{judge.matrix(rows, server)}\n")
        for name, share in judge.shares(rows, server).items():
            _say(f"- {name}: {share}")
        reasons = judge.complaints(rows, server)
        code = 1 if reasons else code
        for reason in reasons:
            _say(f"- failed: {reason}")
    return code


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for. Return the exit code."""
    options = parse(arguments)
    if options.judge:
        rows = [row for file in options.judge for row in results.read(file)]
        rows = rows if options.as_named else [results.classify_again(row) for row in rows]
        if options.record:
            count = results.store_evidence(rows, options.record, options.times)
            _say(f"{count} files in {options.record}")
        if options.write:
            document.write(rows)
        return report(rows)
    if options.usual_priority:
        os.environ[processes.USUAL_PRIORITY] = "1"
    seed = options.seed if options.seed is not None else int(time.time())
    with tempfile.TemporaryDirectory(prefix="stalls") as name:
        if options.quiet:
            return quiet(Path(name), available(options.server), options.quiet)
        rows = run(Path(name), options, seed)
    contradictions = results.contradicted(rows)
    for text in contradictions:
        _say(f"the stored evidence does not lead to the cause again: {text}")
    return max(report(rows), 1 if contradictions else 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and namespaces are removed
    sys.exit(main(sys.argv[1:]))
