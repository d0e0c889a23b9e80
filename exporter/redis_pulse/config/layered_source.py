"""One configuration source: what it sets, and the location of every value in it.

Sources are layered. The strongest source that sets a value decides it, and messages name the location in that source.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from redis_pulse.config.problems import Problem

#: Keys from the top to a setting: ``("targets", 2, "password")``.
SettingPath = tuple[str | int, ...]

_FILE_KEYS = frozenset(
    {
        *("password_file", "ca_file", "cert_file", "key_file", "client_ca_file", "bearer_token_file"),
        *("config_file", "file", "path"),
    }
)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,60}")


@dataclass(slots=True)
class ConfigSource:
    """What one source sets.

    ``data`` is nested as the settings are. ``locations`` maps a path to its location, such as ``--listen``,
    ``REDIS_URL`` or ``redis-pulse.yaml:12``. A path without an entry has the location of its parent. With
    ``with_path``, every location is written with its path. Without it, only the location of a parent is.
    """

    data: dict[str, Any] = field(default_factory=dict)
    locations: dict[SettingPath, str] = field(default_factory=dict)
    with_path: bool = False
    #: the file, as messages name it; empty for a source that is no configuration file
    file: str = ""

    def put(self, path: SettingPath, value: Any, location: str) -> None:
        """Set a value, and create the groups above it."""
        group = self.data
        for key in path[:-1]:
            inner = group.setdefault(str(key), {})
            if not isinstance(inner, dict):
                inner = group[str(key)] = {}
            group = inner
        group[str(path[-1])] = value
        self.locations[path] = location

    def holds(self, path: SettingPath) -> bool:
        """Whether this source sets anything at a path."""
        value: Any = self.data
        for key in path:
            keys: Any = (
                value if isinstance(value, Mapping) else range(len(value)) if isinstance(value, list | tuple) else ()
            )
            if key not in keys:
                return False
            value = value[key]
        return True

    def location(self, path: SettingPath) -> str:
        """Return the location of a path, as messages show it."""
        known = next((path[:length] for length in range(len(path), -1, -1) if path[:length] in self.locations), ())
        location = self.locations.get(known, "")
        if known == ("redis_url",) and len(self.data["redis_url"]) == 1:
            return location
        return f"{location}: {format_path(path)}" if self.with_path or known != path else location


class InheritedSettings(NamedTuple):
    """What the variables of another exporter set.

    ``values`` has the path, the value and the variable of each setting. A problem stops the start.
    """

    values: Sequence[tuple[SettingPath, Any, str]] = ()
    warnings: Sequence[str] = ()
    problems: Sequence[Problem] = ()


#: Given variables of another exporter that are not settings here, return what they set.
InheritVariables = Callable[[Mapping[str, str]], InheritedSettings]


def location_of_path(sources: Sequence[ConfigSource], path: SettingPath) -> str:
    """Return the location of a path in the strongest source that sets it, or the nearest path above it."""
    for length in range(len(path), 0, -1):
        for source in sources:
            if source.holds(path[:length]):
                return source.location(path)
    return format_path(path)


def format_path(path: SettingPath) -> str:
    """Write a path as ``targets[2].password``. A key that is not a plain word becomes ``…``, as it may be a secret."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (key if _PLAIN_KEY.fullmatch(key) else "…")
    return text


def resolve_paths(data: Any, base: Path) -> Any:
    """Return ``data`` with relative paths of files joined to ``base``, the folder of the configuration file."""
    if isinstance(data, dict):
        return {key: _resolve_value(key, value, base) for key, value in data.items()}
    return [resolve_paths(item, base) for item in data] if isinstance(data, list) else data


def _resolve_value(key: Any, value: Any, base: Path) -> Any:
    if isinstance(value, str) and value and key in _FILE_KEYS:
        return str(base / Path(value).expanduser())
    if key == "files":  # of discovery: a list of patterns, or of sources with a path
        items = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
        return [
            str(base / Path(item.strip()).expanduser()) if isinstance(item, str) else resolve_paths(item, base)
            for item in items
        ]
    return resolve_paths(value, base)
