"""Read the query of the overview. A query is not trusted: unknown values are refused with a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from redis_pulse.config import closest_name
from redis_pulse.status import STATES, TargetState
from redis_pulse.web.query import QueryError

#: Seconds between two reloads of a page that asks for them.
MIN_REFRESH, MAX_REFRESH = 5, 300
_MAX_LENGTH = 200
_KNOWN = ("target", "q", "state", "group", "events", "refresh", "page")


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a page shows."""

    target: str = ""
    #: words that name, address or a label of a target must contain
    q: str = ""
    states: tuple[TargetState, ...] = ()
    #: the label to group by; None is the best one
    group: str | None = None
    all_events: bool = False
    refresh: int = 0
    page: int = 1

    def link(self, **changes: object) -> str:
        """Return the address of this page with changes, as a relative link."""
        changed = replace(self, **changes)  # type: ignore[arg-type]
        pairs: list[tuple[str, str]] = []
        pairs += [("target", changed.target)] if changed.target else []
        pairs += [("q", changed.q)] if changed.q else []
        pairs += [("state", state) for state in changed.states]
        pairs += [("group", changed.group)] if changed.group is not None else []
        pairs += [("events", "all")] if changed.all_events else []
        pairs += [("refresh", str(changed.refresh))] if changed.refresh else []
        pairs += [("page", str(changed.page))] if changed.page > 1 else []
        return f"?{urlencode(pairs)}" if pairs else "./"


def parse_page_query(query: QueryParams) -> PageQuery:
    """Return what a page shows. Raises ``QueryError`` with status 400 for unknown values."""
    for key in query:
        if key not in _KNOWN:
            guess = closest_name(key[:_MAX_LENGTH], _KNOWN)
            hint = f"did you mean {guess}?" if guess else f"use {', '.join(_KNOWN)}"
            raise QueryError(400, f"{key[:_MAX_LENGTH]!r} is no parameter of this page: {hint}")
    states = tuple(text for text in query.getlist("state") if text)
    if unknown := next((text for text in states if text not in STATES), None):
        raise QueryError(400, f"state: {unknown[:_MAX_LENGTH]!r} is no state: use one of {', '.join(STATES)}")
    if query.get("events", "") not in ("", "all"):
        raise QueryError(400, "events: must be all, or left out")
    refresh = _number(query, "refresh", 0)
    if refresh and not MIN_REFRESH <= refresh <= MAX_REFRESH:
        raise QueryError(400, f"refresh: must be {MIN_REFRESH} to {MAX_REFRESH} seconds")
    return PageQuery(
        target=query.get("target", "").strip(),
        q=query.get("q", "").strip()[:_MAX_LENGTH],
        states=_states(states),
        group=query["group"][:_MAX_LENGTH] if "group" in query else None,
        all_events=query.get("events") == "all",
        refresh=refresh,
        page=max(1, _number(query, "page", 1)),
    )


def parse_status_query(query: QueryParams) -> str:
    """Return the target of a request for ``/api/v1/status``, or an empty text for all targets."""
    if unknown := next((key for key in query if key != "target"), None):
        raise QueryError(400, f"{unknown[:_MAX_LENGTH]!r} is no parameter of this page: use target")
    return query.get("target", "").strip()


def _states(texts: Sequence[str]) -> tuple[TargetState, ...]:
    return tuple(state for state in STATES if state in texts)


def _number(query: QueryParams, key: str, default: int) -> int:
    text = query.get(key, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise QueryError(400, f"{key}: must be a whole number")
    return int(text)
