"""Settings as YAML that a person may go on with: what is set, hints as comments, notes at the end."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from redis_pulse.migrate.convert import Conversion

_WIDTH = 118
_HEAD = "What redis_exporter was told, for redis-pulse; see docs/migrating-from-redis-exporter.md."
#: Who is asked and who logs in: hints stand behind these.
_FIRST = ("redis_url", "username", "password_file", "modules")
_NOTES = "What to know:"
_RULES = "For the scrape job of Prometheus:"


def write(made: Conversion) -> str:
    """Return the text of a configuration file."""
    first = {key: made.settings[key] for key in _FIRST if key in made.settings}
    others = {key: value for key, value in made.settings.items() if key not in first}
    lines = [f"# {_HEAD}", *_block(first, ""), *(f"# {hint}" for hint in made.hints), *_block(others, "")]
    if not made.settings:
        lines.append("{}")
    if made.notes:
        lines += ["", f"# {_NOTES}"]
        for note in dict.fromkeys(made.notes):
            lines += textwrap.wrap(
                note,
                _WIDTH,
                initial_indent="# - ",
                subsequent_indent="#   ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    if made.rules:
        lines += ["", f"# {_RULES}", "#   metric_relabel_configs:", *(f"#     {rule}" for rule in made.rules)]
    return "\n".join(lines) + "\n"


def _block(mapping: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from _block(value, indent + "  ")
        else:
            yield f"{indent}{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
        case _:
            return '"' + "".join(map(_escaped, str(value))) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
