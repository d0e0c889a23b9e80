"""What it costs us to follow a cluster: reading what its nodes see, and deciding what is so. See bench/README.md.

python bench/topology.py [--rounds 30]
"""

import argparse
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from redis_pulse import __version__
from redis_pulse.config import parse_url
from redis_pulse.discovery.cluster.metrics import changes, count_nodes
from redis_pulse.discovery.cluster.source import VIEWS
from redis_pulse.discovery.cluster.topology import NodeView, majority_view, states
from redis_pulse.parse.cluster_nodes import SLOTS, parse_nodes

SIZES = (6, 30, 100, 1000)
REACHED = parse_url("redis://10.0.0.1").endpoint


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="refreshes of which the median counts")
    rounds = parser.parse_args().rounds
    print(f"redis-pulse {__version__}, Python {platform.python_version()}, {platform.machine()}\n")
    print(f"`python bench/topology.py --rounds {rounds}`\n")
    print(
        "| nodes | asked a refresh | bytes an answer | longest piece, ms | CPU a refresh, ms | of a core, each 10 s |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for size in SIZES:
        print(row(size, rounds))


def row(size: int, rounds: int) -> str:
    """Measure one size of a cluster: half of its nodes are masters, each with a replica."""
    asked = min(size, VIEWS)
    answers = [[answer(size, voter, moment) for voter in range(asked)] for moment in range(2)]
    reading, deciding = [], []
    known: NodeView | None = None
    for number in range(rounds):
        views = []
        for text in answers[number % 2]:
            seconds, view = timed(lambda text=text: NodeView.from_nodes(parse_nodes(text).by_id, REACHED))  # type: ignore[misc]
            reading.append(seconds)
            views.append(view)
        seconds, known = timed(lambda views=views, known=known: decide(views, known))  # type: ignore[misc]
        deciding.append(seconds)
    read, decided = statistics.median(reading), statistics.median(deciding)
    whole = asked * read + decided
    cells = (size, asked, len(answers[0][0]), *(f"{1e3 * one:.2f}" for one in (max(read, decided), whole)))
    return f"| {' | '.join(map(str, cells))} | {whole / 10:.3%} |"


def decide(views: list[NodeView], known: NodeView | None) -> NodeView | None:
    """Do what a refresh does once the nodes have answered."""
    view = majority_view(views, known, {}, ())
    if view is not None:
        count_nodes(view, states(view, views))
        changes(known or view, view)
    return view


def answer(size: int, voter: int, moment: int) -> str:
    """Write CLUSTER NODES as one of the nodes answers it; when it last heard of the others differs each time."""
    named = random.Random(size)
    names = [f"{named.getrandbits(160):040x}" for _ in range(size)]
    masters = size // 2
    lines = []
    for number, name in enumerate(names):
        master = number < masters
        flags = f"{'myself,' if number == voter else ''}{'master' if master else 'slave'}"
        first, last = number * SLOTS // masters, (number + 1) * SLOTS // masters - 1
        heard = random.randrange(1_700_000_000_000, 1_800_000_000_000) + moment
        lines.append(
            f"{name} 10.0.{number // 250}.{number % 250}:6379@16379,node-{number}.cart {flags} "
            f"{'-' if master else names[number - masters]} 0 {heard} {number} connected"
            f"{f' {first}-{last}' if master else ''}\n"
        )
    return "".join(lines)


def timed(work: Callable[[], NodeView | None]) -> tuple[float, NodeView]:
    """Return its CPU seconds and its result."""
    before = time.process_time()
    result = work()
    seconds = time.process_time() - before
    if result is None:
        raise SystemExit("the answers that were made up cannot be read")
    return seconds, result


if __name__ == "__main__":
    main()
