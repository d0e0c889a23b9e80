"""The effective configuration: the value of every setting, and the source that decided it. Without secrets."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from redis_pulse.config.layered_source import ConfigSource, SettingPath, format_path
from redis_pulse.config.models import OptionalSeconds
from redis_pulse.config.types import Buckets, PositiveSeconds, Seconds, format_duration
from redis_pulse.masking import HIDDEN, SENSITIVE_NAME, mask

DEFAULT = "default"
#: Settings that hold a URL, which is shown without its login. ``SecretStr`` hides the rest.
_URLS = frozenset(("url", "redis_url"))
#: Settings whose names contain a sensitive word, and whose values are paths.
_PATHS = ("_file", "file", "path")
#: The validators of settings that are durations in seconds.
_DURATIONS = frozenset(get_args(kind)[1].func for kind in (Seconds, PositiveSeconds, Buckets, OptionalSeconds))


class EffectiveValue(NamedTuple):
    """One setting. ``value`` is safe to show, ``origin`` is a location such as ``redis-pulse.yaml:12``."""

    path: str
    value: str
    origin: str


def effective_values(settings: BaseModel, sources: Sequence[ConfigSource]) -> Iterator[EffectiveValue]:
    """Yield every setting at the top of the file, and what modules and targets set themselves."""
    yield from _values_of(settings, (), sources, with_defaults=True)


def effective_text(values: Sequence[EffectiveValue]) -> Iterator[str]:
    """Yield one line for each setting: its path, its value, and its origin in a comment."""
    for path, value, origin in values:
        yield f"{path}: {value}  # {origin}\n"


def _values_of(
    model: BaseModel, path: SettingPath, sources: Sequence[ConfigSource], *, with_defaults: bool
) -> Iterator[EffectiveValue]:
    for name, field in type(model).model_fields.items():
        if with_defaults or name in model.model_fields_set:
            value = getattr(model, name)
            yield from _walk(value, (*path, name), field, sources, with_defaults=with_defaults)


def _walk(
    value: Any, path: SettingPath, field: FieldInfo, sources: Sequence[ConfigSource], *, with_defaults: bool
) -> Iterator[EffectiveValue]:
    if isinstance(value, BaseModel):
        yield from _values_of(value, path, sources, with_defaults=with_defaults)
    elif isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _walk(inner, (*path, str(key)), field, sources, with_defaults=False)
    elif isinstance(value, tuple | list) and any(isinstance(item, BaseModel | Mapping) for item in value):
        for index, inner in enumerate(value):
            yield from _walk(inner, (*path, index), field, sources, with_defaults=False)
    else:
        yield EffectiveValue(format_path(path), _shown(value, path, field), _origin(sources, path))


def _origin(sources: Sequence[ConfigSource], path: SettingPath) -> str:
    """Return the location of a value in the strongest source that sets it, or ``default``."""
    for length in range(len(path), 0, -1):
        for source in sources:
            if source.holds(path[:length]):
                is_whole = length == len(path) or isinstance(path[length], int)
                if is_whole or not isinstance(_value_at(source, path[:length]), Mapping):
                    return source.location(path).removesuffix(f": {format_path(path)}") or DEFAULT
    return DEFAULT


def _value_at(source: ConfigSource, path: SettingPath) -> Any:
    value: Any = source.data
    for key in path:
        value = value[key]
    return value


def _shown(value: Any, path: SettingPath, field: FieldInfo) -> str:
    """Return a value as text, without secrets and in one line."""
    if isinstance(value, tuple | list):
        return ", ".join(_shown(item, path, field) for item in value) or "[]"
    name = next(key for key in reversed(path) if isinstance(key, str))
    if isinstance(value, SecretStr):
        return _printable(mask(value.get_secret_value())) if name in _URLS else HIDDEN
    if isinstance(value, str) and SENSITIVE_NAME.search(name) and not name.endswith(_PATHS):
        return HIDDEN
    if isinstance(value, float) and _is_duration(field) and math.isfinite(value):
        return format_duration(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return "{}" if isinstance(value, Mapping) else _printable(mask(str(value)))


def _is_duration(field: FieldInfo) -> bool:
    return any(getattr(part, "func", None) in _DURATIONS for part in field.metadata)


def _printable(text: str) -> str:
    """Return a text in one line. Characters that a terminal would obey are escaped."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
