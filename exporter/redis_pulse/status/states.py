"""The states of a target: a closed list, the worst first. A page shows the word, and a shape that repeats it."""

from typing import Literal

TargetState = Literal["down", "stalled", "unsteady", "slow", "risk", "recovered", "limited", "starting", "ok"]
#: The worst first. Lists are sorted in this order.
STATES: tuple[TargetState, ...] = (
    *("down", "stalled", "unsteady", "slow", "risk"),
    *("recovered", "limited", "starting", "ok"),
)
#: The states that end with ``recovered``.
TROUBLE: frozenset[TargetState] = frozenset(STATES[:5])
#: What a page calls them.
WORDS: dict[TargetState, str] = {
    **{state: str(state) for state in STATES},
    "risk": "at risk",
    "recovered": "well again",
}
#: How loud a page is about them.
TONES: dict[TargetState, str] = {
    "down": "bad",
    "stalled": "bad",
    "unsteady": "warn",
    "slow": "warn",
    "risk": "warn",
    "recovered": "note",
    "limited": "note",
    "starting": "note",
    "ok": "ok",
}
