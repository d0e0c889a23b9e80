"""A layer is what one source sets, and where each value of it stands."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from redis_pulse.config.problems import Problem

#: Where a setting is: ``("targets", 2, "password")``.
SettingPath = tuple[str | int, ...]

_FILES = frozenset({"password_file", "ca_file", "cert_file", "key_file", "bearer_token_file", "file"})
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,60}")


@dataclass(slots=True)
class ConfigSource:
    """What one source sets.

    ``data`` is nested as the settings are. ``places`` maps a path to where it stands (``--listen``, ``REDIS_URL``,
    ``redis-pulse.yaml:12``); a path that is missing there stands where its parent stands. ``with_path`` says whether a
    reader always needs the path besides, or only below a place.
    """

    data: dict[str, Any] = field(default_factory=dict)
    locations: dict[SettingPath, str] = field(default_factory=dict)
    with_path: bool = False

    def put(self, path: SettingPath, value: Any, place: str) -> None:
        """Set a value, making the groups above it."""
        group = self.data
        for step in path[:-1]:
            below = group.setdefault(str(step), {})
            if not isinstance(below, dict):
                below = group[str(step)] = {}
            group = below
        group[str(path[-1])] = value
        self.locations[path] = place

    def holds(self, path: SettingPath) -> bool:
        """Whether this layer says anything at a path."""
        at: Any = self.data
        for step in path:
            known: Any = at if isinstance(at, Mapping) else range(len(at)) if isinstance(at, list | tuple) else ()
            if step not in known:
                return False
            at = at[step]
        return True

    def location(self, path: SettingPath) -> str:
        """Return where a path stands, as a person is told."""
        above = next((path[:n] for n in range(len(path), -1, -1) if path[:n] in self.locations), ())
        found = self.locations.get(above, "")
        if above == ("redis_url",) and len(self.data["redis_url"]) == 1:
            return found
        return f"{found}: {format_path(path)}" if self.with_path or above != path else found


class InheritedSettings(NamedTuple):
    """What variables of another exporter say: path, value and name of each; warnings; what stops the start."""

    values: Sequence[tuple[SettingPath, Any, str]] = ()
    warnings: Sequence[str] = ()
    problems: Sequence[Problem] = ()


#: Given variables of another exporter that are no settings of ours, says what they mean here.
InheritVariables = Callable[[Mapping[str, str]], InheritedSettings]


def location_of_path(layers: Sequence[ConfigSource], path: SettingPath) -> str:
    """Return where the strongest source says something at a path, or at the nearest path above it."""
    for length in range(len(path), 0, -1):
        for layer in layers:
            if layer.holds(path[:length]):
                return layer.location(path)
    return format_path(path)


def format_path(path: SettingPath) -> str:
    """Write a path as ``targets[2].password``; a key that is no plain word is not written out."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _PLAIN.fullmatch(step) else "…")
    return text


def resolve_paths(data: Any, base: FilePath) -> Any:
    """Make the relative paths of files in ``data`` start at ``base``: where the configuration file lies."""
    if isinstance(data, dict):
        return {key: _resolved_value(key, value, base) for key, value in data.items()}
    return [resolve_paths(one, base) for one in data] if isinstance(data, list) else data


def _resolved_value(key: Any, value: Any, base: FilePath) -> Any:
    if isinstance(value, str) and value and (key in _FILES or key == "path"):
        return str(base / FilePath(value).expanduser())
    if key == "files":  # of discovery: a list of patterns, or of sources with a path
        items = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
        return [
            str(base / FilePath(one.strip()).expanduser()) if isinstance(one, str) else resolve_paths(one, base)
            for one in items
        ]
    return resolve_paths(value, base)
