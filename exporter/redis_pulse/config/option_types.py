"""What collectors of keys are told: keys and patterns with their database, regular expressions, files of scripts."""

import errno
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from redis_pulse.blocking import read_regular_file
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

_DATABASE = re.compile(r"(?:db)?(\d{1,5})=(.+)", re.DOTALL)
_GLOB = re.compile(r"[*?\[\]\\]")
_METRIC = re.compile(r"[a-z][a-z0-9_]{0,99}")
#: Endings that make another series, or another type, of a name.
_SUFFIXES = ("_sum", "_count", "_bucket", "_created", "_info")
_RESERVED = frozenset({"target", "job", "instance", "address", "le", "quantile"})
_MAX_LABELS, _MAX_HELP_LENGTH = 10, 200
#: Bytes; a Lua script that is longer was not meant.
_MAX_SCRIPT_BYTES = 1 << 20


class RoleOptions(Options):
    """On which servers keys are read: a replica has the keys of its primary, so a sum would count them twice."""

    roles: Literal["auto", "primaries", "replicas", "all"] = Field(
        "auto",
        description="Which servers are read, by their role; auto: primaries of clusters and Sentinel sets, and every "
        "server that is declared by its own address.",
    )

    def reads(self, role: str, *, is_grouped: bool) -> bool:
        """Whether a server is read; ``role`` in its own words, empty when unknown."""
        if self.roles == "auto":
            return not (is_grouped and role == "slave")
        return self.roles == "all" or (role == "slave") is (self.roles == "replicas")


class DatabaseKey(NamedTuple):
    """A key, or a pattern of keys as SCAN takes it, and the database that it is in."""

    db: int
    key: str

    @property
    def is_pattern(self) -> bool:
        """Whether it has a character that is special in a pattern; a key without one need not be searched."""
        return _GLOB.search(self.key) is not None


def _key(value: Any) -> DatabaseKey:
    match value:
        case DatabaseKey():
            return value
        case str() if value.strip():
            database = _DATABASE.fullmatch(value.strip())
            return DatabaseKey(int(database[1]), database[2]) if database else DatabaseKey(0, value.strip())
        case {"pattern": str() as key, **rest} | {"key": str() as key, **rest} if key:
            number = rest.pop("db", 0)
            if type(number) is int and 0 <= number < 100_000 and not rest:
                return DatabaseKey(number, key)
    raise ValueError('must be a list of keys or patterns such as "user:*", "db3=user:*" or {db: 3, pattern: "user:*"}')


def _keys(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or isinstance(value, DatabaseKey):
        value = [value]
    return tuple(dict.fromkeys(_key(one) for one in value))


def _regexes(value: Any) -> Any:
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
        raise ValueError("must be a list of regular expressions")
    for place, one in enumerate(value):
        try:
            re.compile(one)
        except re.error as error:
            raise ValueError(f"is no regular expression at place {place + 1}: {error.msg}") from None
    return tuple(value)


class ScriptFile(NamedTuple):
    """A script whose values are a metric of their own: its name, type, help, and the labels that keys are split into.

    ``a:b`` is the values of two labels; the last label takes what is left.
    """

    file: str
    metric: str
    type: Literal["gauge", "counter"] = "gauge"
    help: str = "A value that a script returned."
    labels: tuple[str, ...] = ("key",)

    @property
    def family(self) -> tuple[str, str, str, tuple[str, ...]]:
        """What must be the same for all scripts that give the same metric."""
        return (self.metric, self.type, self.help, self.labels)


def own_metrics(options: dict[str, Any]) -> list[ScriptFile]:
    """Return the metrics that options of the collector of scripts define, as far as they are well-formed."""
    files = options.get("files")
    found = []
    for one in files if isinstance(files, list | tuple) else ():
        if isinstance(one, dict | ScriptFile):
            try:
                script = _script(one, 0)
            except ValueError:
                continue
            found += [script] if isinstance(script, ScriptFile) else []
    return found


def _script(value: Any, place: int) -> str | ScriptFile:
    """Read a path, or a mapping with the path and the metric of a script."""
    match value:
        case ScriptFile():
            return value
        case str() | Path() if str(value):
            return str(value)
        case {"file": str() | Path() as file, **rest} if str(file):
            if not rest:
                return str(file)
            at = f"at place {place + 1}"
            if "metric" not in rest:
                raise ValueError(f"has {', '.join(map(str, rest))} {at} without a metric")
            if unknown := set(map(str, rest)) - set(ScriptFile._fields):
                raise ValueError(f"has {', '.join(sorted(unknown))} {at}, which is no setting of a script")
            said: dict[str, Any] = {str(name): one for name, one in rest.items()}
            return _metric_spec(ScriptFile(str(file), **said), at)
    raise ValueError("must be a list of paths of Lua scripts, or of mappings with file, metric, type, help, labels")


def _metric_spec(script: ScriptFile, at: str) -> ScriptFile:
    """Check what makes a metric, as Prometheus does."""
    name: Any = script.metric
    labels: Any = script.labels
    text: Any = script.help
    if not isinstance(name, str) or not _METRIC.fullmatch(name):
        raise ValueError(f"has a metric {at} that is no name: lower-case letters, digits and underscores, 100 at most")
    if script.type not in ("gauge", "counter"):
        raise ValueError(f"has a type {at} that is neither gauge nor counter")
    if name.endswith(_SUFFIXES) or name.endswith("_total") is not (script.type == "counter"):
        raise ValueError(f"has a metric {at} with a wrong ending: a counter ends in _total, a gauge in no suffix")
    if isinstance(labels, str) or not isinstance(labels, list | tuple) or len(labels) > _MAX_LABELS:
        raise ValueError(f"has labels {at} that are no list of at most {_MAX_LABELS} names")
    for label in labels:
        if not isinstance(label, str) or not _METRIC.fullmatch(label) or label in _RESERVED:
            raise ValueError(f"has a label {at} that is no name of a label, or one that Prometheus or we set")
    if len(set(labels)) != len(labels):
        raise ValueError(f"has a label twice {at}")
    if not isinstance(text, str) or not 0 < len(text.strip()) <= _MAX_HELP_LENGTH or not text.isprintable():
        raise ValueError(f"has a help {at} that is not one line of at most {_MAX_HELP_LENGTH} characters")
    return script._replace(labels=tuple(labels), help=text.strip().removesuffix(".") + ".")


def _scripts(value: Any) -> Any:
    value = value.split(",") if isinstance(value, str) else value
    # What is no list is refused as a script.
    scripts = tuple(
        _script(one, place) for place, one in enumerate(value if isinstance(value, list | tuple) else [value])
    )
    families: dict[str, ScriptFile] = {}
    for place, one in enumerate(scripts):
        try:
            if not read_script(Path(one if isinstance(one, str) else one.file)).strip():
                raise ValueError(f"names an empty file at place {place + 1}")
        except OSError as error:
            raise ValueError(f"names a file at place {place + 1} that cannot be read: {error.strerror}") from None
        if isinstance(one, ScriptFile) and families.setdefault(one.metric, one).family != one.family:
            raise ValueError(f"gives the metric {one.metric} twice, with another type, help or labels")
    return scripts


def read_script(file: Path) -> str:
    """Read a Lua script. Raises OSError when the file cannot be read, or is no text of at most a megabyte."""
    try:
        return read_regular_file(file, _MAX_SCRIPT_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise OSError(0, "it is not UTF-8 text") from None
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise OSError(0, "it is longer than a megabyte") from None


#: Keys and patterns: ``["user:*", "db3=session:*", {"db": 3, "pattern": "a=b*"}]``, or text with commas.
KeyPatterns = Annotated[tuple[DatabaseKey, ...], BeforeValidator(_keys)]
#: Regular expressions of Python, as text; each compiles.
RegexList = Annotated[tuple[str, ...], BeforeValidator(_regexes)]
#: Lua scripts that could be read when the settings were: paths, and those that give a metric of their own.
ScriptPaths = Annotated[tuple[str | ScriptFile, ...], BeforeValidator(_scripts)]
