"""Read a configuration file, YAML or TOML, into a ``ConfigSource`` that has the line of every key."""

import re
from pathlib import Path
from typing import Any

from redis_pulse.blocking import read_regular_file
from redis_pulse.config.layered_source import ConfigSource, SettingPath, resolve_paths
from redis_pulse.config.problems import ConfigError, Problem

#: Maximum size of a configuration file. Ten thousand targets take a few megabytes.
MAX_BYTES = 50_000_000
_TOML_TABLE = re.compile(r"\s*(\[\[?)\s*([\w.\" -]+?)\s*\]\]?\s*(#.*)?")
_TOML_KEY = re.compile(r"\s*([\w.-]+)\s*=")
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def read_file(path: Path, *, shown: str, data: bytes | None = None) -> ConfigSource:
    """Return what a configuration file sets. Raises ConfigError if it cannot be read or parsed.

    ``shown`` is its name in messages, as the user wrote it. ``data`` is its content, if that was read already.
    """
    file = Path(shown)
    try:
        text = (read_regular_file(path, MAX_BYTES) if data is None else data).decode("utf-8-sig")
    except FileNotFoundError:
        raise file_error(file, "does not exist", "see --config and REDIS_PULSE_CONFIG") from None
    except IsADirectoryError:
        raise file_error(file, "is a directory, not a file") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise file_error(file, "is not UTF-8 text", line=line) from None
    except (OSError, ValueError) as error:
        raise file_error(file, f"cannot be read: {getattr(error, 'strerror', None) or 'not a path'}") from None
    settings, lines = _read_toml(file, text) if file.suffix.lower() == ".toml" else _read_yaml(file, text)
    if settings is None or settings == {}:
        raise file_error(file, "is empty", "write at least one target: see docs/configuration.md")
    locations = {path: f"{file}:{line}" for path, line in lines.items()} | {(): str(file)}
    return ConfigSource(resolve_paths(settings, path.absolute().parent), locations, with_path=True, file=shown)


def _read_yaml(file: Path, text: str) -> tuple[Any, dict[SettingPath, int]]:
    from redis_pulse.config.yaml_reader import read_yaml  # a daemon without a file does not need YAML, 1 MB

    return read_yaml(file, text)


def parse_yaml(text: str, shown: str) -> Any:
    """Return the mapping in a YAML text that a server sent. Raises ConfigError, which names it ``shown``."""
    return _read_yaml(Path(shown), text)[0]


def file_error(file: Path, message: str, hint: str = "", *, line: int | None = None) -> ConfigError:
    """Return the error of a file, or of one of its lines."""
    return ConfigError([Problem(f"{file}:{line}" if line else str(file), message, hint)])


def _read_toml(file: Path, text: str) -> tuple[Any, dict[SettingPath, int]]:
    import tomllib  # most files are YAML

    try:
        return tomllib.loads(text), _toml_lines(text)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_LINE.search(str(error))
        line = int(match[1]) if match else text.count("\n") + 1
        problem = re.sub(
            r"'[^']*'|\"[^\"]*\"", "…", _TOML_LINE.sub("", str(error)).removesuffix("(at end of document)")
        )
        raise file_error(
            file, f"is not valid TOML: {problem.strip().lower()}", "put text in quotes", line=line
        ) from None
    except (ValueError, RecursionError):
        raise file_error(file, "holds a value that TOML cannot read") from None


def _toml_lines(text: str) -> dict[SettingPath, int]:
    """Return the line of each key. A key inside a value of several lines has the line of the value."""
    lines: dict[SettingPath, int] = {}
    table_indexes: dict[SettingPath, int] = {}
    table: SettingPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TOML_TABLE.fullmatch(line):
            table = _toml_table(match[2], table_indexes, is_array=match[1] == "[[")
            lines.setdefault(table, number)
        elif match := _TOML_KEY.match(line):
            lines.setdefault((*table, *match[1].split(".")), number)
    return lines


def _toml_table(header: str, table_indexes: dict[SettingPath, int], *, is_array: bool) -> SettingPath:
    """Return the path of a table.

    ``[[targets]]`` begins the next element of an array. ``[targets.tls]`` is in the last element.

    ``table_indexes`` has the last index of each array of tables, and is updated.
    """
    keys = tuple(key.strip(' "') for key in header.split("."))
    table: SettingPath = ()
    for position, key in enumerate(keys, 1):
        table = (*table, key)
        if is_array and position == len(keys):
            table_indexes[table] = table_indexes.get(table, -1) + 1
        if table in table_indexes:
            table = (*table, table_indexes[table])
    return table
