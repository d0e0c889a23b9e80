"""From what was given to settings of ours, and what a person should know besides."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.migrate.given import Given, is_on
from exporter.migrate.login import login
from exporter.migrate.table import TABLE, Row
from exporter.migrate.values import NOTHING, OFF

COLLECTORS = "collectors"
#: Rows that are taken together.
LOGIN = frozenset({"redis.addr", "redis.user", "redis.password", "redis.password-file"})


@dataclass(slots=True)
class Draft:
    """Settings, as a file writes them; ``hints`` stand where a setting is missing, ``notes`` at the end."""

    settings: dict[str, Any] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Collectors:
    """Which collectors run, and the options of those that do."""

    def __init__(self, names: Iterable[str], usual: Iterable[str]) -> None:
        self._names = list(names)
        self._usual = set(usual)
        self._on = set(self._usual)
        self._options: dict[str, dict[str, Any]] = {}

    def put(self, path: str, value: Any, *, brings: bool) -> None:
        """Set ``name`` (on or off) or ``name.option``."""
        name, _, option = path.partition(".")
        if value is OFF:
            self._on.discard(name)
            return
        if brings:
            self._on.add(name)
        if option:
            self._options.setdefault(name, {})[option] = value

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return the collectors with their options; nothing when they are the usual ones without any."""
        names = [name for name in self._names if name in self._on] + sorted(self._on - set(self._names))
        chosen = {name: self._options.get(name, {}) for name in names}
        return {} if self._on == self._usual and not any(chosen.values()) else chosen


def draft(given: Given, known: Mapping[str, bool]) -> Draft:
    """Make the settings; ``known`` are our collectors and whether they run when nothing is said."""
    made = Draft(notes=list(given.remarks))
    found = login(given)
    made.settings |= found.settings
    made.hints += found.hints
    made.notes += found.notes
    collectors = _Collectors(known, (name for name, usual in known.items() if usual))
    for row in TABLE:
        if row.flag not in LOGIN and (row.flag in given.values or row.differs):
            _take(row, given, made, collectors)
    if chosen := collectors.settings():
        made.settings[COLLECTORS] = chosen
    return made


def _take(row: Row, given: Given, made: Draft, collectors: _Collectors) -> None:
    value, is_given = given.get(row.flag), row.flag in given.values
    try:
        if row.is_switch:
            value = "true" if is_on(row, value) else "false"
        taken = row.take(value) if row.ours else NOTHING
    except ValueError:
        made.notes.append(f"-{row.flag}: its value cannot be taken over. {row.remark}".rstrip())
        return
    for path in row.ours if taken is not NOTHING else ():
        group, _, rest = path.partition(".")
        if group == COLLECTORS:
            collectors.put(rest, taken, brings=row.brings)
        elif rest:
            made.settings.setdefault(group, {})[rest] = taken
        else:
            made.settings[group] = taken
    if is_given and row.remark and (taken not in (NOTHING, OFF) if row.ours else value != row.default):
        made.notes.append(f"-{row.flag}: {row.remark}")
