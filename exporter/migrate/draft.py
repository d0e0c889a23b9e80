"""From what was given to settings of ours, and what a person should know besides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.migrate.chosen import COLLECTORS, Chosen
from exporter.migrate.given import Given, is_on
from exporter.migrate.login import login
from exporter.migrate.relabel import NAMESPACE, renamed, rules
from exporter.migrate.table import TABLE, Row
from exporter.migrate.values import NOTHING, OFF

#: Rows that are taken together.
LOGIN = frozenset({"redis.addr", "redis.user", "redis.password", "redis.password-file"})


@dataclass(slots=True)
class Draft:
    """Settings, as a file writes them; ``hints`` stand where a setting is missing, ``notes`` at the end.

    ``missing`` is what was asked for and is not in the settings; each is a note too. ``rules`` are for Prometheus.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)


def draft(given: Given, known: Mapping[str, bool]) -> Draft:
    """Make the settings; ``known`` are our collectors and whether they run when nothing is said."""
    made = Draft(notes=list(given.remarks), missing=list(given.remarks), rules=rules(given))
    found = login(given)
    made.settings |= found.settings
    made.hints += found.hints
    made.notes += found.notes
    collectors = Chosen(known, (name for name, usual in known.items() if usual))
    for row in TABLE:
        if row.flag not in LOGIN and (row.flag in given.values or row.differs):
            _take(row, given, made, collectors)
    made.settings["web"] = {"health_status": "always-200"}  # as redis_exporter answers /health
    if chosen := collectors.settings():
        made.settings[COLLECTORS] = chosen
    return made


def _take(row: Row, given: Given, made: Draft, collectors: Chosen) -> None:
    value, is_given = given.get(row.flag), row.flag in given.values
    try:
        if row.is_switch:
            value = "true" if is_on(row, value) else "false"
        taken = row.take(value) if row.ours else NOTHING
    except ValueError:
        made.missing.append(f"-{row.flag}: its value cannot be taken over. {renamed(row.remark, given)}".rstrip())
        made.notes.append(made.missing[-1])
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
        remark = row.remark if row.flag == NAMESPACE else renamed(row.remark, given)
        made.notes.append(f"-{row.flag}: {remark.replace('migrate-flags prints it', 'it stands below')}")
        if row.protects:
            made.missing.append(f"-{row.flag} protected the pages. {row.remark}")
