"""Convert environment variables of redis_exporter when the daemon starts with them.

``redis_pulse.config`` reads those that are settings of redis-pulse too, such as ``REDIS_ADDR``. This module converts
the others of the table. A variable that has no effect gets a warning. One that protected the pages stops the start.
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

#: Path, value, and the variable that set it.
_SettingFromVariable = tuple[tuple[str | int, ...], Any, str]


def settings_from_environment(variables: Mapping[str, str], known: Mapping[str, bool]) -> InheritedSettings:
    """Return what variables of redis_exporter set. ``known`` tells for each collector whether it runs by default.

    No message repeats a value: it may be a secret.
    """
    flags = {name: flag for name in variables if (flag := VARIABLES.get(name)) is not None}
    problems = [
        Problem(name, "protects the pages of redis_exporter, but has no effect here", flag.remark)
        for name, flag in flags.items()
        if flag.protects
    ]
    warnings = {name: _warning(name, flags.get(name), value) for name, value in variables.items()}
    settings = _CollectedSettings(known)
    for name, flag in flags.items():
        if flag.settings and warnings[name] is None:
            settings.put(flag, _convert_value(flag, variables[name]), name)
    return InheritedSettings(
        list(settings.values(variables)), [warning for warning in warnings.values() if warning], problems
    )


def _warning(name: str, flag: Flag | None, value: str) -> str | None:
    """Return a warning about a variable that has no effect, or None if it has one or needs none."""
    if flag is None:
        guess = closest_name(name, VARIABLES)
        hint = f": did you mean {guess}?" if guess else ""
        return f"{name} is not a variable of redis_exporter {VERSION}, and is ignored{hint}"
    if flag.is_switch and value not in TRUTH:
        return f"{name} is neither true nor false, and is ignored"
    if not flag.settings:
        needs_none = flag.protects or not _differs_from_default(flag, value) or (flag.always and TRUTH.get(value))
        return None if needs_none else f"{name} has no effect: {flag.remark}"
    try:
        _convert_value(flag, value)
    except ValueError:
        return f"{name} has no effect: its value cannot be converted. {flag.remark}".rstrip()
    return None


def _differs_from_default(flag: Flag, value: str) -> bool:
    return TRUTH[value] != TRUTH[flag.default] if flag.is_switch else value != flag.default


def _convert_value(flag: Flag, value: str) -> Any:
    if flag.convert is values.path:  # the value is not shown, so it may be anything
        return str(Path(value))
    return flag.convert(value if not flag.is_switch else "true" if TRUTH[value] else "false")


class _CollectedSettings:
    """Collects settings, and the variable that set each of them."""

    def __init__(self, known: Mapping[str, bool]) -> None:
        self._collectors = CollectorChoices(known, (name for name, is_default in known.items() if is_default))
        self._values: list[_SettingFromVariable] = []
        #: the first variable that set something of a collector, for each collector
        self._variable_of: dict[str, str] = {}

    def put(self, flag: Flag, value: Any, variable: str) -> None:
        """Set the settings of a flag."""
        for path in flag.settings if value is not UNCHANGED else ():
            group, *keys = path.split(".")
            if group == COLLECTORS:
                self._collectors.put(".".join(keys), value, enables=flag.enables)
                self._variable_of.setdefault(keys[0], variable)
            else:
                self._values.append(((group, *keys), value, variable))

    def values(self, variables: Mapping[str, str]) -> Iterator[_SettingFromVariable]:
        """Yield each setting. If one is of a collector, also write the defaults of redis_exporter that differ."""
        yield from self._values
        first = next(iter(self._variable_of.values()), "")
        for flag in FLAG_TABLE:
            if first and flag.default_differs and flag.variable not in variables:
                self.put(flag, _convert_value(flag, flag.default), first)
        for collector, options in self._collectors.settings().items():
            yield (COLLECTORS, collector), options, self._variable_of.get(collector, first)
