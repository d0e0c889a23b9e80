"""What is wrong, the worst first. Targets with the same trouble are one problem."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from redis_pulse.advice import for_key
from redis_pulse.status import STATES, TONES, WORDS, TargetState
from redis_pulse.web.pages import texts
from redis_pulse.web.pages.sentences import Sentences, sentences
from redis_pulse.web.status_interface import OwnStatus, StatusView

#: Rows of the list.
MAX_PROBLEMS = 10
#: Seconds within which targets must go down, or stall, to be one problem.
TOGETHER = 60.0
#: Share of a group that a label must have to name the group.
MIN_SHARE = 0.9
#: Share of the pings that may be late. The alert RedisProbeScheduleLate has the same limit.
MAX_LATE = 0.01
#: The states that are no problem.
CALM: frozenset[TargetState] = frozenset(("ok", "starting"))


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """One row of the list. Texts are not escaped. ``targets`` is empty for a problem of the exporter itself."""

    state: TargetState
    word: str
    tone: str
    title: str
    sub: str
    since: float
    since_note: str
    said: Sentences
    href: str
    targets: Sequence[str]


class ProblemGroups:
    """Collects what is wrong with the targets. ``add`` costs little, so a caller can give other tasks a turn."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._groups: dict[tuple[object, ...], list[tuple[StatusView, Sentences]]] = defaultdict(list)
        self._traits: Counter[tuple[str, str]] = Counter()
        self._count = 0

    def add(self, view: StatusView) -> None:
        """Add a target, whatever its state."""
        self._count += 1
        self._traits.update(_traits(view))
        if view.state not in CALM:
            said = sentences(view, self._now)
            self._groups[view.state, said.code, said.group].append((view, said))

    def rows(self) -> list[ProblemRow]:
        """Return the problems, grouped and sorted."""
        parts = (part for members in self._groups.values() for part in _by_time(members))
        return sorted((self._row(part) for part in parts), key=order)

    def _row(self, members: list[tuple[StatusView, Sentences]]) -> ProblemRow:
        view, said = members[0]
        note = ""
        if view.since_start:
            note = "or earlier: so since we watch it"
        elif view.state == "recovered":
            note = f"well for {texts.span(self._now - view.since)}"
        if len(members) == 1:
            labels = ", ".join(f"{name}={value}" for name, value in view.labels.items())
            sub = ", ".join(part for part in (view.address if view.address != view.name else "", labels) if part)
            title, href = view.name, f"?target={quote(view.name, safe='')}"
        else:
            said = _said_of_all([one for _, one in members], view.name)
            title, sub, query = self._common([member for member, _ in members])
            href = f"?state={view.state}{query}#targets"
        return ProblemRow(
            *(view.state, WORDS[view.state], TONES[view.state], title, sub, view.since, note, said, href),
            targets=[member.name for member, _ in members],
        )

    def _common(self, members: Sequence[StatusView]) -> tuple[str, str, str]:
        """Return title, subtitle and query of a group: what its targets have in common that others lack."""
        count = len(members)
        names = sorted(member.name for member in members)
        shown = ", ".join(texts.short(name, 40) for name in names[:3])
        shown += f" and {texts.number(count - 3)} more" if count > 3 else ""
        in_group = Counter(trait for member in members for trait in _traits(member))
        candidates = {trait for trait, number in in_group.items() if number >= MIN_SHARE * count}
        best = max(
            (trait for trait in candidates if self._traits[trait] < self._count),
            key=lambda trait: (in_group[trait] ** 2 / (count * max(1, self._traits[trait])), trait),
            default=None,
        )
        title = texts.plural(count, "target")
        if best is None:
            return title, shown, ""
        others = self._traits[best] - in_group[best]
        there = (
            f"all {texts.number(count)} there" if not others else f"{texts.number(count)} of {self._traits[best]} there"
        )
        return f"{title} in {best[0]}={best[1]}", f"{there}: {shown}", f"&q={quote(f'{best[0]}={best[1]}', safe='')}"


def order(row: ProblemRow) -> tuple[int, int, float]:
    """Return the sort key of a problem: the worst state first, then the most targets, then the oldest."""
    return STATES.index(row.state), -len(row.targets), row.since


def own_problems(own: OwnStatus, now: float) -> list[ProblemRow]:
    """Return what is wrong with the exporter itself."""
    rows = []
    if own.refused_at is not None:
        problem = own.problem.splitlines()[0] if own.problem else ""
        values = {"time": texts.clock(own.loaded_at), "problem": problem, "file": own.file or "FILE"}
        rows.append(_own_row("reload.refused", "configuration", own.file, own.refused_at, values))
    for source in own.sources:
        if source.failing_since is not None:
            name = f"{source.kind}: {source.name}"
            values = {"source": name, "problem": source.error}
            sub = f"{texts.plural(source.targets, 'target')}, kept as they were"
            rows.append(_own_row("source.failing", name, sub, source.failing_since, values))
    if own.late_pings > MAX_LATE * own.due_pings:
        values = {"n": texts.number(own.late_pings)}
        rows.append(_own_row("skipped", "late pings", "in the last hour", max(own.started, now - 3600), values))
    return rows


def _own_row(key: str, title: str, sub: str, since: float, values: dict[str, str]) -> ProblemRow:
    filled = for_key(key).fill(values)
    said = Sentences(filled.code, key, filled.why, "", filled.do, filled.command)
    return ProblemRow("risk", "exporter", "warn", title, sub, since, "", said, "./#exporter", ())


def _by_time(members: list[tuple[StatusView, Sentences]]) -> list[list[tuple[StatusView, Sentences]]]:
    """Split targets that went down or stalled at different times. One cause does not strike an hour later again."""
    members.sort(key=lambda member: member[0].since)
    if members[0][0].state not in ("down", "stalled"):
        return [members]
    parts = [[members[0]]]
    for member in members[1:]:
        if member[0].since - parts[-1][-1][0].since <= TOGETHER:
            parts[-1].append(member)
        else:
            parts.append([member])
    return parts


def _said_of_all(said: Sequence[Sentences], name: str) -> Sentences:
    """Return the sentences of a group. If they differ, they are those of one target, and say so."""
    first = said[0]
    if all((one.why, one.do, one.command) == (first.why, first.do, first.command) for one in said):
        return first
    return replace(first, evidence=f"Shown for {texts.short(name)}. {first.evidence}".strip())


def _traits(view: StatusView) -> list[tuple[str, str]]:
    """Return what a target may have in common with others: its labels, its host and its network."""
    found = list(view.labels.items())
    if view.host:
        found.append(("host", view.host))
        parts = view.host.split(".")
        if len(parts) == 4 and all(part.isdigit() for part in parts):
            found.append(("net", ".".join(parts[:3]) + ".0/24"))
    return found
