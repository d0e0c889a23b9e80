"""What collectors of keys are told: keys and patterns with their database, regular expressions, files of scripts."""

import errno
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from exporter.blocking import read_regular_file
from exporter.config.values import Count, Options, PositiveCount, PositiveSeconds

__all__ = [
    "Count",
    "Field",
    "KeyAt",
    "Keys",
    "Options",
    "PositiveCount",
    "PositiveSeconds",
    "Regexes",
    "Scripts",
    "read_script",
]

_DATABASE = re.compile(r"(?:db)?(\d{1,5})=(.+)", re.DOTALL)
_GLOB = re.compile(r"[*?\[\]\\]")
#: Bytes; a Lua script that is longer was not meant.
_LONGEST_SCRIPT = 1 << 20


class KeyAt(NamedTuple):
    """A key, or a pattern of keys as SCAN takes it, and the database that it is in."""

    db: int
    key: str

    @property
    def is_pattern(self) -> bool:
        """Whether it has a character that is special in a pattern; a key without one need not be searched."""
        return _GLOB.search(self.key) is not None


def _key(value: Any) -> KeyAt:
    match value:
        case KeyAt():
            return value
        case str() if value.strip():
            database = _DATABASE.fullmatch(value.strip())
            return KeyAt(int(database[1]), database[2]) if database else KeyAt(0, value.strip())
        case {"pattern": str() as key, **rest} | {"key": str() as key, **rest} if key:
            number = rest.pop("db", 0)
            if type(number) is int and 0 <= number < 100_000 and not rest:
                return KeyAt(number, key)
    raise ValueError('must be a list of keys or patterns such as "user:*", "db3=user:*" or {db: 3, pattern: "user:*"}')


def _keys(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or isinstance(value, KeyAt):
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


def _scripts(value: Any) -> Any:
    value = value.split(",") if isinstance(value, str) else value
    if not isinstance(value, list | tuple) or not all(isinstance(one, str | Path) and str(one) for one in value):
        raise ValueError("must be a list of paths of Lua scripts")
    for place, one in enumerate(value):
        try:
            if not read_script(Path(one)).strip():
                raise ValueError(f"names an empty file at place {place + 1}")
        except OSError as error:
            raise ValueError(f"names a file at place {place + 1} that cannot be read: {error.strerror}") from None
    return tuple(str(one) for one in value)


def read_script(file: Path) -> str:
    """Read a Lua script. Raises OSError when the file cannot be read, or is no text of at most a megabyte."""
    try:
        return read_regular_file(file, _LONGEST_SCRIPT).decode("utf-8")
    except UnicodeDecodeError:
        raise OSError(0, "it is not UTF-8 text") from None
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        raise OSError(0, "it is longer than a megabyte") from None


#: Keys and patterns: ``["user:*", "db3=session:*", {"db": 3, "pattern": "a=b*"}]``, or text with commas.
Keys = Annotated[tuple[KeyAt, ...], BeforeValidator(_keys)]
#: Regular expressions of Python, as text; each compiles.
Regexes = Annotated[tuple[str, ...], BeforeValidator(_regexes)]
#: Paths of Lua scripts that could be read when the settings were.
Scripts = Annotated[tuple[str, ...], BeforeValidator(_scripts)]
