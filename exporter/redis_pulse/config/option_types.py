"""Types of the options of collectors: keys with their database, regular expressions, script files, roles."""

import errno
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from redis_pulse.blocking import read_regular_file
from redis_pulse.config.regular_expressions import ExpressionError, compile_expression
from redis_pulse.config.types import Count, Options, PositiveCount, PositiveSeconds

__all__ = [
    "Count",
    "DatabaseKey",
    "Field",
    "KeyPatterns",
    "Options",
    "PositiveCount",
    "PositiveSeconds",
    "RegexList",
    "RoleOptions",
    "ScriptFile",
    "ScriptPaths",
    "own_metrics",
    "read_script",
]

_KEY_WITH_DATABASE = re.compile(r"(?:db)?(\d{1,5})=(.+)", re.DOTALL)
_GLOB_CHARACTER = re.compile(r"[*?\[\]\\]")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
#: Suffixes that Prometheus gives to series of other types.
_RESERVED_SUFFIXES = ("_sum", "_count", "_bucket", "_created", "_info")
_RESERVED_LABELS = frozenset({"target", "job", "instance", "address", "le", "quantile"})
_MAX_LABELS, _MAX_HELP_LENGTH = 10, 200
#: Maximum size of a Lua script in bytes. A longer file is a mistake.
_MAX_SCRIPT_BYTES = 1 << 20


class RoleOptions(Options):
    """On which servers keys are read.

    A replica has the keys of its primary. A sum over both would count every key twice.
    """

    roles: Literal["auto", "primaries", "replicas", "all"] = Field(
        "auto",
        description="Which servers are read, by their role. auto: the primaries of clusters and Sentinel sets, and "
        "every server that is declared by its own address.",
    )

    def reads(self, role: str, *, is_grouped: bool) -> bool:
        """Whether a server is read. ``role`` is that in INFO, or empty if it is unknown."""
        if self.roles == "auto":
            return not (is_grouped and role == "slave")
        return self.roles == "all" or (role == "slave") is (self.roles == "replicas")


class DatabaseKey(NamedTuple):
    """A key, or a pattern of keys as in SCAN, and its database."""

    db: int
    key: str

    @property
    def is_pattern(self) -> bool:
        """Whether it contains a special character of patterns. A key without one needs no SCAN."""
        return _GLOB_CHARACTER.search(self.key) is not None


def _parse_key(value: Any) -> DatabaseKey:
    match value:
        case DatabaseKey():
            return value
        case str() if value.strip():
            match = _KEY_WITH_DATABASE.fullmatch(value.strip())
            return DatabaseKey(int(match[1]), match[2]) if match else DatabaseKey(0, value.strip())
        case {"pattern": str() as key, **rest} | {"key": str() as key, **rest} if key:
            db = rest.pop("db", 0)
            if type(db) is int and 0 <= db < 100_000 and not rest:
                return DatabaseKey(db, key)
    raise ValueError('must be a list of keys or patterns such as "user:*", "db3=user:*" or {db: 3, pattern: "user:*"}')


def _keys(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or isinstance(value, DatabaseKey):
        value = [value]
    return tuple(dict.fromkeys(_parse_key(item) for item in value))


def _regexes(value: Any) -> Any:
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        raise ValueError("must be a list of regular expressions")
    for position, item in enumerate(value, 1):
        try:
            compile_expression(item)
        except ExpressionError as error:
            raise ValueError(f"has an invalid regular expression at position {position}: {error}") from None
    return tuple(value)


class ScriptFile(NamedTuple):
    """A script that returns the values of its own metric: its file, and the definition of the metric.

    The keys that the script returns are split at colons into the values of the labels. ``a:b`` has two. The last label
    gets the rest of the key.
    """

    file: str
    metric: str
    type: Literal["gauge", "counter"] = "gauge"
    help: str = "A value that a script returned."
    labels: tuple[str, ...] = ("key",)

    @property
    def family(self) -> tuple[str, str, str, tuple[str, ...]]:
        """The parts of the metric that must be equal in all scripts that return it."""
        return (self.metric, self.type, self.help, self.labels)


def own_metrics(options: dict[str, Any]) -> list[ScriptFile]:
    """Return the metrics that options of the scripts collector define. Skip those with errors."""
    files = options.get("files")
    scripts = []
    for item in files if isinstance(files, list | tuple) else ():
        if isinstance(item, dict | ScriptFile):
            try:
                script = _parse_script(item, 1)
            except ValueError:
                continue
            scripts += [script] if isinstance(script, ScriptFile) else []
    return scripts


def _parse_script(value: Any, position: int) -> str | ScriptFile:
    """Return the path of a script, or its path and its metric for a mapping with a metric."""
    match value:
        case ScriptFile():
            return value
        case str() | Path() if str(value):
            return str(value)
        case {"file": str() | Path() as file, **rest} if str(file):
            if not rest:
                return str(file)
            at = f"at position {position}"
            if "metric" not in rest:
                raise ValueError(f"has {', '.join(map(str, rest))} {at} without a metric")
            if unknown := set(map(str, rest)) - set(ScriptFile._fields):
                raise ValueError(f"has {', '.join(sorted(unknown))} {at}, which is not a setting of a script")
            fields: dict[str, Any] = {str(name): field for name, field in rest.items()}
            return _check_metric(ScriptFile(str(file), **fields), at)
    raise ValueError("must be a list of paths of Lua scripts, or of mappings with file, metric, type, help, labels")


def _check_metric(script: ScriptFile, at: str) -> ScriptFile:
    """Return a script with its metric in normal form. Raises ValueError if Prometheus would reject the metric."""
    name: Any = script.metric
    labels: Any = script.labels
    text: Any = script.help
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"has an invalid name of a metric {at}: use at most 100 lower-case letters, digits and underscores"
        )
    if script.type not in ("gauge", "counter"):
        raise ValueError(f"has a type {at} that is neither gauge nor counter")
    if name.endswith(_RESERVED_SUFFIXES) or name.endswith("_total") is not (script.type == "counter"):
        raise ValueError(f"has a metric {at} with a wrong ending: a counter ends in _total, a gauge in no suffix")
    if isinstance(labels, str) or not isinstance(labels, list | tuple) or len(labels) > _MAX_LABELS:
        raise ValueError(f"has labels {at} that are not a list of at most {_MAX_LABELS} names")
    for label in labels:
        if not isinstance(label, str) or not _NAME.fullmatch(label) or label in _RESERVED_LABELS:
            raise ValueError(f"has an invalid or reserved name of a label {at}")
    if len(set(labels)) != len(labels):
        raise ValueError(f"has a label twice {at}")
    if not isinstance(text, str) or not 0 < len(text.strip()) <= _MAX_HELP_LENGTH or not text.isprintable():
        raise ValueError(f"has a help {at} that is not one line of at most {_MAX_HELP_LENGTH} characters")
    return script._replace(labels=tuple(labels), help=text.strip().removesuffix(".") + ".")


def _scripts(value: Any) -> Any:
    value = value.split(",") if isinstance(value, str) else value
    # A value that is not a list is then rejected as a script.
    items = value if isinstance(value, list | tuple) else [value]
    scripts = tuple(_parse_script(item, position) for position, item in enumerate(items, 1))
    families: dict[str, ScriptFile] = {}
    for position, script in enumerate(scripts, 1):
        try:
            if not read_script(Path(script if isinstance(script, str) else script.file)).strip():
                raise ValueError(f"names an empty file at position {position}")
        except OSError as error:
            raise ValueError(f"names a file at position {position} that cannot be read: {error.strerror}") from None
        if isinstance(script, ScriptFile) and families.setdefault(script.metric, script).family != script.family:
            raise ValueError(f"gives the metric {script.metric} twice, with another type, help or labels")
    return scripts


def read_script(file: Path) -> str:
    """Return a Lua script. Raises OSError if the file cannot be read, is not text, or is longer than a megabyte."""
    try:
        return read_regular_file(file, _MAX_SCRIPT_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise OSError(0, "it is not UTF-8 text") from None
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise OSError(0, "it is longer than a megabyte") from None


#: Keys and patterns: ``["user:*", "db3=session:*", {"db": 3, "pattern": "a=b*"}]``, or text separated by commas.
KeyPatterns = Annotated[tuple[DatabaseKey, ...], BeforeValidator(_keys)]
#: Regular expressions of Python, as text. All of them compile.
RegexList = Annotated[tuple[str, ...], BeforeValidator(_regexes)]
#: Lua scripts, as paths or with their own metrics. All of them were readable when the settings were loaded.
ScriptPaths = Annotated[tuple[str | ScriptFile, ...], BeforeValidator(_scripts)]
