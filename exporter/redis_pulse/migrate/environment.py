"""The daemon was started with variables of redis_exporter: what they set here, what is not in force, what forbids it.

The variables that are settings of ours (``REDIS_ADDR``, …) are read by ``redis_pulse.config`` itself; this file has the
rest of the table.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from redis_pulse.config import InheritedSettings, Problem, closest_name
from redis_pulse.migrate import values
from redis_pulse.migrate.convert import COLLECTORS, CollectorChoices
from redis_pulse.migrate.flag_parser import TRUTH, VARIABLES
from redis_pulse.migrate.flags import FLAG_TABLE, VERSION, Flag
from redis_pulse.migrate.values import UNCHANGED


def settings_from_environment(variables: Mapping[str, str], known: Mapping[str, bool]) -> InheritedSettings:
    """Say what variables of redis_exporter mean; ``known`` are our collectors and whether they run unasked.

    No text repeats a value: it may be a secret.
    """
    rows = {name: row for name in variables if (row := VARIABLES.get(name)) is not None}
    problems = [
        Problem(name, "protected the pages of redis_exporter, and would not protect these", row.remark)
        for name, row in rows.items()
        if row.protects
    ]
    told = {name: _trouble(name, rows.get(name), value) for name, value in variables.items()}
    settings = _Settings(known)
    for name, row in rows.items():
        if row.settings and told[name] is None:
            settings.put(row, _value(row, variables[name]), name)
    return InheritedSettings(list(settings.taken(variables)), [text for text in told.values() if text], problems)


def _trouble(name: str, row: Flag | None, value: str) -> str | None:
    """Return why a variable sets nothing, if that matters."""
    if row is None:
        guess = closest_name(name, VARIABLES)
        hint = f": did you mean {guess}?" if guess else ""
        return f"{name} is no variable of redis_exporter {VERSION}, and sets nothing{hint}"
    if row.is_switch and value not in TRUTH:
        return f"{name} is neither true nor false, and sets nothing"
    if not row.settings:
        is_moot = row.protects or not _differs(row, value) or (row.always and TRUTH.get(value))
        return None if is_moot else f"{name} is not in force: {row.remark}"
    try:
        _value(row, value)
    except ValueError:
        return f"{name} is not in force: its value cannot be taken over. {row.remark}".rstrip()
    return None


def _differs(row: Flag, value: str) -> bool:
    return TRUTH[value] != TRUTH[row.default] if row.is_switch else value != row.default


def _value(row: Flag, value: str) -> Any:
    if row.convert is values.path:  # nothing of it is shown, so it need not look like a path
        return str(Path(value))
    return row.convert(value if not row.is_switch else "true" if TRUTH[value] else "false")


class _Settings:
    """Collects what is set, and by which variable."""

    def __init__(self, known: Mapping[str, bool]) -> None:
        self._chosen = CollectorChoices(known, (name for name, usual in known.items() if usual))
        self._taken: list[tuple[tuple[str | int, ...], Any, str]] = []
        #: the variable that said something of a collector first, by the collector
        self._by: dict[str, str] = {}

    def put(self, row: Flag, value: Any, name: str) -> None:
        """Take what a variable says."""
        for path in row.settings if value is not UNCHANGED else ():
            group, *steps = path.split(".")
            if group == COLLECTORS:
                self._chosen.put(".".join(steps), value, enables=row.enables)
                self._by.setdefault(steps[0], name)
            else:
                self._taken.append(((group, *steps), value, name))

    def taken(self, variables: Mapping[str, str]) -> Iterator[tuple[tuple[str | int, ...], Any, str]]:
        """Yield path, value and variable of each setting; where redis_exporter's default differs, it is set too."""
        yield from self._taken
        first = next(iter(self._by.values()), "")
        for row in FLAG_TABLE:
            if first and row.default_differs and row.variable not in variables:
                self.put(row, _value(row, row.default), first)
        for collector, options in self._chosen.settings().items():
            yield (COLLECTORS, collector), options, self._by.get(collector, first)
