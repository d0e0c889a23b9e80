"""How true a measured latency is: redis-pulse and a naive loop beside the servers' own record. See bench/README.md.

python bench/probe_accuracy.py [--targets 1,100,1000] [--seconds 12] [--stall 100]
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from accuracy_pairs import Window, missing
from accuracy_run import EVERY, INTERVAL, NAIVE, OURS, STALL, measure
from process import allow_many_files
from quantiles import cuts, say

from redis_pulse import __version__


class Case(NamedTuple):
    """So many targets, with stalls or without, and what each program saw of them."""

    count: int
    stalls: bool
    seen: dict[str, Window]

    @property
    def name(self) -> str:
        """As it stands in the table."""
        stalls = f", stalls of {STALL:g} s in {EVERY:g}" if self.stalls else ""
        return f"{self.count} target{'s' * (self.count > 1)}{stalls}"


def main() -> None:
    """Measure and print."""
    options = arguments()
    allow_many_files()
    cases = [Case(count, False, {}) for count in options.targets] + [Case(count, True, {}) for count in options.stall]
    with tempfile.TemporaryDirectory(prefix="redis-pulse-bench-") as folder:
        for number, case in enumerate(cases):
            for who in (OURS, NAIVE) if number % 2 else (NAIVE, OURS):
                place = Path(folder) / f"{number}-{who[:5]}"
                case.seen[who] = measure(who, place, case.count, options.seconds, stalls=case.stalls)
    report(cases, options)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def counts(text: str) -> list[int]:
        return [count for word in text.split(",") if word and (count := int(word)) > 0]

    parser.add_argument("--targets", type=counts, default=[1, 100, 1000], help="numbers of targets; 0: none")
    parser.add_argument("--stall", type=counts, default=[100], help="numbers of targets with stalls; 0: none")
    parser.add_argument("--seconds", type=float, default=12.0, help="measured for each case and program")
    return parser.parse_args()


def show(values: list[float], unit: float = 1e6) -> str:
    """Return p50 / p99 / max of durations in ns; in ms unless another unit is given."""
    return say(tuple(value / unit for value in cuts(values)))


def report(cases: list[Case], options: argparse.Namespace) -> None:
    """Print Markdown."""
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"- {OURS} {__version__}, Python {platform.python_version()}; PING every {INTERVAL:g} s")
    print(f"- {options.seconds:g} s each, in turns; the servers on the same machine")
    print(f"- command: `{' '.join(['python', 'bench/probe_accuracy.py', *sys.argv[1:]])}`\n")
    print(
        "Error: what was measured, less the time from the arrival of the PING to its answer by the server's record.\n"
    )
    print("| case | error p50 / p99 / max, ms | CPU of one core | not sent in stalls | failed or skipped |")
    print("|---|---|---|---|---|")
    for case in cases:
        for who in (NAIVE, OURS):
            window = case.seen[who]
            errors = [one.took - ((ping.left or 0) - ping.arrived) for one, ping in window.pairs]
            lost = missing(window, case.count, INTERVAL)
            print(f"| {case.name}: {who} | {show(errors)} | {window.cpu:.1%} | {lost} | {window.failures} |")
    print(f"\nThe same of {OURS} in parts, p50 / p99 / max in µs, and how late after its moment a PING left, in ms:\n")
    print("| case | clock read → arrival | answer left → stamp | due → sent, ms | kernel's clock | servers' CPU |")
    print("|---|---|---|---|---|---|")
    for case in cases:
        window = case.seen[OURS]
        before = [ping.arrived - one.sent for one, ping in window.pairs]
        after = [(one.received or 0) - (ping.left or 0) for one, ping in window.pairs]
        late = [one.sent - (one.due or 0) for one, _ in window.pairs]
        kernel = sum(one.clock == "kernel" for one, _ in window.pairs) / max(1, len(window.pairs))
        parts = f"{show(before, 1e3)} | {show(after, 1e3)} | {show(late)} | {kernel:.1%} | {window.server_cpu:.0%}"
        print(f"| {case.name} | {parts} |")


if __name__ == "__main__":
    main()
