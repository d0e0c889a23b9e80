"""Convert the errors of pydantic to problems. Pydantic knows neither the locations of values nor which are secret."""

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
    StallSettings,
)
from redis_pulse.config.problems import Problem, closest_name
from redis_pulse.config.setting_sources import model_at
from redis_pulse.config.settings import Settings
from redis_pulse.config.types import format_duration

#: Groups without secrets: a message may repeat a wrong value.
_WITHOUT_SECRETS = (
    *(ProbeSettings, PollSettings, BreakerSettings, SloSettings, StallSettings),
    *(ConnectionSettings, LogSettings),
)
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


def problems_from(
    error: ValidationError, sources: Sequence[ConfigSource], root: type[BaseModel] = Settings
) -> list[Problem]:
    """Return the problems of a ValidationError of ``root``, each with its location in the strongest source."""
    problems = []
    for details in error.errors(include_url=False):
        path: SettingPath = details["loc"]
        message, hint = _describe(details, model_at(path[:-1], root) or root, show_value=True)
        location = location_of_path(sources, path)
        if (safe_path := _safe_path(details)) != path:
            location = location.replace(format_path(path), format_path(safe_path))
        problems.append(Problem(location, message, hint))
    return problems


def check_options(model: type[BaseModel], options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options of a collector, as messages of ``Problem``."""
    try:
        model.model_validate(dict(options))
    except ValidationError as error:
        return [_describe_option(details, model) for details in error.errors(include_url=False)]
    return []


def _describe_option(details: Any, model: type[BaseModel]) -> str:
    message, hint = _describe(details, model, show_value=False)
    name = format_path(_safe_path(details))
    is_unknown = details["type"] == "extra_forbidden"
    text = f"has no option {name}" if is_unknown else f"has the option {name}, which {message}"
    return text + (f" ({hint})" if hint else "")


def _describe(details: Any, model: type[BaseModel], *, show_value: bool) -> tuple[str, str]:
    """Return the message and the hint for one error of pydantic."""
    kind, path, context = details["type"], details["loc"], details.get("ctx", {})
    if kind == "extra_forbidden":
        guess = closest_name(str(path[-1]), model.model_fields)
        known = ", ".join(model.model_fields) or "none"
        return "is not a setting", f"did you mean {guess}?" if guess else f"known here: {known}"
    if kind in ("value_error", "assertion_error"):
        message = str(context.get("error", "is not valid"))
    else:
        limits = {name: value for name, value in context.items() if isinstance(value, int | float | str)}
        message = _MESSAGES.get(kind, "is not valid").format(**limits)
    if show_value and issubclass(model, _WITHOUT_SECRETS):
        message += _format_value(details["input"])
    return message, ""


def _format_value(value: Any) -> str:
    if isinstance(value, str) and len(value) <= 30 and value.isprintable() and not {"@", ":", "/"} & set(value):
        return f", not {value!r}"
    return f", not {value}" if isinstance(value, bool | int | float) else ""


def _safe_path(details: Any) -> SettingPath:
    """Return the path of an error, with ``…`` in place of an unknown key that may be a secret.

    ``{username: me, hunter2}`` has a key without a value, which was meant as a password.
    """
    path: SettingPath = details["loc"]
    has_no_value = details["type"] == "extra_forbidden" and details["input"] is None
    return (*path[:-1], "…") if has_no_value else path


def closest_duration(value: float, known: Sequence[float]) -> str:
    """Return the nearest of some durations, with a unit."""
    return format_duration(min(known, key=lambda duration: abs(duration - value)))
