"""The closed list of causes, and what one rule finds about a stall."""

from typing import Literal, NamedTuple, get_args

from redis_pulse.stalls.facts import Facts

# fmt: off
Cause = Literal[
    "command", "script", "fork", "disk", "expire", "eviction", "paused", "saturated", "not_running", "network",
    "loading", "restart", "exporter", "unknown",
]
# fmt: on
Certainty = Literal["sure", "likely"]
CAUSES: tuple[Cause, ...] = get_args(Cause)


class Finding(NamedTuple):
    """What one rule found: ``seconds`` of the wait are explained by ``cause``."""

    cause: Cause
    certainty: Certainty
    seconds: float
    why: str
    do: str = ""
    #: The part of ``seconds`` in which the process needs no CPU.
    slept: float = 0.0


def undecided(facts: Facts, why: str, do: str) -> Finding:
    """Return that no cause can be named: ``why``, and what to do about it."""
    return Finding("unknown", "likely", facts.wait, why, do)
