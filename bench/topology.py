"""Measure the cost of following a cluster: parsing the views of its nodes, and choosing one. See bench/README.md.

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

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "exporter"))

from redis_pulse import __version__
from redis_pulse.config import parse_url
from redis_pulse.discovery.cluster.metrics import changes, count_nodes
from redis_pulse.discovery.cluster.source import NODES_PER_REFRESH
from redis_pulse.discovery.cluster.topology import NodeView, majority_view, states
from redis_pulse.parse.cluster_nodes import SLOTS, parse_nodes

SIZES = (6, 30, 100, 1000)
ENDPOINT = parse_url("redis://10.0.0.1").endpoint


def main() -> None:
    """Measure each size of a cluster, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="number of refreshes; the median counts")
    rounds = parser.parse_args().rounds
    print(f"redis-pulse {__version__}, Python {platform.python_version()}, {platform.machine()}\n")
    print(f"`python bench/topology.py --rounds {rounds}`\n")
    print(
        "| nodes | queried per refresh | bytes per reply | longest step, ms | CPU per refresh, ms | "
        "share of a core, each 10 s |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for size in SIZES:
        print(row(size, rounds))


def row(size: int, rounds: int) -> str:
    """Return the table row for one size of a cluster; half of its nodes are masters with one replica each."""
    queried = min(size, NODES_PER_REFRESH)
    replies = [[make_reply(size, node, moment) for node in range(queried)] for moment in range(2)]
    parsing, choosing = [], []
    known: NodeView | None = None
    for number in range(rounds):
        views = []
        for text in replies[number % 2]:
            seconds, view = timed(lambda text=text: NodeView.from_nodes(parse_nodes(text).by_id, ENDPOINT))  # type: ignore[misc]
            parsing.append(seconds)
            views.append(view)
        seconds, known = timed(lambda views=views, known=known: choose(views, known))  # type: ignore[misc]
        choosing.append(seconds)
    parse_seconds, choose_seconds = statistics.median(parsing), statistics.median(choosing)
    total = queried * parse_seconds + choose_seconds
    longest_step = max(parse_seconds, choose_seconds)
    cells = (size, queried, len(replies[0][0]), *(f"{1e3 * seconds:.2f}" for seconds in (longest_step, total)))
    return f"| {' | '.join(map(str, cells))} | {total / 10:.3%} |"


def choose(views: list[NodeView], known: NodeView | None) -> NodeView | None:
    """Do the work of a refresh after the replies of the nodes have been parsed."""
    view = majority_view(views, known, {}, ())
    if view is not None:
        count_nodes(view, states(view, views))
        changes(known or view, view)
    return view


def make_reply(size: int, node: int, moment: int) -> str:
    """Return the reply of one node to CLUSTER NODES; the times of the last pongs differ in each reply."""
    dice = random.Random(size)
    ids = [f"{dice.getrandbits(160):040x}" for _ in range(size)]
    masters = size // 2
    lines = []
    for number, node_id in enumerate(ids):
        is_master = number < masters
        flags = f"{'myself,' if number == node else ''}{'master' if is_master else 'slave'}"
        first, last = number * SLOTS // masters, (number + 1) * SLOTS // masters - 1
        pong_time = random.randrange(1_700_000_000_000, 1_800_000_000_000) + moment
        lines.append(
            f"{node_id} 10.0.{number // 250}.{number % 250}:6379@16379,node-{number}.cart {flags} "
            f"{'-' if is_master else ids[number - masters]} 0 {pong_time} {number} connected"
            f"{f' {first}-{last}' if is_master else ''}\n"
        )
    return "".join(lines)


def timed(work: Callable[[], NodeView | None]) -> tuple[float, NodeView]:
    """Return the CPU seconds and the result of some work."""
    before = time.process_time()
    result = work()
    seconds = time.process_time() - before
    if result is None:
        raise SystemExit("the generated replies cannot be parsed")
    return seconds, result


if __name__ == "__main__":
    main()
