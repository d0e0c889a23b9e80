"""The heading of a page: the answer in one sentence, which the tab repeats."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from redis_pulse.status import STATES, TROUBLE, TargetState
from redis_pulse.web.pages import texts
from redis_pulse.web.pages.problems import ProblemRow

#: What one target is, and what several are.
_PHRASES: dict[TargetState, tuple[str, str]] = {
    "down": ("is down", "are down"),
    "stalled": ("is stalled", "are stalled"),
    "unsteady": ("fails now and then", "fail now and then"),
    "slow": ("is slow", "are slow"),
    "risk": ("is at risk", "are at risk"),
    "recovered": ("is well again", "are well again"),
    "limited": ("is seen in part", "are seen in part"),
    "starting": ("starts", "start"),
    "ok": ("is well", "are well"),
}
_TAB: dict[TargetState, str] = {
    "unsteady": "unsteady",
    "risk": "at risk",
    "recovered": "well again",
    "limited": "limited",
}


def phrase(state: TargetState, count: int = 1) -> str:
    """Return what one target, or several, are."""
    return _PHRASES[state][count != 1]


def verdict(total: int, states: Counter[TargetState], problems: Sequence[ProblemRow], now: float) -> dict[str, Any]:
    """Return heading, sentence below it, state, and title of the tab."""
    if not total:
        return {
            "state": "starting",
            "text": "No target is configured yet",
            "sub": "The exporter runs, and has nothing to watch. The next step is below.",
            "title": "no target",
        }
    bad = [state for state in STATES if state in TROUBLE and states[state]]
    if not bad:
        return _calm(total, states, problems)
    worst = bad[0]
    if len(bad) == 1 and states[worst] == 1:
        row = next((row for row in problems if row.targets and row.state == worst), None)
        name = "1 target" if row is None else texts.short(row.title)
        text = (
            f"{name} {phrase(worst)}" if total == 1 else f"{name} {phrase(worst)}, 1 of {texts.number(total)} targets"
        )
    else:
        first = f"{texts.number(states[worst])} of {texts.number(total)} targets {phrase(worst, states[worst])}"
        others = [f"{texts.number(states[state])} {phrase(state, states[state])}" for state in bad[1:]]
        text = ", ".join([first, *others])
    title = ", ".join(f"{states[state]} {_TAB.get(state, state)}" for state in bad[:3])
    return {"state": worst, "text": text, "sub": _when(problems, now), "title": title}


def _calm(total: int, states: Counter[TargetState], problems: Sequence[ProblemRow]) -> dict[str, Any]:
    own = [row for row in problems if not row.targets]
    state: TargetState = next((state for state in STATES if states[state]), "ok")
    if own:
        names = ", ".join(dict.fromkeys(row.title for row in own))
        return {
            "state": "risk",
            "text": "All targets are well, and the exporter has a problem"
            if state == "ok"
            else "The exporter has a problem",
            "sub": f"It is about: {names}.",
            "title": "exporter at risk",
        }
    if state == "ok":
        sub = "Its pings are answered in time." if total == 1 else f"{texts.plural(total, 'target')} answer in time."
        return {"state": "ok", "text": "All is well", "sub": sub, "title": "all well"}
    counted = [one for one in STATES if one not in TROUBLE and one != "ok" and states[one]]
    parts = [f"{texts.number(states[one])} {phrase(one, states[one])}" for one in counted]
    text = f"{', '.join(parts)}, of {texts.plural(total, 'target')}"
    title = ", ".join(f"{states[one]} {_TAB.get(one, one)}" for one in counted)
    return {"state": state, "text": text, "sub": "No target is in trouble now.", "title": title}


def _when(problems: Sequence[ProblemRow], now: float) -> str:
    """Return when the newest and the oldest trouble began."""
    found = sorted((row for row in problems if row.targets and row.state in TROUBLE), key=lambda row: row.since)
    if not found:
        return ""
    newest, oldest = found[-1], found[0]
    text = f"The newest trouble began {texts.span(now - newest.since)} ago ({texts.short(newest.title)})"
    if oldest is newest:
        return f"It began at {texts.clock(newest.since)} UTC, {texts.span(now - newest.since)} ago."
    return f"{text}, the oldest {texts.span(now - oldest.since)} ago ({texts.short(oldest.title)})."
