"""What an echo server does with the PINGs that arrive: a base delay, and periods of misbehaviour."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

#: - ``stall``: the replies are sent when the period ends.
#: - ``delay``: the reply is sent ``seconds`` later.
#: - ``drop``: a share of the PINGs gets no reply.
#: - ``twice``: a share of the PINGs gets the reply twice.
#: - ``hang``: a connection with a PING in the period gets no more replies.
#: - ``pieces``: the reply comes in two halves, ``seconds`` apart.
#: - ``refuse``: connections are reset, and new ones are refused.
Do = Literal["stall", "drop", "hang", "pieces", "twice", "delay", "refuse"]


class Period(NamedTuple):
    """A misbehaviour from ``begin`` until ``end`` (monotonic seconds), repeated ``every`` so many seconds.

    ``ports`` are numbers from 0. None means all ports.
    """

    do: Do
    begin: float
    end: float
    every: float = 0.0
    seconds: float = 0.0
    share: float = 1.0
    ports: frozenset[int] | None = None

    @classmethod
    def parse(cls, message: dict[str, Any], now: float) -> "Period":
        """Return the period in ``{"do": "stall", "in": 1.0, "for": 2.0, …}``. It begins ``in`` seconds (0) from now."""
        options = dict(message)
        begin = now + options.pop("in", 0.0)
        end = begin + options.pop("for", math.inf)
        ports = options.pop("ports", None)
        return cls(begin=begin, end=end, ports=None if ports is None else frozenset(ports), **options)

    def end_of_round(self, port: int, now: float) -> float | None:
        """Return when the current repetition ends, or None if the port is not affected now."""
        if now < self.begin or (self.ports is not None and port not in self.ports):
            return None
        end = self.end
        if self.every:
            end += math.floor((now - self.begin) / self.every) * self.every
        return end if now < end else None


class Fate(NamedTuple):
    """When a PING gets its reply (monotonic seconds), and how. ``apart`` seconds lie between halves of the reply."""

    at: float
    do: Do | Literal["answer"]
    apart: float = 0.0


def delay_source(spec: str, rng: random.Random) -> Callable[[], float]:
    """Return a source of delays in seconds: ``0.002``, ``uniform:0.001:0.02`` or ``lognormal:MEDIAN:SIGMA``."""
    kind, *numbers = spec.split(":")
    match kind, [float(number) for number in numbers]:
        case "uniform", [low, high]:
            return lambda: rng.uniform(low, high)
        case "lognormal", [median, sigma]:
            return lambda: median * math.exp(rng.gauss(0.0, sigma))
        case _, []:
            constant = float(kind)
            return lambda: constant
    raise ValueError(f"neither a number of seconds nor a distribution: {spec}")


class Script:
    """The base delay and all periods."""

    def __init__(self, delay: str = "0", seed: int = 1) -> None:
        self._rng = random.Random(seed)
        self._delay = delay_source(delay, self._rng)
        self._periods: list[Period] = []

    def add(self, periods: Sequence[Period]) -> None:
        self._periods += periods

    def decide(self, port: int, now: float) -> Fate:
        """Return the fate of a PING that arrived now. Of several periods, the longest stall and the worst end count."""
        at, how, apart = now + self._delay(), "answer", 0.0
        for period in self._periods:
            end = period.end_of_round(port, now)
            if end is None:
                continue
            if period.do == "stall":
                at = max(at, end)
            elif period.do == "delay":
                at = max(at, now + period.seconds)
            elif period.do == "pieces":
                apart = period.seconds
            elif period.do == "hang" or (period.do in ("drop", "twice") and self._rng.random() < period.share):
                how = period.do
        return Fate(at, how, apart)  # type: ignore[arg-type]
