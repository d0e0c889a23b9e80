"""From pydantic's errors to our problems: pydantic knows neither lines nor secrets."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from redis_pulse.config.layered_source import ConfigSource, SettingPath, format_path, location_of_path
from redis_pulse.config.models import (
    BreakerSettings,
    ConnectionSettings,
    LogSettings,
    PollSettings,
    ProbeSettings,
    SloSettings,
)
from redis_pulse.config.problems import Problem, closest_name
from redis_pulse.config.settings import Settings
from redis_pulse.config.sources import model_at
from redis_pulse.config.types import duration

#: Groups in which no value can be a secret, so that a bad one may be shown.
_HARMLESS = (ProbeSettings, PollSettings, BreakerSettings, SloSettings, ConnectionSettings, LogSettings)
_MESSAGES = {
    "missing": "is missing",
    "string_type": "must be text: put it in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "model_type": "must be a mapping from settings to values",
    "model_attributes_type": "must be a mapping from settings to values",
    "dict_type": "must be a mapping from names to values",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "path_type": "must be the path of a file",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be one of {expected}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}


def problems_from(error: ValidationError, layers: Sequence[ConfigSource]) -> list[Problem]:
    """Return the problems behind a ValidationError of ``Settings``, each with its place in the strongest source."""
    problems = []
    for found in error.errors(include_url=False):
        path: SettingPath = found["loc"]
        message, cure = _describe(found, model_at(path[:-1]) or Settings, harmless=True)
        where = _printable(path) if found["type"] == "extra_forbidden" and not _key_is_safe(found) else path
        at = location_of_path(layers, path)
        problems.append(
            Problem(at.replace(format_path(path), format_path(where)) if where != path else at, message, cure)
        )
    return problems


def check_options(model: type[BaseModel], options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options of a collector, as ``message`` of Problem; empty when all is well."""
    try:
        model.model_validate(dict(options))
    except ValidationError as error:
        return [_option(found, model) for found in error.errors(include_url=False)]
    return []


def _option(found: Any, model: type[BaseModel]) -> str:
    message, cure = _describe(found, model, harmless=False)
    name = format_path(
        _printable(found["loc"]) if found["type"] == "extra_forbidden" and not _key_is_safe(found) else found["loc"]
    )
    text = f"has no option {name}" if found["type"] == "extra_forbidden" else f"has the option {name}, which {message}"
    return text + (f" ({cure})" if cure else "")


def _describe(found: Any, model: type[BaseModel], *, harmless: bool) -> tuple[str, str]:
    """Return message and cure for one error of pydantic."""
    kind, path, context = found["type"], found["loc"], found.get("ctx", {})
    if kind == "extra_forbidden":
        guess = closest_name(str(path[-1]), model.model_fields)
        known = ", ".join(model.model_fields) or "none"
        return "is no setting", f"did you mean {guess}?" if guess else f"known here: {known}"
    if kind in ("value_error", "assertion_error"):
        message = str(context.get("error", "is not valid"))
    else:
        limits = {name: value for name, value in context.items() if isinstance(value, int | float | str)}
        message = _MESSAGES.get(kind, "is not valid").format(**limits)
    if harmless and issubclass(model, _HARMLESS):
        message += _value(found["input"])
    return message, ""


def _value(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 30 and value.isprintable() and not {"@", ":", "/"} & set(value):
        return f", not {value!r}"
    return f", not {value}" if isinstance(value, bool | int | float) else ""


def _key_is_safe(found: Any) -> bool:
    # ``{username: me, hunter2}`` makes a key of what was meant as a value; it has no value itself.
    return found["input"] is not None


def _printable(path: SettingPath) -> SettingPath:
    return (*path[:-1], "…")


def closest_duration(value: float, known: Sequence[float]) -> str:
    """Return the nearest of some durations, as a person writes it."""
    return duration(min(known, key=lambda one: abs(one - value)))
