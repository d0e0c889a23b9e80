"""Which stalls are made: a pure function of the seed."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from stalls_bench.kinds import KINDS, LANES, LaneName


class Step(NamedTuple):
    """One stall: ``delay`` in seconds before it, a factor for its length, where in a second it begins."""

    kind: str
    delay: float
    scale: float
    aim: float


def make_plan(seed: int, kinds: Sequence[str], times: int, server: str) -> dict[LaneName, list[Step]]:
    """Return the steps of each lane of one server. Each round has each kind once, in a random order."""
    plan: dict[LaneName, list[Step]] = {}
    for lane in LANES:
        numbers = random.Random(f"{seed} {server} {lane}")
        names = [name for name in KINDS if name in kinds and KINDS[name].lane == lane]
        steps = []
        for _ in range(times):
            numbers.shuffle(names)
            steps += [Step(name, numbers.random(), numbers.uniform(0.9, 1.3), numbers.random()) for name in names]
        if steps:
            plan[lane] = steps
    return plan


def select(only: str, full: bool) -> list[str]:
    """Return the kinds to make: those that are named, all, or the quick ones. Raise ValueError for an unknown one."""
    if not only:
        return [name for name, kind in KINDS.items() if full or kind.is_quick]
    names = only.split(",")
    if unknown := [name for name in names if name not in KINDS]:
        raise ValueError(f"unknown kinds {', '.join(unknown)}: choose of {', '.join(KINDS)}")
    return names
