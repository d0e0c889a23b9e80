"""Ten key spaces of different skew, and the simulation of the sampler on them: ``bench/keyspace.py`` uses them.

A key is a number. Its size comes from a table, its name is made when it is drawn. So ten million keys fit into memory.
"""

import random
import statistics
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import NamedTuple

from redis_pulse.keyspace import Draw, KeyspaceSettings, KeyspaceState, ServerFacts
from redis_pulse.keyspace.reporting import shown_name

#: Seconds after the start at which the estimates are compared with the truth.
CHECKPOINTS = (15, 30, 60, 120, 300, 600)
#: Of those, the ones at which intervals are judged.
JUDGED = (60, 300, 600)
#: The pace of the daemon: keys a second, the first and the later share of draws, and when it changes.
KEYS, FIRST, LATER, ENOUGH = 100, 0.75, 0.25, 2000
#: Keys of a space that the simulated walk may find: the largest.
_LARGE = 4000
#: Runs of each space at least.
_LEAST = 4


class Kind(NamedTuple):
    """Keys with names and sizes of one kind. ``grows`` is their number at the end, if it changes."""

    name: Callable[[int], str]
    count: int
    size: Callable[[random.Random], float]
    type: str = "string"
    grows: int | None = None


class Space(NamedTuple):
    """One key space."""

    title: str
    kinds: tuple[Kind, ...]


class Result(NamedTuple):
    """What one run showed: of each judged interval whether it had the truth, and the relative error of the sum."""

    covered: list[bool]
    errors: list[float]
    judged_widths: list[float]
    #: by checkpoint: the relative half width of the interval of the sum
    widths: dict[int, float]


def spaces(scale: float) -> list[Space]:
    """Return the spaces. ``scale`` 1.0 is 1 to 10 million keys."""

    def n(count: int) -> int:
        return max(1, round(count * scale))

    def between(low: int, high: int) -> Callable[[random.Random], float]:
        return lambda source: low + int(source.random() * (high - low + 1))

    def pareto(alpha: float, least: int, most: float) -> Callable[[random.Random], float]:
        return lambda source: min(most, least * source.paretovariate(alpha))

    session, user = (lambda k: f"session:{k:016x}"), (lambda k: f"user:{k}:profile")
    zipf_kinds = tuple(
        Kind(lambda k, r=rank: f"app:{_word(r)}:{k}", n(300_000 // (rank + 1)), between(60, 600)) for rank in range(40)
    )
    return [
        Space("uniform", (Kind(session, n(1_000_000), between(50, 400)),)),
        Space(
            "two patterns, 9 to 1",
            (Kind(session, n(900_000), between(50, 400)), Kind(user, n(100_000), between(500, 900))),
        ),
        Space(
            "Zipf sizes", (Kind(session, n(700_000), pareto(1.1, 60, 5e7)), Kind(user, n(300_000), between(200, 600)))
        ),
        Space("Zipf patterns (40)", zipf_kinds),
        Space(
            "few giants",
            (
                Kind(session, n(1_000_000), between(50, 400)),
                Kind(lambda k: f"queue:{k}", 500, between(200_000, 220_000), "list"),
                Kind(lambda k: f"blob:{k}", 5, between(20_000_000, 20_000_001)),
            ),
        ),
        Space(
            "one giant",
            (
                Kind(session, n(1_000_000), between(50, 400)),
                Kind(lambda _: "leaderboard", 1, between(100_000_000, 100_000_001), "zset"),
            ),
        ),
        Space(
            "many tiny (10 M)",
            (
                Kind(lambda k: f"t:{k}", n(10_000_000), between(56, 64)),
                Kind(user, n(20_000), between(8_000, 12_000), "hash"),
            ),
        ),
        Space("lognormal sizes", (Kind(session, n(1_000_000), lambda source: 80 * source.lognormvariate(0, 2)),)),
        Space(
            "10 M names of patterns",
            (
                Kind(lambda k: f"{_word(k * 7919 % 9_999_991)}:{_word(k)}", n(1_000_000), between(60, 300)),
                Kind(user, n(200_000), between(500, 900)),
            ),
        ),
        Space(
            "changing",
            (
                Kind(session, n(1_000_000), between(50, 400)),
                Kind(lambda k: f"event:{k}", n(50_000), between(900, 1100), "hash", n(400_000)),
            ),
        ),
    ]


def _word(number: int) -> str:
    letters = ""
    for _ in range(6):
        letters += chr(97 + number % 26)
        number //= 26
    return letters


class Simulation:
    """One space, its sizes, and runs of the sampler on it."""

    def __init__(self, space: Space, seed: int) -> None:
        source = random.Random(seed)
        self.space = space
        self.counts = [max(kind.count, kind.grows or 0) for kind in space.kinds]
        self.starts = [0, *accumulate(self.counts)]
        self.sizes = array("I")
        for kind, count in zip(space.kinds, self.counts, strict=True):
            self.sizes.extend(max(1, round(kind.size(source))) for _ in range(count))
        self.large = sorted(range(len(self.sizes)), key=self.sizes.__getitem__)[-_LARGE:]
        self.sums = [
            list(accumulate(self._sizes_of(at), initial=0)) if kind.grows else [0, sum(self._sizes_of(at))]
            for at, kind in enumerate(space.kinds)
        ]

    def _sizes_of(self, at: int) -> array:
        return self.sizes[self.starts[at] : self.starts[at + 1]]

    def present(self, at: int, share: float) -> int:
        """Return how many keys a kind has when ``share`` of the run is over."""
        kind = self.space.kinds[at]
        return kind.count if kind.grows is None else round(kind.count + share * (kind.grows - kind.count))

    def key(self, number: int) -> Draw:
        """Return a key as the server describes it."""
        at = bisect_right(self.starts, number) - 1
        kind = self.space.kinds[at]
        return Draw(kind.name(number - self.starts[at]).encode(), kind.type, self.sizes[number], -1, 60)

    def run(self, seed: int) -> Result:
        """Run the sampler for ten minutes."""
        source, now = random.Random(seed), [1000.0]
        state = KeyspaceState(KeyspaceSettings(), clock=lambda: now[0], wall=lambda: now[0])
        walk = sorted((source.random(), number) for number in self.large)
        result, walked, owed = Result([], [], [], {}), 0.0, 0.0
        for second in range(1, CHECKPOINTS[-1] + 1):
            share = second / CHECKPOINTS[-1]
            present = [self.present(at, share) for at in range(len(self.counts))]
            total = sum(present)
            state.observe(ServerFacts(run_id="1", software="redis", version="7.2.4", keys={0: total}))
            owed += KEYS * (FIRST if state.draws_total < ENOUGH else LATER)
            limits = list(accumulate(present))
            draws = []
            for _ in range(int(owed)):
                place = int(source.random() * total)
                at = bisect_right(limits, place)
                draws.append(self.key(self.starts[at] + place - (limits[at - 1] if at else 0)))
            owed -= int(owed)
            state.add_draws(0, draws)
            steps = round(KEYS * ((1 - FIRST) if state.draws_total < ENOUGH else (1 - LATER)))
            state.walk.position([0], now[0])
            walked = min(1.0, walked + steps / total)
            while walk and walk[0][0] <= walked:
                draw = self.key(walk.pop(0)[1])
                if state.is_interesting(draw.size or 0):
                    state.add_found(0, draw)
            if not state.walk.passes:
                state.walk.advance(0 if walked >= 1 else 1, steps, [0], now[0])
            now[0] += 1
            if second % 15 == 0 or second in CHECKPOINTS:
                report = state.report()
            if second in CHECKPOINTS and report.memory:
                result.widths[second] = report.memory.error / max(1.0, report.memory.value)
                if second in JUDGED:
                    self._judge(state, present, result)
        return result

    def _judge(self, state: KeyspaceState, present: list[int], result: Result) -> None:
        """Compare each series, of a pattern and a type, with its true sum."""
        truth: dict[tuple[str, str], float] = defaultdict(float)
        unknown: set[str] = set()
        for at, count in enumerate(present):
            sums = self.sums[at]
            size = sums[count] if len(sums) > 2 else sums[1]
            first, stride = self.starts[at], max(1, count // 50)
            names = {
                shown_name(state.selection.nearest(state.tree.find(0, self.key(first + k).name)))
                for k in range(0, count, stride)
            }
            if len(names) > 1:
                unknown |= names  # a kind that is shown as several patterns
            for name in names:
                truth[name, self.space.kinds[at].type] += size
        sums_of: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        report = state.report()
        for usage in report.patterns:
            if usage.memory is not None:
                sums_of[usage.pattern, usage.type].append(usage.memory)
        for series, parts in sums_of.items():
            if series[0] in unknown or not truth[series]:
                continue
            value = sum(one[0] for one in parts)
            error = sum(one[1] ** 2 for one in parts) ** 0.5
            result.covered.append(abs(value - truth[series]) <= error + 1e-6 * truth[series])
            result.errors.append(abs(value - truth[series]) / truth[series])
            result.judged_widths.append(error / truth[series])


class SpaceResult(NamedTuple):
    """What all runs on one space showed. Errors and widths are relative to the truth."""

    title: str
    keys: int
    judged: int
    covered: int
    error: float
    width: float
    reached: str


def simulate(scale: float, intervals: int, seed: int, only: str) -> Iterator[SpaceResult]:
    """Yield the result of each space, from as many runs as give so many intervals."""
    for number, space in enumerate(spaces(scale)):
        if only not in space.title:
            continue
        simulation = Simulation(space, seed + number)
        results: list[Result] = []
        while len(results) < _LEAST or (
            sum(len(one.covered) for one in results) < intervals and len(results) < intervals
        ):
            results.append(simulation.run(seed + 100 * number + len(results)))
        covered = [one for result in results for one in result.covered]
        errors = [one for result in results for one in result.errors]
        judged_widths = [one for result in results for one in result.judged_widths]
        reached = [
            at for at in CHECKPOINTS if statistics.median(result.widths.get(at, 1.0) for result in results) <= 0.05
        ]
        yield SpaceResult(
            space.title,
            len(simulation.sizes),
            len(covered),
            sum(covered),
            statistics.mean(errors or [0.0]),
            statistics.mean(judged_widths or [0.0]),
            f"{reached[0]} s" if reached else f"> {CHECKPOINTS[-1]} s",
        )
