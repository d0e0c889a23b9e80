"""What an echo server does to the PINGs that reach it: a base delay, and periods in which something is wrong."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

#: ``stall``: answered when the period ends. ``drop``: no answer to some, as often as ``share`` says. ``hang``: no more
#: answers on a connection that met it. ``pieces``: the answer comes in two halves, ``seconds`` apart. ``twice``: it
#: comes twice, as often as ``share`` says. ``delay``: answered ``seconds`` later. ``refuse``: connections are reset and
#: new ones refused.
Do = Literal["stall", "drop", "hang", "pieces", "twice", "delay", "refuse"]


class Period(NamedTuple):
    """Something that is wrong from ``begin`` until ``end`` (monotonic seconds), again ``every`` so many seconds.

    ``ports`` are numbers from 0; None stands for all.
    """

    do: Do
    begin: float
    end: float
    every: float = 0.0
    seconds: float = 0.0
    share: float = 1.0
    ports: frozenset[int] | None = None

    @classmethod
    def read(cls, words: dict[str, Any], now: float) -> "Period":
        """Read ``{"do": "stall", "in": 1.0, "for": 2.0, …}``: it begins ``in`` seconds (0) from now."""
        known = dict(words)
        begin = now + known.pop("in", 0.0)
        end = begin + known.pop("for", math.inf)
        ports = known.pop("ports", None)
        return cls(begin=begin, end=end, ports=None if ports is None else frozenset(ports), **known)

    def ends(self, port: int, now: float) -> float | None:
        """Return when the round of it ends that we are in; None when it does not concern that port now."""
        if now < self.begin or (self.ports is not None and port not in self.ports):
            return None
        end = self.end
        if self.every:
            end += math.floor((now - self.begin) / self.every) * self.every
        return end if now < end else None


class Fate(NamedTuple):
    """When a PING is answered (monotonic seconds), and how; ``apart`` seconds lie between halves of the answer."""

    at: float
    do: Do | Literal["answer"]
    apart: float = 0.0


def delays(spec: str, chance: random.Random) -> Callable[[], float]:
    """Return a source of delays in seconds: ``0.002``, ``uniform:0.001:0.02`` or ``lognormal:MEDIAN:SIGMA``."""
    kind, *numbers = spec.split(":")
    match kind, [float(number) for number in numbers]:
        case "uniform", [low, high]:
            return lambda: chance.uniform(low, high)
        case "lognormal", [median, sigma]:
            return lambda: median * math.exp(chance.gauss(0.0, sigma))
        case _, []:
            constant = float(kind)
            return lambda: constant
    raise ValueError(f"neither a number of seconds nor a distribution: {spec}")


class Script:
    """The base delay, and every period that was asked for."""

    def __init__(self, delay: str = "0", seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._delay = delays(delay, self._chance)
        self._periods: list[Period] = []

    def add(self, periods: Sequence[Period]) -> None:
        self._periods += periods

    def fate(self, port: int, now: float) -> Fate:
        """Decide about a PING that arrived now; of several periods the longest stall counts, and the worst end."""
        at, how, apart = now + self._delay(), "answer", 0.0
        for period in self._periods:
            end = period.ends(port, now)
            if end is None:
                continue
            if period.do == "stall":
                at = max(at, end)
            elif period.do == "delay":
                at = max(at, now + period.seconds)
            elif period.do == "pieces":
                apart = period.seconds
            elif period.do == "hang" or (period.do in ("drop", "twice") and self._chance.random() < period.share):
                how = period.do
        return Fate(at, how, apart)  # type: ignore[arg-type]
