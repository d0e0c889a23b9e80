"""Completion for bash, zsh and fish, and the man page, from one table of commands and options.

The command line builds the table from its own parsers, so a new option is completed without further work.
"""

import argparse
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SHELLS = ("bash", "zsh", "fish", "man")
#: Commands that take no options of the daemon, and the words that follow a command.
_WITHOUT_OPTIONS = ("web-config", "migrate-flags", "completion")
_WORDS = {"web-config": ("check", "hash"), "completion": SHELLS}


class CompletedOption(NamedTuple):
    """One option. ``takes`` names its value, such as ``FILE``; it is empty for a switch."""

    flag: str
    takes: str
    help: str


class CompletedCommand(NamedTuple):
    """One command with its options. The first command of the table is the default."""

    name: str
    help: str
    options: Sequence[CompletedOption]
    #: fixed words that may follow
    words: Sequence[str] = ()


def options_of(parser: argparse.ArgumentParser) -> list[CompletedOption]:
    """Return the options of a parser that its help shows."""
    return [
        CompletedOption(
            action.option_strings[-1], "" if action.nargs == 0 else str(action.metavar or "VALUE"), help_text
        )
        for action in parser._actions  # noqa: SLF001  # argparse has no public list
        if action.option_strings and (help_text := action.help) not in (None, argparse.SUPPRESS)
    ]


def run(
    words: Sequence[str],
    names: Sequence[str],
    description: str,
    parsers: Mapping[str, argparse.ArgumentParser],
    version: str,
) -> int:
    """Print the text for a shell, and return the exit code.

    ``description`` is the text of the help, with a line for each command. ``parsers`` has the parsers of commands with
    own options, and under an empty name that of all others.
    """
    if len(words) != 1 or words[0] not in SHELLS:
        sys.stderr.write(f"redis-pulse completion: use one of {', '.join(SHELLS)}\n")
        return 2
    helps = dict(re.findall(r"^  ([a-z-]+)(?: \S+)*? {2,}(\w.*)$", description, re.MULTILINE))
    table = [
        CompletedCommand(
            name,
            helps.get(name, name),
            [] if name in _WITHOUT_OPTIONS else options_of(parsers.get(name, parsers[""])),
            _WORDS.get(name, ()),
        )
        for name in names
    ]
    sys.stdout.write(script(words[0], table, version))
    return 0


def script(shell: str, commands: Sequence[CompletedCommand], version: str) -> str:
    """Return the text for one of ``SHELLS``."""
    match shell:
        case "bash":
            return _bash(commands)
        case "zsh":
            return f"#compdef redis-pulse\nautoload -U +X bashcompinit && bashcompinit\n{_bash(commands)}"
        case "fish":
            return _fish(commands)
        case _:
            return _man(commands, version)


def _bash(commands: Sequence[CompletedCommand]) -> str:
    names = " ".join(command.name for command in commands)
    cases = "".join(
        f"    {command.name}) words={shlex.quote(' '.join((*(o.flag for o in command.options), *command.words)))} ;;\n"
        for command in commands
    )
    files = "|".join(sorted({o.flag for c in commands for o in c.options if o.takes == "FILE"}))
    return f"""\
_redis_pulse() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words
  COMPREPLY=()
  case "$before" in
    {files or "--"}) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  case "${{COMP_WORDS[1]}}" in
{cases}    *) words={shlex.quote(names + " " + " ".join(o.flag for o in commands[0].options))} ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="{names} $words"; fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o bashdefault -F _redis_pulse redis-pulse
"""


def _fish(commands: Sequence[CompletedCommand]) -> str:
    names = " ".join(command.name for command in commands)
    none = f"not __fish_seen_subcommand_from {names}"
    lines = [
        f"complete -c redis-pulse -n {_fish_quoted(none)} -f -a {command.name} -d {_fish_quoted(command.help)}"
        for command in commands
    ]
    for number, command in enumerate(commands):
        condition = none if number == 0 else f"__fish_seen_subcommand_from {command.name}"
        lines += [f"complete -c redis-pulse -n {_fish_quoted(condition)} -f -a {word}" for word in command.words]
        for option in command.options:
            takes = " -r" if option.takes else ""
            lines.append(
                f"complete -c redis-pulse -n {_fish_quoted(condition)} -l {option.flag[2:]}{takes} "
                f"-d {_fish_quoted(option.help)}"
            )
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    """Return a text in single quotes. In fish, a backslash escapes there."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _man(commands: Sequence[CompletedCommand], version: str) -> str:
    parts = [
        f'.TH REDIS-PULSE 1 "" "redis-pulse {version}"',
        ".SH NAME",
        "redis\\-pulse \\- Prometheus exporter daemon for Redis and Valkey",
        ".SH SYNOPSIS",
        f".B redis\\-pulse\n[{' | '.join(_roff(command.name) for command in commands)}] [options]",
        ".SH COMMANDS",
    ]
    for command in commands:
        parts += [f".SS {_roff(command.name)}", _roff(command.help)]
        for option in command.options:
            value = f" \\fI{_roff(option.takes)}\\fR" if option.takes else ""
            parts += [".TP", f"\\fB{_roff(option.flag)}\\fR{value}", _roff(option.help)]
    parts += [".SH SEE ALSO", "docs/configuration.md, docs/doctor.md, docs/probing.md, docs/troubleshooting.md"]
    return "\n".join(parts) + "\n"


def _roff(text: str) -> str:
    """Return a text in which roff finds no command of its own."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
