"""The page ``/``: what is wrong, then the last hour, then every target.

``Overview.add`` takes one target at a time, so that the event loop can do other work in between. The rows of a long
list are made while the page is rendered, for the same reason.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from redis_pulse.status import CELLS, STATES, StatusEvent, TargetState, decode
from redis_pulse.web.pages import geometry, texts
from redis_pulse.web.pages.hour_view import HOUR, end_of_hour, hour_view, ticks, x_of
from redis_pulse.web.pages.own_view import frame, own_view
from redis_pulse.web.pages.page_query import PageQuery
from redis_pulse.web.pages.problems import MAX_PROBLEMS, ProblemGroups, order, own_problems
from redis_pulse.web.pages.server_line import server_words
from redis_pulse.web.pages.verdict import verdict
from redis_pulse.web.status_interface import OwnStatus, StatusView

#: Up to so many targets are one table. More are grouped.
MAX_TABLE = 25
#: Rows of targets with the same problem that are shown unfolded.
MAX_ALIKE = 5
#: Bytes of the rows of one page. The rest is on further pages.
MAX_BYTES = 240_000
#: Events of a page, and of a page with all events.
MAX_EVENTS, MAX_ALL_EVENTS = 20, 1000
#: Values of a label that make good groups.
MIN_GROUPS, MAX_GROUPS = 2, 30
#: Codes of a cell that is not watched, and of the states that are no trouble.
_CALM_CODES = frozenset((0, 6, 7, 8, 9))
_NO_GROUP = "without this label"


@dataclass(frozen=True, slots=True)
class ListedTarget:
    """A target with what the list is sorted by."""

    view: StatusView
    columns: Sequence[Sequence[int]]
    p50: float | None
    p99: float | None
    #: share of the pings of this hour that failed
    failed: float
    #: The worst state first, then the most failures, then the slowest, then the name.
    key: tuple[int, float, float, str]

    @property
    def counts(self) -> Sequence[int]:
        """The pings of each minute."""
        return self.columns[0]

    @property
    def fails(self) -> Sequence[int]:
        """The failures of each minute."""
        return self.columns[1]

    @property
    def p99s(self) -> Sequence[int]:
        """The coded p99 of each minute."""
        return self.columns[3]

    @property
    def longest(self) -> int:
        """The coded longest latency of the hour."""
        return max(self.columns[4])


class Overview:
    """Collects all targets, and then returns the values of the template."""

    def __init__(self, query: PageQuery, now: float) -> None:
        self._query, self._now = query, now
        self._words = query.q.casefold().split()
        self._problems = ProblemGroups(now)
        self._entries: list[ListedTarget] = []
        self._all = 0
        self._states: Counter[TargetState] = Counter()
        self._labels: dict[str, Counter[str]] = defaultdict(Counter)
        self._bad, self._warn = [0] * CELLS, [0] * CELLS
        self._views: list[StatusView] = []

    @property
    def total(self) -> int:
        """The number of targets, whatever the filters."""
        return self._all

    def add(self, view: StatusView) -> None:
        """Add a target. It takes about 20 microseconds."""
        columns = view.hour.columns(view.minute)
        self._all += 1
        self._states[view.state] += 1
        self._problems.add(view)
        for label, value in view.labels.items():
            self._labels[label][value] += 1
        counts, fails, p50s, p99s, _, states, _ = columns
        if not _CALM_CODES.issuperset(states):
            for index, code in enumerate(states):
                if 0 < code <= 5:
                    (self._bad if code <= 2 else self._warn)[index] += 1
        if self._is_shown(view):
            recent = sorted(filter(None, p50s[-5:]))
            p50 = decode(recent[len(recent) // 2]) if recent else None
            p99 = decode(max(p99s[-5:])) if recent else None
            failed = sum(fails) / (sum(counts) or 1)
            key = (STATES.index(view.state), -failed, -(p99 or 0.0), view.name)
            self._entries.append(ListedTarget(view, columns, p50, p99, failed, key))
        if len(self._views) < 2:
            self._views.append(view)

    def values(
        self, own: OwnStatus, events: Iterator[StatusEvent], telemetry_path: str, failures: Mapping[str, Sequence[int]]
    ) -> dict[str, Any]:
        """Return the values of the template. ``failures`` are those of the target, if there is only one."""
        query, now = self._query, self._now
        found = sorted([*self._problems.rows(), *own_problems(own, now)], key=order)
        head = verdict(self._all, self._states, found, now)
        self._entries.sort(key=lambda entry: entry.key)
        is_single = self._all == 1 and not query.q and not query.states
        most = MAX_ALL_EVENTS if query.all_events else MAX_EVENTS
        shown_events = list(islice(events, most + 1))
        return {
            "page": frame(head["title"], head["state"], query, now, telemetry_path)
            | {"notice": "", "all": query.link(states=(), page=1)},
            "verdict": head,
            "problems": found[:MAX_PROBLEMS],
            "more_problems": max(0, len(found) - MAX_PROBLEMS),
            "is_empty": not self._all,
            "cards": [self._card(self._views[0], failures)] if is_single else [],
            "fleet": self._fleet(own),
            "filter": {"states": query.states, "q": query.q, "group": query.group or ""},
            "total": self._all,
            "matching": len(self._entries),
            "counts": [
                {"state": state, "count": count, "href": query.link(states=(state,), page=1)}
                for state in STATES
                if (count := self._states[state])
            ],
            "groupable": sorted(label for label in self._labels if self._is_groupable(label)),
            **self._lists(),
            "event_rows": shown_events[:most],
            "more_events": "more" if len(shown_events) > most and not query.all_events else "",
            "all_events": query.link(all_events=True) + "#events",
            "self_": own_view(own, now),
            "now": now,
        }

    def _is_shown(self, view: StatusView) -> bool:
        if self._query.states and view.state not in self._query.states:
            return False
        if not self._words:
            return True
        traits = [
            view.name,
            view.address,
            f"host={view.host}",
            *(f"{name}={value}" for name, value in view.labels.items()),
        ]
        network = view.host.rpartition(".")[0]
        text = "\n".join([*traits, f"net={network}.0/24"]).casefold()
        return all(word in text for word in self._words)

    def _is_groupable(self, label: str) -> bool:
        return MIN_GROUPS <= len(self._labels[label]) <= MAX_GROUPS

    def _group_label(self) -> str:
        if self._query.group is not None:
            return self._query.group
        good = [label for label in sorted(self._labels) if self._is_groupable(label)]
        return max(good, key=lambda label: sum(self._labels[label].values()), default="")

    def _lists(self) -> dict[str, Any]:
        """Return the tables: all targets, or those that are not well and groups of the others."""
        entries, pages = _paginate(self._entries, self._query.page)
        links = [{"number": number, "href": self._query.link(page=number)} for number in range(1, pages + 1)]
        base = {"pages": links if pages > 1 else [], "this_page": min(self._query.page, pages)}
        if len(self._entries) <= MAX_TABLE:
            nothing = {"alike": (), "alike_count": 0, "groups": [], "well": 0, "group_label": ""}
            return {**base, **nothing, "rows": map(_row, entries), "has_rows": bool(entries)}
        unwell = [entry for entry in entries if entry.view.state != "ok"]
        shown: list[ListedTarget] = []
        alike: list[ListedTarget] = []
        seen: Counter[TargetState] = Counter()
        for entry in unwell:
            seen[entry.view.state] += 1
            (shown if seen[entry.view.state] <= MAX_ALIKE else alike).append(entry)
        well = [entry for entry in entries if entry.view.state == "ok"]
        label = self._group_label()
        return {
            **base,
            "rows": map(_row, shown),
            "has_rows": bool(shown),
            "alike": map(_row, alike),
            "alike_count": len(alike),
            "groups": self._groups(label, well),
            "well": len(well),
            "group_label": label,
        }

    def _groups(self, label: str, well: Sequence[ListedTarget]) -> list[dict[str, Any]]:
        members: dict[str, list[ListedTarget]] = defaultdict(list)
        for entry in well:
            members[entry.view.labels.get(label, "") if label else ""].append(entry)
        mixes: dict[str, Counter[TargetState]] = defaultdict(Counter)
        for entry in self._entries:
            mixes[entry.view.labels.get(label, "") if label else ""][entry.view.state] += 1
        groups = [
            {
                "name": (f"{label}={value}" if value else f"{label}: {_NO_GROUP}") if label else "all",
                "size": sum(mixes[value].values()),
                "mix": [(state, mixes[value][state]) for state in STATES if mixes[value][state]],
                "rows": map(_well_row, sorted(found, key=lambda entry: entry.view.name)),
                "open": False,
                "spark": partial(_spark, found),
            }
            for value, found in members.items()
        ]
        return sorted(groups, key=lambda g: (STATES.index(g["mix"][0][0]), -g["mix"][0][1], g["name"]))

    def _fleet(self, own: OwnStatus) -> dict[str, Any]:
        minute = int(self._now // 60)
        top = max(4, *(bad + warn for bad, warn in zip(self._bad, self._warn, strict=True)))
        nice = next((n for n in (4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400, 600, 800, 1000) if n >= top), top)
        nice = max(1, min(self._all, nice))
        height, half = 56, f"{nice // 2}" if nice % 2 == 0 else ""
        bars = []
        for index, (bad, warn) in enumerate(zip(self._bad, self._warn, strict=True)):
            high, low = bad / nice * (height - 6), warn / nice * (height - 6)
            x = round(index / 0.6 + 0.13, 2)
            if bad:
                bars.append({"cls": "barbad", "x": x, "y": round(height - high, 1), "h": round(high, 1)})
            if warn:
                bars.append({"cls": "barwarn", "x": x, "y": round(height - high - low, 1), "h": round(low, 1)})
        marks = []
        if own.refused_at is not None and own.refused_at > end_of_hour(minute) - HOUR:
            marks.append({"x": x_of(own.refused_at, minute), "text": "reload refused"})
        worst = max(range(CELLS), key=lambda index: self._bad[index] + self._warn[index])
        at = texts.hour_minute(end_of_hour(minute) - HOUR + worst * 60)
        most = self._bad[worst] + self._warn[worst]
        alt = f"Targets in trouble by minute: at most {most}, at {at}; now {self._bad[-1] + self._warn[-1]}."
        return {
            "height": height,
            "grid": [
                {"y": 6, "text": f"{nice} of {texts.number(self._all)}"},
                {"y": 6 + (height - 6) / 2, "text": half},
            ],
            "bars": bars,
            "marks": marks,
            "ticks": ticks(minute),
            "alt": alt,
        }

    def _card(self, view: StatusView, failures: Mapping[str, Sequence[int]]) -> dict[str, Any]:
        return {
            "name": view.name,
            "state": view.state,
            "line": server_words(view),
            "history": hour_view(view, failures, ()),
        }


def _row(entry: ListedTarget) -> dict[str, Any]:
    view = entry.view
    causes = Counter(
        (stall.cause or "cause unknown").replace("_", " ") for stall in view.stalls if stall.ended is not None
    )
    running = sum(stall.ended is None for stall in view.stalls)
    stalls = ", ".join(
        [*([f"{running} now"] if running else []), *(f"{n} {cause}" for cause, n in causes.most_common(3))]
    )
    is_live = view.state != "down"
    count = sum(entry.counts)
    return {
        "name": view.name,
        "state": view.state,
        "note": view.address,
        "spark": geometry.spark(list(zip(*entry.columns, strict=True)), with_band=False),
        "p50": texts.latency(entry.p50 if is_live else None),
        "p99": texts.latency(entry.p99 if is_live else None),
        "max": texts.latency(decode(entry.longest)),
        "failed": texts.share(entry.failed * count, count),
        "stalls": stalls,
        "memory": None if view.memory is None else min(100, round(100 * view.memory)),
        "server": server_words(view),
    }


def _well_row(entry: ListedTarget) -> tuple[object, ...]:
    """Return name, state, p50, p99, path of the graph, path of the failures, longest latency, and share of memory."""
    view = entry.view
    graph = geometry.tiny(entry.p99s, entry.fails)
    return (
        *(view.name, view.state, texts.latency(entry.p50), texts.latency(entry.p99), graph["line"], graph["fail"]),
        *(texts.latency(decode(entry.longest)), None if view.memory is None else round(100 * view.memory)),
    )


def _spark(entries: Sequence[ListedTarget]) -> dict[str, str]:
    return geometry.spark(_worst(entries), with_band=False)


def _worst(entries: Sequence[ListedTarget]) -> list[tuple[int, ...]]:
    """Return 60 cells with the slowest p99 of a group in each minute, and whether any ping failed."""
    slowest = (max(column) for column in zip(*(entry.p99s for entry in entries), strict=True))
    failed = (max(column) for column in zip(*(entry.fails for entry in entries), strict=True))
    return [(1, fail, 0, p99, 0, 0, 0) for fail, p99 in zip(failed, slowest, strict=True)]


def _paginate(entries: Sequence[ListedTarget], page: int) -> tuple[Sequence[ListedTarget], int]:
    """Return the targets of one page, and the number of pages. Names can be long, so bytes cut a page."""
    starts, used = [0], 0
    for index, entry in enumerate(entries):
        size = 2 * len(entry.view.name.encode()) + (140 if entry.view.state == "ok" else 900)
        if used and used + size > MAX_BYTES:
            starts.append(index)
            used = 0
        used += size
    page = min(page, len(starts))
    end = starts[page] if page < len(starts) else len(entries)
    return entries[starts[page - 1] : end], len(starts)
