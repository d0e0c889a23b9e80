"""The kinds of values that settings hold: durations, buckets, names; and the base of every model of settings.

Commands that a server knows by another name: ``commands: {config: NAME}``.
"""

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(us|µs|μs|ms|s|m|h|d)")
_UNIT = {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d{1,15})\s*(b?|[kmg]i?b)", re.IGNORECASE | re.ASCII)
_BYTES = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED_LABELS = frozenset({"target", "address", "job", "instance", "le", "quantile"})


class Options(BaseModel):
    """The base of every model of settings, and of the options of a collector.

    Unknown keys are refused, values do not change, and an error never repeats what was put in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)


def seconds(value: Any) -> float:
    """Read a duration: a number of seconds, or text such as ``500ms``, ``15s``, ``1m30s``, ``1h``.

    Raises ValueError for anything else. Decimal fractions come out exact: ``1.5ms`` is ``0.0015``.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return float(text)
        parts = _PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return round(sum(float(number) * _UNIT[unit] for number, unit in parts), 9)
    raise ValueError("must be a duration: a number of seconds, or text such as 500ms, 15s, 1m or 1h")


def duration(value: float) -> str:
    """Write a duration as a person would: ``0.01`` is ``10ms``."""
    if value and value < 0.001:
        return f"{value * 1e6:g}us"
    if value and value < 1:
        return f"{value * 1e3:g}ms"
    for unit, size in (("h", 3600), ("m", 60)):
        if value and value % size == 0:
            return f"{value / size:g}{unit}"
    return f"{value:g}s"


def byte_size(value: Any) -> int:
    """Read a number of bytes: a whole number, or text such as ``512KB``, ``16MB``, ``1GB``.

    A KB has 1024 bytes, as in redis.conf.

    Raises ValueError for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())) is not None:
        return int(found[1]) * _BYTES[found[2].lower().replace("i", "")]
    raise ValueError("must be a number of bytes, or text such as 512KB, 16MB or 1GB")


def byte_text(value: int) -> str:
    """Write a number of bytes as a person would: ``16777216`` is ``16MB``."""
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than zero")
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004  # pydantic wants a ValueError
    return value


def _buckets(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in re.split(r"[,\s]+", value.strip("[] ")) if part]
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("must be a list of durations, each longer than the one before")
    edges = tuple(seconds(edge) for edge in value)
    if edges[0] <= 0 or any(late <= early for early, late in pairwise(edges)):
        raise ValueError("must be a list of durations, each longer than the one before")
    return edges


def label_error(labels: Mapping[Any, Any]) -> str:
    """Return what is wrong with the names of labels of a target; empty when nothing is."""
    for name in labels:
        if not _LABEL.fullmatch(str(name)) or str(name).startswith("__"):
            return "must have names of letters, digits and _, which do not start with a digit or __"
        if name in _RESERVED_LABELS:
            return f"must not have the label {name}, which is taken"
    return ""


def _labels(value: Any) -> Any:
    if isinstance(value, dict) and (trouble := label_error(value)):
        raise ValueError(trouble)
    return value


def _target_name(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > 200:
        raise ValueError("must be some printable text of at most 200 characters")
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


#: Seconds, zero allowed (where zero means "off").
Seconds = Annotated[float, BeforeValidator(seconds)]
#: Seconds, more than zero.
PositiveSeconds = Annotated[float, BeforeValidator(lambda value: _positive(seconds(value)))]
#: A number of bytes.
ByteSize = Annotated[int, BeforeValidator(byte_size)]
#: The upper edges of a histogram's buckets in seconds, rising, without +Inf.
Buckets = Annotated[tuple[float, ...], BeforeValidator(_buckets)]
Labels = Annotated[dict[str, str], BeforeValidator(_labels)]
TargetName = Annotated[str, BeforeValidator(lambda value: _target_name(value) if isinstance(value, str) else value)]
#: Name of a collector, or of a set of them such as ``default``, → its options; None: it is left out.
Collectors = Annotated[dict[str, dict[str, Any] | None], BeforeValidator(_collectors)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
PositiveCount = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
#: What we send, but for PING and AUTH: a server that renames those is no server for us.
RENAMEABLE = frozenset(
    {"acl", "arcount", "client", "cluster", "commandlog", "config", "eval", "eval_ro", "evalsha", "evalsha_ro"}
    | {"ft._list", "ft.info", "getrange", "hlen", "info", "latency", "llen", "memory", "pfcount", "scan"}
    | {"scard", "sentinel", "slowlog", "strlen", "type", "xinfo", "xlen", "zcard"}
)
#: A server cuts a longer word in its errors, where it would be shown then.
_WORD = re.compile(r"[!-~]{1,128}")


def _renamed_commands(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping from commands to their names, such as {config: NAME}")  # noqa: TRY004
    found = {}
    for command, name in value.items():
        if (known := str(command).lower()) not in RENAMEABLE:
            raise ValueError(f"names a command that is not sent: there are {', '.join(sorted(RENAMEABLE))}")
        word = name.get_secret_value() if isinstance(name, SecretStr) else name
        if not isinstance(word, str) or not _WORD.fullmatch(word):
            raise ValueError(f"has a name for {known} that is no word")
        found[known] = SecretStr(word)
    return found


#: Command → name; the names are treated as secrets, since that is what they are chosen for.
RenamedCommands = Annotated[dict[str, SecretStr], BeforeValidator(_renamed_commands)]
