"""Compares what was done with what was named. Pure functions of rows.

A row counts one outcome for each of its records. A pair of stalls has the cause that fills most of the longest wait.

At least 95 % of a server's outcomes must be right, and 90 % of its pairs. At most 1 % may be wrong, and at most one in
each cell of the matrix. One outcome of each is always tolerated, because a short run has too few for
a percentage. Each kind must have made a stall, under a load that ran.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from stalls_bench.injectors import Phase
from stalls_bench.kinds import EXPORTER, KINDS
from stalls_bench.lane import Row, unix_time
from stalls_bench.load import LEAST_RATE
from stalls_bench.own import DAEMON, named

UNKNOWN = "unknown"
LEAST_RIGHT, LEAST_RIGHT_OF_PAIRS, MOST_WRONG = 0.95, 0.90, 0.01


class Outcome(NamedTuple):
    """One record: what had been done, and what the daemon named."""

    server: str
    kind: str
    expected: str
    named: str

    @property
    def result(self) -> str:
        """Return ``right``, ``unknown`` or ``wrong``."""
        return "right" if self.named == self.expected else UNKNOWN if self.named == UNKNOWN else "wrong"


class Share(NamedTuple):
    """How many outcomes are right, unknown and wrong."""

    right: int
    unknown: int
    wrong: int

    @property
    def total(self) -> int:
        """Return how many there are."""
        return sum(self)

    def __str__(self) -> str:
        count = max(1, self.total)
        return (
            f"{self.total} stalls: {self.right} right ({self.right / count:.1%}), "
            f"{self.unknown} unknown ({self.unknown / count:.1%}), {self.wrong} wrong ({self.wrong / count:.1%})"
        )


def longest_wait(record: dict[str, Any]) -> tuple[float, float]:
    """Return begin and end of the longest wait of a record, in Unix time."""
    evidence = record.get("evidence", {})
    began = unix_time(record["started"])
    if "longest_started" in evidence:
        began += evidence["longest_started"] - evidence["started"]
    return began, began + record["seconds"]


def expected_cause(phases: Sequence[Phase], record: dict[str, Any]) -> str:
    """Return the cause of the phase that fills most of the longest wait."""
    began, ended = longest_wait(record)
    return max(phases, key=lambda phase: min(phase.ended, ended) - max(phase.began, began)).cause


def outcomes(rows: Iterable[Row]) -> list[Outcome]:
    """Return the outcomes of rows, in their order."""
    found = []
    for row in rows:
        for record in row.records:
            cause = named(record) if row.server == DAEMON else str(record["cause"])
            found.append(Outcome(row.server, row.kind, expected_cause(row.phases, record), cause))
    return found


def share(found: Iterable[Outcome]) -> Share:
    """Count results."""
    counts = Counter(outcome.result for outcome in found)
    return Share(counts["right"], counts[UNKNOWN], counts["wrong"])


def is_gap(server: str, kind: str) -> bool:
    """Return whether Redis 7.0 gives no evidence that could tell this kind."""
    return server == "redis" and kind in KINDS and KINDS[kind].is_gap


def _is_pair(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].is_pair


def _cause_of(kind: str) -> str:
    return KINDS[kind].cause if kind in KINDS else EXPORTER


def matrix(rows: Sequence[Row], server: str) -> str:
    """Return the confusion matrix of one server as a table of Markdown. Bold cells are right."""
    mine = [row for row in rows if row.server == server]
    found = outcomes(mine)
    causes = list(dict.fromkeys([*(kind.cause for kind in KINDS.values()), EXPORTER, UNKNOWN]))
    causes += sorted({outcome.named for outcome in found} - {*causes})
    causes = [cause for cause in causes if any(outcome.named == cause for outcome in found)]
    lines = ["| kind | cause | setting | made | " + " | ".join(causes) + " | no ping met it |"]
    lines.append("|---|---|---|---|" + "---|" * (len(causes) + 1))
    for kind in dict.fromkeys([*KINDS, *(row.kind for row in mine)]):
        made = [row for row in mine if row.kind == kind]
        if not made:
            continue
        cells = []
        for cause in causes:
            hits = [one for one in found if one.kind == kind and one.named == cause]
            right = sum(one.expected == one.named for one in hits)
            wrong = len(hits) - right
            cells.append(" ".join(filter(None, (f"**{right}**" if right else "", str(wrong) if wrong else ""))))
        unmet = sum(not row.records for row in made) or ""
        mark = " (gap)" if is_gap(server, kind) else ""
        expected = "the longer one" if _is_pair(kind) else _cause_of(kind)
        setting = KINDS[kind].setting if kind in KINDS else ""
        lines.append(f"| {kind}{mark} | {expected} | {setting} | {len(made)} | " + " | ".join(cells) + f" | {unmet} |")
    return "\n".join(lines)


def shares(rows: Sequence[Row], server: str) -> dict[str, Share]:
    """Return the shares of single stalls, of pairs, and of the gap."""
    found = [outcome for outcome in outcomes(rows) if outcome.server == server]
    parts = {
        "single": [one for one in found if not _is_pair(one.kind) and not is_gap(server, one.kind)],
        "pairs": [one for one in found if _is_pair(one.kind)],
        "gap": [one for one in found if is_gap(server, one.kind)],
    }
    return {name: share(part) for name, part in parts.items() if part}


def complaints(rows: Sequence[Row], server: str) -> list[str]:
    """Return why a server does not pass: an empty list if it does."""
    mine = [row for row in rows if row.server == server]
    counted = [row for row in mine if not is_gap(server, row.kind)]
    parts = shares(mine, server)
    reasons = []
    for name, least in (("single", LEAST_RIGHT), ("pairs", LEAST_RIGHT_OF_PAIRS)):
        part = parts.get(name, Share(0, 0, 0))
        if part.total - part.right > max(1.0, (1 - least) * part.total):
            reasons.append(f"{name}: only {part.right} of {part.total} are right")
    wrong = [one for one in outcomes(counted) if one.result == "wrong" and not _is_pair(one.kind)]
    if len(wrong) > max(1.0, MOST_WRONG * parts.get("single", Share(0, 0, 0)).total):
        reasons.append(f"{len(wrong)} are wrong")
    for (kind, cause), count in Counter((one.kind, one.named) for one in wrong).items():
        if count > 1:
            reasons.append(f"{kind} was named {cause} {count} times")
    met = {row.kind for row in counted if row.records}
    reasons += [f"{kind} made no stall" for kind in dict.fromkeys(row.kind for row in counted) if kind not in met]
    dead = [row.kind for row in mine if row.server != DAEMON and row.rate < LEAST_RATE]
    if dead:
        reasons.append(f"the load was below {LEAST_RATE:.0f} commands per second before {', '.join(dead)}")
    return reasons
