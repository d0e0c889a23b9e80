"""Convert values of redis_exporter's flags to values of settings. Each function raises ValueError if it cannot."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_plus

from redis_pulse.config import format_duration, parse_duration, parse_listen, telemetry_path_error
from redis_pulse.migrate.lua_patterns import translate

#: Given the text of a flag, return the value of the setting.
ConvertValue = Callable[[str], Any]

_LOG_LEVELS = {"panic": "critical", "fatal": "critical", "warn": "warning", "trace": "debug"}
_LOG_LEVELS |= {level: level for level in ("error", "warning", "info", "debug")}
#: The units of durations in Go.
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DATABASE = re.compile(r"(?:db)?(\d+)")
#: A text that looks like a path, and not like a password in place of a path.
_PATH = re.compile(r"(~?|\.{1,2})/[^/].*|[^/].*\.(json|txt|pwd|passwd|password)", re.DOTALL)


class _NoValue:
    """The type of ``UNCHANGED`` and ``DISABLED``."""


#: The setting keeps its default, which does the same.
UNCHANGED: Final = _NoValue()
#: The collector does not run.
DISABLED: Final = _NoValue()


def text(value: str) -> Any:
    """Return a text, or UNCHANGED if it is empty."""
    return value or UNCHANGED


def number(value: str) -> int:
    """Return a whole number of at least one."""
    if not re.fullmatch(r"[1-9]\d{0,8}", value, re.ASCII):
        raise ValueError("not a whole number of at least 1")
    return int(value)


def batch(value: str) -> int:
    """Return the COUNT of a SCAN, at most the maximum of the setting."""
    return min(number(value), 10_000)


def listen(value: str) -> str:
    """Return a listen address."""
    return str(parse_listen(value))


def telemetry_path(value: str) -> str:
    """Return the path of the metrics. The paths of other pages are refused."""
    if error := telemetry_path_error(value):
        raise ValueError(error)
    return value


def seconds(value: str) -> str:
    """Return a duration in the format of the setting. Go writes it as ``1m30s``, always with units."""
    total = parse_duration(value, _GO_UNITS)
    if total is None:
        raise ValueError("not a duration")
    if total <= 0:
        raise ValueError("not longer than zero")
    return format_duration(total)


def level(value: str) -> str:
    """Return a level of the log."""
    if value.lower() not in _LOG_LEVELS:
        raise ValueError("not a level")
    return _LOG_LEVELS[value.lower()]


def log_format(value: str) -> str:
    """Return the log format: ``json`` for json, and ``logfmt`` for everything else."""
    return "json" if value == "json" else "logfmt"


def true(value: str) -> Any:
    """Return True for a switch that is on. Off is the default of the setting."""
    return True if value == "true" else UNCHANGED


def empty_databases(value: str) -> Any:
    """Return 0 for a switch that hides databases without keys. The setting shows them by default."""
    return 0 if value == "false" else UNCHANGED


def inverted(value: str) -> bool:
    """Return the opposite of a switch."""
    return value != "true"


def collector(value: str) -> Any:
    """Enable a collector with a switch that is on."""
    return {} if value == "true" else UNCHANGED


def no_collector(value: str) -> Any:
    """Disable a collector with a switch that is on."""
    return DISABLED if value == "true" else UNCHANGED


def no_verification(value: str) -> Any:
    """Return ``none``, which accepts any certificate, for a switch that is on."""
    return "none" if value == "true" else UNCHANGED


def config_command(value: str) -> Any:
    """Disable the collector for ``-``. Another name of CONFIG cannot be converted: it belongs to a target."""
    if value == "-":
        return DISABLED
    if value.upper() == "CONFIG":
        return UNCHANGED
    raise ValueError("CONFIG has another name")


def pattern(value: str) -> list[str]:
    """Return a regular expression. Those of Go and Python are the same, with rare exceptions."""
    try:
        re.compile(value)
    except re.error:
        raise ValueError("not a regular expression of Python") from None
    return [value or ".*"]


def paths(value: str) -> list[str]:
    """Return paths that are separated by commas."""
    absolute = [_absolute(path.strip()) for path in value.split(",") if path.strip()]
    if not absolute:
        raise ValueError("no path")
    return absolute


def path(value: str) -> str:
    """Return a path: a text that looks like one, or that names a file of this host. Another may be a password."""
    absolute = _absolute(value)
    if absolute == value and not _PATH.fullmatch(value):
        raise ValueError("not a path")
    return absolute


def _absolute(value: str) -> str:
    """Return the absolute path of a file of this host, because the configuration may be moved to another folder.

    Return any other text unchanged.
    """
    try:
        return str(Path(value).absolute()) if Path(value).is_file() else value
    except (OSError, ValueError):
        return value


def keys(value: str) -> list[Any]:
    """Return the keys or patterns of ``db3=pattern,pattern``. They are query-escaped. The default database is 0."""
    converted: list[Any] = []
    for word in value.split(","):
        if not word.strip():
            continue
        database, equals, key = word.strip().partition("=")
        if not equals:
            database, key = "0", database
        match = _DATABASE.fullmatch(database)
        key = unquote_plus(key)
        if match is None or "=" in key or not key:
            raise ValueError("not a key or pattern")
        needs_mapping = "," in key or key != key.strip()
        db = int(match[1])
        converted.append({"db": db, "key": key} if needs_mapping else f"db{db}={key}" if db else key)
    if not converted:
        raise ValueError("no key or pattern")
    return converted


def groups(value: str) -> list[str]:
    """Return the Lua patterns of one line of CSV as regular expressions of Python."""
    patterns = [translate(word.strip()) for line in csv.reader(value.splitlines()) for word in line if word.strip()]
    if not patterns:
        raise ValueError("no pattern")
    return patterns
