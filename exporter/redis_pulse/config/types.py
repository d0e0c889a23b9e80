"""Types of settings, such as durations, sizes, buckets and labels, and the base class of all models of settings."""

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

#: Characters of a duration. The expression below needs time in proportion to the square of a longer text.
_MAX_DURATION_LENGTH = 100
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([a-zµμ]+)")
#: The units of durations, in seconds.
DURATION_UNITS = {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTE_SIZE = re.compile(r"(\d{1,15})\s*(b?|[kmg]i?b)", re.IGNORECASE | re.ASCII)
_BYTE_UNITS = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED_LABELS = frozenset({"target", "address", "job", "instance", "le", "quantile"})


class Options(BaseModel):
    """The base of every model of settings, and of the options of a collector.

    Unknown keys are rejected, values do not change, and an error never repeats a value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)


def parse_seconds(value: Any) -> float:
    """Return the seconds of a duration: a number of seconds, or text such as ``500ms``, ``15s``, ``1m30s``, ``1h``.

    Raises ValueError for anything else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= _MAX_DURATION_LENGTH and _NUMBER.fullmatch(text):
            return float(text)
        if (total := parse_duration(text, DURATION_UNITS)) is not None:
            return total
    raise ValueError("must be a duration: a number of seconds, or text such as 500ms, 15s, 1m or 1h")


def parse_duration(text: str, units: Mapping[str, float]) -> float | None:
    """Return the seconds of a text such as ``1m30s``, or None if it is not a duration in these units.

    Decimal fractions come out exact: ``1.5ms`` is ``0.0015``.
    """
    parts = _DURATION_PART.findall(text) if len(text) <= _MAX_DURATION_LENGTH else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    if not all(unit in units for _, unit in parts):
        return None
    return round(sum(float(number) * units[unit] for number, unit in parts), 9)


def format_duration(value: float) -> str:
    """Return a duration with a unit that is easy to read: ``0.01`` is ``10ms``."""
    if value and value < 0.001:
        return f"{value * 1e6:g}us"
    if value and value < 1:
        return f"{value * 1e3:g}ms"
    for unit, size in (("h", 3600), ("m", 60)):
        if value and value % size == 0:
            return f"{value / size:g}{unit}"
    return f"{value:g}s"


def parse_bytes(value: Any) -> int:
    """Return a number of bytes: a whole number, or text such as ``512KB``, ``16MB``, ``1GB``.

    A KB has 1024 bytes, as in redis.conf. Raises ValueError for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _BYTE_SIZE.fullmatch(value.strip())) is not None:
        return int(match[1]) * _BYTE_UNITS[match[2].lower().replace("i", "")]
    raise ValueError("must be a number of bytes, or text such as 512KB, 16MB or 1GB")


def format_bytes(value: int) -> str:
    """Return a number of bytes with a unit that is easy to read: ``16777216`` is ``16MB``."""
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than zero")
    return value


def _whole_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004  # pydantic wants a ValueError
    return value


def _buckets(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in re.split(r"[,\s]+", value.strip("[] ")) if part]
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("must be a list of durations, each longer than the one before")
    edges = tuple(parse_seconds(edge) for edge in value)
    if edges[0] <= 0 or any(upper <= lower for lower, upper in pairwise(edges)):
        raise ValueError("must be a list of durations, each longer than the one before")
    return edges


def label_error(labels: Mapping[Any, Any]) -> str:
    """Return what is wrong with the names of the labels of a target, or an empty text."""
    for name in labels:
        if not _LABEL.fullmatch(str(name)) or str(name).startswith("__"):
            return "must have names of letters, digits and _, which do not start with a digit or __"
        if name in _RESERVED_LABELS:
            return f"must not have the label {name}, which is reserved"
    return ""


def _labels(value: Any) -> Any:
    if isinstance(value, dict) and (error := label_error(value)):
        raise ValueError(error)
    return value


def _target_name(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > 200:
        raise ValueError("must be printable text of at most 200 characters")
    if "://" in value:
        raise ValueError("must be a name, not a URL")
    return value


def _collector_options(value: Any) -> Any:
    if value is None or value is True:
        return {}
    return None if value is False else value


def _collectors(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in re.split(r"[,\s]+", value.strip("[] ")) if part]
    if isinstance(value, list | tuple):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("must be a list of names of collectors, or a mapping from names to options")
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: _collector_options(options) for name, options in value.items()}
    if value is None:
        return None
    raise ValueError("must be a list of names of collectors, or a mapping from names to options")


#: A duration in seconds. Zero is allowed: it means "off".
Seconds = Annotated[float, BeforeValidator(parse_seconds)]
#: A duration in seconds, longer than zero.
PositiveSeconds = Annotated[float, BeforeValidator(lambda value: _positive(parse_seconds(value)))]
#: A number of bytes.
ByteSize = Annotated[int, BeforeValidator(parse_bytes)]
#: The upper edges of the buckets of a histogram in seconds, in rising order, without +Inf.
Buckets = Annotated[tuple[float, ...], BeforeValidator(_buckets)]
Labels = Annotated[dict[str, str], BeforeValidator(_labels)]
TargetName = Annotated[str, BeforeValidator(lambda value: _target_name(value) if isinstance(value, str) else value)]
#: The options of each collector, or of a set of collectors such as ``lean``. None: it does not run.
Collectors = Annotated[dict[str, dict[str, Any] | None], BeforeValidator(_collectors)]
Count = Annotated[int, BeforeValidator(_whole_number), Field(ge=0)]
PositiveCount = Annotated[int, BeforeValidator(_whole_number), Field(ge=1)]
#: Commands that the exporter sends, without PING and AUTH: a server that renames those two cannot be monitored.
RENAMEABLE = frozenset(
    {"acl", "arcount", "client", "cluster", "commandlog", "config", "dbsize", "eval", "eval_ro", "evalsha"}
    | {
        "evalsha_ro",
        "ft._list",
        "ft.info",
        "getrange",
        "hlen",
        "hotkeys",
        "info",
        "latency",
        "llen",
        "memory",
        "object",
    }
    | {"pfcount", "pttl", "randomkey", "scan", "scard", "sentinel", "slowlog", "strlen", "type", "xinfo"}
    | {"xlen", "zcard"}
)
#: A server shortens a longer name in its errors. The short form is not recognised as the secret, and would be shown.
_COMMAND_NAME = re.compile(r"[!-~]{1,128}")


def _renamed_commands(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping from commands to their names, such as {config: NAME}")  # noqa: TRY004
    renamed = {}
    for command, name in value.items():
        if (usual_name := str(command).lower()) not in RENAMEABLE:
            raise ValueError(f"has a command that the exporter does not send; it sends {', '.join(sorted(RENAMEABLE))}")
        word = name.get_secret_value() if isinstance(name, SecretStr) else name
        if not isinstance(word, str) or not _COMMAND_NAME.fullmatch(word):
            raise ValueError(f"has a name for {usual_name} that is not a word")
        renamed[usual_name] = SecretStr(word)
    return renamed


#: The name of each renamed command. The names are secrets: they are chosen to be hard to guess.
RenamedCommands = Annotated[dict[str, SecretStr], BeforeValidator(_renamed_commands)]
