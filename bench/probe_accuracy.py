"""Compare latencies measured by redis-pulse and by a naive loop with the servers' records. See bench/README.md.

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
from quantiles import cuts, format_quantiles

from redis_pulse import __version__


class Case(NamedTuple):
    """A number of targets, with or without stalls, and what each program measured."""

    count: int
    stalls: bool
    windows: dict[str, Window]

    @property
    def name(self) -> str:
        """Return the name of the case in the table."""
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
                run_folder = Path(folder) / f"{number}-{who[:5]}"
                case.windows[who] = measure(
                    who,
                    run_folder,
                    case.count,
                    options.seconds,
                    stalls=case.stalls,
                    explains_stalls=not options.no_causes,
                )
    report(cases, options)


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def counts(text: str) -> list[int]:
        return [count for word in text.split(",") if word and (count := int(word)) > 0]

    parser.add_argument("--targets", type=counts, default=[1, 100, 1000], help="numbers of targets; 0: none")
    parser.add_argument("--stall", type=counts, default=[100], help="numbers of targets with stalls; 0: none")
    parser.add_argument("--seconds", type=float, default=12.0, help="measuring time for each case and program")
    parser.add_argument("--no-causes", action="store_true", help="switch off what finds the causes of stalls")
    return parser.parse_args()


def format_durations(values: list[float], unit: float = 1e6) -> str:
    """Return p50 / p99 / max of durations in ns, by default in ms."""
    return format_quantiles(tuple(value / unit for value in cuts(values)))


def report(cases: list[Case], options: argparse.Namespace) -> None:
    """Print Markdown."""
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"- {OURS} {__version__}, Python {platform.python_version()}; PING every {INTERVAL:g} s")
    print(f"- {options.seconds:g} s each, in turns; the servers on the same machine")
    print(f"- command: `{' '.join(['python', 'bench/probe_accuracy.py', *sys.argv[1:]])}`\n")
    print("Error: the measured latency minus the time from arrival of the PING to reply in the server's record.\n")
    print("| case | error p50 / p99 / max, ms | CPU of one core | not sent in stalls | failed or skipped |")
    print("|---|---|---|---|---|")
    for case in cases:
        for who in (NAIVE, OURS):
            window = case.windows[who]
            errors = [measured.took - ((ping.left or 0) - ping.arrived) for measured, ping in window.pairs]
            lost = missing(window, case.count, INTERVAL)
            print(
                f"| {case.name}: {who} | {format_durations(errors)} | {window.cpu:.1%} | {lost} | {window.failures} |"
            )
    print(f"\nThe parts of the error of {OURS}, p50 / p99 / max in µs, and how late a PING was sent, in ms:\n")
    print("| case | clock read → arrival | answer left → stamp | due → sent, ms | kernel's clock | servers' CPU |")
    print("|---|---|---|---|---|---|")
    for case in cases:
        window = case.windows[OURS]
        before = [ping.arrived - measured.sent for measured, ping in window.pairs]
        after = [(measured.received or 0) - (ping.left or 0) for measured, ping in window.pairs]
        late = [measured.sent - (measured.due or 0) for measured, _ in window.pairs]
        kernel = sum(measured.clock == "kernel" for measured, _ in window.pairs) / max(1, len(window.pairs))
        parts = [format_durations(before, 1e3), format_durations(after, 1e3), format_durations(late)]
        cells = [case.name, *parts, f"{kernel:.1%}", f"{window.server_cpu:.0%}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
