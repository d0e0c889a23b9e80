"""Parse what redis_exporter was started with: its flags, as Go parses them, and its environment variables."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from redis_pulse.config import closest_name
from redis_pulse.migrate.flags import FLAG_TABLE, VERSION, Flag

FLAGS = {flag.name: flag for flag in FLAG_TABLE}
VARIABLES = {flag.variable: flag for flag in FLAG_TABLE if flag.variable}
#: Options of container commands. The next word is a variable.
_ENV_OPTIONS = frozenset({"-e", "--env"})
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)
_FLAG = re.compile(r"--?([A-Za-z][A-Za-z0-9.-]*)(?:=(.*))?", re.DOTALL)
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,60}")
#: The words that Go accepts for true and false.
TRUTH = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(slots=True)
class ParsedFlags:
    """The values of flags, and remarks about other words. No remark repeats a value: it may be a secret."""

    values: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    #: Flags that got their value from the environment. redis-pulse may find it there too.
    from_environment: set[str] = field(default_factory=set)

    def get(self, name: str) -> str:
        """Return the value of a flag, or its default."""
        return self.values.get(name, FLAGS[name].default)

    def is_on(self, name: str) -> bool:
        """Whether a switch is on. A value that is neither true nor false counts as off."""
        return TRUTH.get(self.get(name), False)


def parse_flags(words: Sequence[str], environ: Mapping[str, str]) -> ParsedFlags:
    """Parse flags and ``NAME=value`` words. Flags are stronger than the words, and the environment is the weakest."""
    parsed = ParsedFlags()
    assigned: dict[str, str] = {}
    positions: dict[str, str] = {}
    remaining = list(words)
    while remaining:
        position = f"word {len(words) - len(remaining) + 1}"
        word = remaining.pop(0)
        if word in ("--", *_ENV_OPTIONS):
            continue
        if assignment := _ASSIGNMENT.fullmatch(word):
            assigned[assignment[1]] = assignment[2]
            positions[assignment[1]] = position
        elif flag := _FLAG.fullmatch(word):
            _parse_flag(parsed, flag[1], flag[2], remaining, position)
        else:
            parsed.remarks.append(f"{position} is not a flag, and was ignored (write a switch as -flag=false)")
    for name, value in assigned.items():
        _parse_variable(parsed, name, value, positions[name])
    from_words = set(parsed.values)
    for name in VARIABLES:
        if name in environ:
            _parse_variable(parsed, name, environ[name], name)
    parsed.from_environment = parsed.values.keys() - from_words
    return parsed


def is_on(flag: Flag, value: str) -> bool:
    """Whether a switch is on. Raises ValueError if Go would reject the value."""
    if value not in TRUTH:
        raise ValueError(f"-{flag.name} is neither true nor false")
    return TRUTH[value]


def _parse_flag(parsed: ParsedFlags, name: str, value: str | None, remaining: list[str], position: str) -> None:
    """Store a flag. Without a value, a flag that is not a switch takes the next word."""
    flag = FLAGS.get(name)
    if flag is None:
        parsed.remarks.append(_unknown_name(position, "flag", name))
    elif value is not None:
        parsed.values[name] = value
    elif flag.is_switch:
        parsed.values[name] = "true"
    elif remaining:
        parsed.values[name] = remaining.pop(0)
    else:
        parsed.remarks.append(f"-{name} has no value")


def _parse_variable(parsed: ParsedFlags, name: str, value: str, position: str) -> None:
    flag = VARIABLES.get(name)
    if flag is None:
        parsed.remarks.append(_unknown_name(position, "variable", name))
    elif not flag.is_switch or value in TRUTH:  # redis_exporter ignores a switch that is neither true nor false
        parsed.values.setdefault(flag.name, value)


def _unknown_name(position: str, kind: str, name: str) -> str:
    """Return a remark about an unknown flag or variable.

    It repeats the name only if it is similar to a known one. Any other text may be a secret.
    """
    known, dash = (FLAGS, "-") if kind == "flag" else (VARIABLES, "")
    guess = closest_name(name, known) if _NAME.fullmatch(name.lower()) else None
    if guess is None:
        return f"{position} was ignored: redis_exporter {VERSION} has no such {kind}"
    return f"{dash}{name} is not a {kind} of redis_exporter: did you mean {dash}{guess}?"
