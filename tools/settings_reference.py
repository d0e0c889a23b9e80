"""Return every setting as a row of docs/configuration.md, which tools/render.py renders."""

from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from redis_pulse.config import (
    AwsSettings,
    AzureSettings,
    ClusterSettings,
    CredentialsSettings,
    DnsSourceSettings,
    FileSourceSettings,
    GoogleSettings,
    HttpSourceSettings,
    SentinelSettings,
    Settings,
    format_duration,
)
from redis_pulse.config.layered_source import SettingPath
from redis_pulse.config.setting_sources import (
    COMMAND_LINE,
    REDIS_EXPORTER_ENV,
    UNPREFIXED_ENV,
    env_name,
    nested_model,
    setting_fields,
)
from redis_pulse.config.settings import Module, TargetEntry
from redis_pulse.config.types import format_bytes

#: Validators of durations.
_DURATION_VALIDATORS = frozenset({"parse_seconds", "<lambda>", "_off_or_seconds"})
#: The names of Python types in the documentation.
_TYPE_NAMES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Path": "path of a file",
    "SecretStr": "secret text",
}
#: The types of settings that have a special format.
_SPECIAL_TYPES = {
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
    "allowed_hosts": "list of names",
    "hosts": "list of servers",
    "seeds": "list of servers",
    "master": "list of names",
    "cluster": "true, or mapping",
    "command": "list of words",
    **dict.fromkeys(("azure", "google"), "true, or mapping"),
    "buckets": "list of durations",
    "slow_reply": "duration or off",
    "max_reply": "number of bytes",
}


class SettingRow(NamedTuple):
    """One setting.

    ``path`` is ``probe.interval``, ``modules.NAME.password_file`` or ``targets[].url``. ``default`` is written as in a
    file; it is empty if there is no default. ``environment`` has the ``REDIS_PULSE_…`` variable last. ``option`` is
    the option of the command line, or empty.
    """

    path: str
    type: str
    default: str
    environment: tuple[str, ...]
    description: str
    option: str = ""


def rows() -> list[SettingRow]:
    """Return the settings at the top, then those of modules and sources, then those that only targets have."""
    settings = [_row(path, ".".join(map(str, path)), field) for path, field in setting_fields(Settings)]
    settings += _model_rows(Module, "modules.NAME.")
    settings += _model_rows(FileSourceSettings, "discovery.files[].")
    settings += _model_rows(HttpSourceSettings, "discovery.http[].")
    settings += _model_rows(DnsSourceSettings, "discovery.dns[].")
    settings += _model_rows(CredentialsSettings, "modules.NAME.credentials.")
    settings += _model_rows(AwsSettings, "modules.NAME.credentials.aws.")
    settings += _model_rows(AzureSettings, "modules.NAME.credentials.azure.")
    settings += _model_rows(GoogleSettings, "modules.NAME.credentials.google.")
    of_modules = {row.path.removeprefix("modules.NAME.") for row in settings}
    of_targets = _model_rows(TargetEntry, "targets[].")
    settings += [row for row in of_targets if row.path.removeprefix("targets[].") not in of_modules]
    settings += _model_rows(ClusterSettings, "targets[].cluster.")
    return settings + _model_rows(SentinelSettings, "targets[].sentinel.")


def _model_rows(model: type[BaseModel], prefix: str) -> list[SettingRow]:
    """Return the settings of a model. A group is one row, because the top has rows for its keys."""
    settings = []
    for name, field in model.model_fields.items():
        group, container = nested_model(field.annotation)
        is_group = group is not None and container is None and name not in _SPECIAL_TYPES
        kind = "mapping" if is_group else _type(name, field)
        settings.append(SettingRow(prefix + name, kind, _default(name, field), (), field.description or ""))
    return settings


def _row(path: SettingPath, written_path: str, field: FieldInfo) -> SettingRow:
    names = tuple(name for name, paths in (UNPREFIXED_ENV | REDIS_EXPORTER_ENV).items() if path in paths)
    option = next((option for option, setting in COMMAND_LINE.items() if setting == path), "")
    name = str(path[-1])
    return SettingRow(
        written_path,
        _type(name, field),
        _default(name, field),
        (*names, env_name(path)),
        field.description or "",
        option,
    )


def _is_duration(field: FieldInfo) -> bool:
    return any(getattr(getattr(part, "func", None), "__name__", "") in _DURATION_VALIDATORS for part in field.metadata)


def _type(name: str, field: FieldInfo) -> str:
    if name in _SPECIAL_TYPES:
        return _SPECIAL_TYPES[name]
    if get_origin(field.annotation) is Literal:
        return ", ".join(str(value) for value in get_args(field.annotation))
    if _is_duration(field):
        return "duration"
    parts = get_args(field.annotation) or (field.annotation,)
    kind = next(part for part in parts if part is not type(None))
    return _TYPE_NAMES[(get_args(kind)[0] if get_origin(kind) is Annotated else kind).__name__]


def _default(name: str, field: FieldInfo) -> str:
    value: Any = field.default
    if value is PydanticUndefined or value is None or value in ((), {}) or isinstance(value, BaseModel):
        return "off" if name in ("slow_reply", "slow_call_duration", "cold_connect") else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(format_duration(edge) for edge in value)
    if name == "max_reply":
        return format_bytes(value)
    return format_duration(value) if _is_duration(field) else f"{value}"
