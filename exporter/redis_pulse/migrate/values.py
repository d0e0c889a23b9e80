"""From a value of redis_exporter's to one of ours. Each raises ValueError when there is none."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_plus

from redis_pulse.config import duration, telemetry_path_error
from redis_pulse.migrate.lua_patterns import translated

#: From the text of a value to what our setting gets.
ConvertValue = Callable[[str], Any]

_LEVELS = {"panic": "critical", "fatal": "critical", "warn": "warning", "trace": "debug"}
_LEVELS |= {level: level for level in ("error", "warning", "info", "debug")}
_DURATION = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DATABASE = re.compile(r"(?:db)?(\d+)")
#: A path, and not a password that somebody put where a path belongs.
_PATH = re.compile(r"(~?|\.{1,2})/[^/].*|[^/].*\.(json|txt|pwd|passwd|password)", re.DOTALL)


class _Nothing:
    """Says that a setting of ours need not be set, or that a collector is left out."""


#: Our default does it.
UNCHANGED: Final = _Nothing()
#: The collector is left out.
DISABLED: Final = _Nothing()


def text(value: str) -> Any:
    """Take over a text; an empty one is none."""
    return value or UNCHANGED


def number(value: str) -> int:
    """Take over a whole number of at least one."""
    if not re.fullmatch(r"[1-9]\d{0,8}", value, re.ASCII):
        raise ValueError("no whole number of at least 1")
    return int(value)


def batch(value: str) -> int:
    """Take over the COUNT of a SCAN, which is bounded here."""
    return min(number(value), 10_000)


def listen(value: str) -> str:
    """Take over an address; ours begins with ``:`` where theirs has no host."""
    host, _, port = value.rpartition(":")
    if not re.fullmatch(r"\d{1,5}", port, re.ASCII) or (":" in host and not host.startswith("[")):
        raise ValueError("no host:port")
    return f"{host}:{port}"


def telemetry_path(value: str) -> str:
    """Take over the path of the metrics, unless it is that of another page of ours."""
    if trouble := telemetry_path_error(value):
        raise ValueError(trouble)
    return value


def seconds(value: str) -> str:
    """Take over a duration as Go writes it, ``1m30s``."""
    parts = _DURATION.findall(value)
    if not parts or "".join(parts) != value:
        raise ValueError("no duration")
    total = sum(float(part.rstrip("nuµμmsh")) * _UNITS[part.lstrip("0123456789.")] for part in parts)
    if total <= 0:
        raise ValueError("no time at all")
    return duration(total)


def level(value: str) -> str:
    """Take over a level of the log."""
    if value.lower() not in _LEVELS:
        raise ValueError("no level")
    return _LEVELS[value.lower()]


def log_format(value: str) -> str:
    """Take over ``json``; everything else is text."""
    return "json" if value == "json" else "logfmt"


def true(value: str) -> Any:
    """Turn a setting on with a switch that is on; off is our default."""
    return True if value == "true" else UNCHANGED


def empty_databases(value: str) -> Any:
    """Show no database without keys; that they are shown is our default too."""
    return 0 if value == "false" else UNCHANGED


def inverted(value: str) -> bool:
    """Take over a switch that says the opposite of ours."""
    return value != "true"


def collector(value: str) -> Any:
    """Turn a collector on with a switch that is on."""
    return {} if value == "true" else UNCHANGED


def no_collector(value: str) -> Any:
    """Leave a collector out with a switch that is on."""
    return DISABLED if value == "true" else UNCHANGED


def no_verification(value: str) -> Any:
    """Take no certificate for good with a switch that is on."""
    return "none" if value == "true" else UNCHANGED


def config_command(value: str) -> Any:
    """Leave the collector out for ``-``; CONFIG under another name cannot be asked for."""
    if value == "-":
        return DISABLED
    if value.upper() == "CONFIG":
        return UNCHANGED
    raise ValueError("another name")


def pattern(value: str) -> list[str]:
    """Take over a regular expression: Go's and Python's are alike but for rare things."""
    try:
        re.compile(value)
    except re.error:
        raise ValueError("no regular expression of Python") from None
    return [value or ".*"]


def paths(value: str) -> list[str]:
    """Take over paths with commas between them."""
    found = [_absolute(path.strip()) for path in value.split(",") if path.strip()]
    if not found:
        raise ValueError("no path")
    return found


def path(value: str) -> str:
    """Take over a path, and nothing that may be a password: it looks like a path, or names a file that is here."""
    found = _absolute(value)
    if found == value and not _PATH.fullmatch(value):
        raise ValueError("no path")
    return found


def _absolute(value: str) -> str:
    """Return where a relative path leads that names a file here: the configuration may be put elsewhere."""
    try:
        return str(Path(value).absolute()) if Path(value).is_file() else value
    except (OSError, ValueError):
        return value


def keys(value: str) -> list[Any]:
    """Take over ``db3=pattern,pattern``: query-escaped, database 0 unless named."""
    found: list[Any] = []
    for word in value.split(","):
        if not word.strip():
            continue
        database, equals, key = word.strip().partition("=")
        if not equals:
            database, key = "0", database
        number = _DATABASE.fullmatch(database)
        key = unquote_plus(key)
        if number is None or "=" in key or not key:
            raise ValueError("no key or pattern")
        plain = "," not in key and key == key.strip()
        db = int(number[1])
        found.append(({"db": db, "key": key}) if not plain else f"db{db}={key}" if db else key)
    if not found:
        raise ValueError("no key or pattern")
    return found


def groups(value: str) -> list[str]:
    """Take over patterns of Lua, one line of CSV, as regular expressions of Python."""
    found = [translated(word.strip()) for line in csv.reader(value.splitlines()) for word in line if word.strip()]
    if not found:
        raise ValueError("no pattern")
    return found
