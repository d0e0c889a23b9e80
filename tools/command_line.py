"""Return the commands and options of docs/command-line.md, from the parsers, for ``tools/render.py``."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from redis_pulse import asset_files, calibrate, cli, doctor, keyspace_terminal
from redis_pulse.completion import CompletedOption, options_of

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]

#: A command in the text of the help: its words, and its meaning. The meaning may be in the next line.
_COMMAND = re.compile(r"^  ([a-z-]+(?: (?:\[[A-Z]+…?\]|[A-Z]{2,}|-- …|check FILE|hash))?)\s+([a-z].*)$", re.MULTILINE)


def part(table: Table) -> str:
    """Return the rendered part of the page. ``table`` makes a table of a head and rows."""
    commands = [[f"`{words}`", meaning] for words, meaning in _COMMAND.findall(cli.DESCRIPTION)]
    parts = ["## Commands\n", table(["command", "what it does"], commands)]
    for title, options in _options():
        rows = ([f"`{option.flag} {option.takes}`".replace(" `", "`"), _cell(option.help)] for option in options)
        parts += [f"## {title}\n", table(["option", "meaning"], rows)]
    return "\n".join(parts).rstrip("\n")


def _options() -> Iterator[tuple[str, list[CompletedOption]]]:
    yield "Options of the daemon, check-config, config and demo", options_of(cli._parser())  # noqa: SLF001
    commands = (("doctor", doctor), ("keyspace", keyspace_terminal), ("calibrate", calibrate), ("assets", asset_files))
    for name, module in commands:
        yield f"Options of {name}", options_of(module.parser())


def _cell(text: str) -> str:
    return text.replace("<", "&lt;")
