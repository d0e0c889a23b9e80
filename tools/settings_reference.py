"""Every setting as a row, from which its documentation is rendered."""

from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from redis_pulse.config import (
    ClusterSettings,
    DnsSourceSettings,
    FileSourceSettings,
    HttpSourceSettings,
    SentinelSettings,
    Settings,
    duration,
)
from redis_pulse.config.layered_source import SettingPath
from redis_pulse.config.settings import Module, TargetEntry
from redis_pulse.config.sources import COMMAND_LINE, REDIS_EXPORTER_ENV, UNPREFIXED_ENV, env_name, leaves, model_of
from redis_pulse.config.types import byte_text

_DURATIONS = frozenset({"seconds", "<lambda>", "_off_or_seconds"})
_TYPES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Path": "path of a file",
    "SecretStr": "secret text",
}
_KINDS = {
    "collectors": "names, or a mapping from names to options",
    "labels": "mapping",
    "commands": "mapping",
    "modules": "mapping from names to modules",
    "targets": "list of targets",
    "redis_url": "list of URLs",
    "url": "URL",
    "files": "list of patterns or of files",
    "http": "list of URLs",
    "dns": "list of names",
    "allow": "list of networks and names",
    "hosts": "list of servers",
    "seeds": "list of servers",
    "master": "list of names",
    "cluster": "true, or mapping",
    "buckets": "list of durations",
    "slow_reply": "duration or off",
    "max_reply": "number of bytes",
}


class SettingRow(NamedTuple):
    """One setting.

    ``path`` is ``probe.interval``, ``modules.NAME.password_file`` or ``targets[].url``; ``default`` is written as in a
    file, and empty when there is none; ``environment`` has our own name last; ``option`` is that of the command line.
    """

    path: str
    type: str
    default: str
    environment: tuple[str, ...]
    description: str
    option: str = ""


def rows() -> list[SettingRow]:
    """Return every setting of the daemon, then those of a module, then those that a target has besides."""
    found = [_row(path, ".".join(map(str, path)), field) for path, field in leaves(Settings)]
    found += _of(Module, "modules.NAME.")
    found += _of(FileSourceSettings, "discovery.files[].") + _of(HttpSourceSettings, "discovery.http[].")
    found += _of(DnsSourceSettings, "discovery.dns[].")
    inherited = {row.path.removeprefix("modules.NAME.") for row in found}
    found += [row for row in _of(TargetEntry, "targets[].") if row.path.removeprefix("targets[].") not in inherited]
    return found + _of(ClusterSettings, "targets[].cluster.") + _of(SentinelSettings, "targets[].sentinel.")


def _of(model: type[BaseModel], prefix: str) -> list[SettingRow]:
    """Return the settings of a module or a target; a group is one row, since its keys are those of the top."""
    found = []
    for name, field in model.model_fields.items():
        group, container = model_of(field.annotation)
        is_group = group is not None and container is None and name not in _KINDS
        kind = "mapping" if is_group else _type(name, field)
        found.append(SettingRow(prefix + name, kind, _default(name, field), (), field.description or ""))
    return found


def _row(path: SettingPath, shown: str, field: FieldInfo) -> SettingRow:
    names = tuple(name for name, paths in (UNPREFIXED_ENV | REDIS_EXPORTER_ENV).items() if path in paths)
    option = next((option for option, at in COMMAND_LINE.items() if at == path), "")
    name = str(path[-1])
    return SettingRow(
        shown, _type(name, field), _default(name, field), (*names, env_name(path)), field.description or "", option
    )


def _is_duration(field: FieldInfo) -> bool:
    return any(getattr(getattr(part, "func", None), "__name__", "") in _DURATIONS for part in field.metadata)


def _type(name: str, field: FieldInfo) -> str:
    if name in _KINDS:
        return _KINDS[name]
    if get_origin(field.annotation) is Literal:
        return ", ".join(str(value) for value in get_args(field.annotation))
    if _is_duration(field):
        return "duration"
    parts = get_args(field.annotation) or (field.annotation,)
    kind = next(part for part in parts if part is not type(None))
    return _TYPES[(get_args(kind)[0] if get_origin(kind) is Annotated else kind).__name__]


def _default(name: str, field: FieldInfo) -> str:
    value: Any = field.default
    if value is PydanticUndefined or value is None or value in ((), {}) or isinstance(value, BaseModel):
        return "off" if name in ("slow_reply", "slow_call_duration", "cold_connect") else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(duration(edge) for edge in value)
    if name == "max_reply":
        return byte_text(value)
    return duration(value) if _is_duration(field) else f"{value}"
