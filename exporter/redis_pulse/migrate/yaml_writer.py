"""Write a conversion as a YAML file that a person can edit: settings, hints as comments, notes at the end."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from redis_pulse.migrate.convert import Conversion

_WIDTH = 118
_TITLE = "Flags of redis_exporter as settings of redis-pulse; see docs/migrating-from-redis-exporter.md."
#: Servers and logins. The hints are about them, and follow them.
_FIRST_KEYS = ("redis_url", "username", "password_file", "modules")
_NOTES_TITLE = "Notes:"
_RULES_TITLE = "For the scrape job of Prometheus:"


def write(conversion: Conversion) -> str:
    """Return the text of a configuration file."""
    settings = conversion.settings
    first = {key: settings[key] for key in _FIRST_KEYS if key in settings}
    others = {key: value for key, value in settings.items() if key not in first}
    hints = (f"# {hint}" for hint in conversion.hints)
    lines = [f"# {_TITLE}", *_block(first, ""), *hints, *_block(others, "")]
    if not settings:
        lines.append("{}")
    if conversion.notes:
        lines += ["", f"# {_NOTES_TITLE}"]
        for note in dict.fromkeys(conversion.notes):
            lines += textwrap.wrap(
                note,
                _WIDTH,
                initial_indent="# - ",
                subsequent_indent="#   ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    if conversion.rules:
        rules = (f"#     {rule}" for rule in conversion.rules)
        lines += ["", f"# {_RULES_TITLE}", "#   metric_relabel_configs:", *rules]
    return "\n".join(lines) + "\n"


def _block(mapping: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from _block(value, indent + "  ")
        else:
            yield f"{indent}{key}: {_inline(value)}"


def _inline(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case list():
            return f"[{', '.join(map(_inline, value))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {_inline(item)}" for key, item in value.items()) + "}"
        case _:
            return '"' + "".join(map(_escape, str(value))) + '"'


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
