"""What somebody gave to redis_exporter: its flags as Go reads them, and its variables of the environment."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from redis_pulse.config import closest_name
from redis_pulse.migrate.flags import FLAG_TABLE, VERSION, Flag

FLAGS = {row.flag: row for row in FLAG_TABLE}
VARIABLES = {row.variable: row for row in FLAG_TABLE if row.variable}
#: How containers are given a variable: the option is theirs, the word after it is a variable.
_ENV_OPTIONS = frozenset({"-e", "--env"})
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)
_FLAG = re.compile(r"--?([A-Za-z][A-Za-z0-9.-]*)(?:=(.*))?", re.DOTALL)
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,60}")
#: The words that Go takes for true and false.
TRUTH = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(slots=True)
class ParsedFlags:
    """Values by flag, and remarks on what is none of theirs. No remark repeats a value: it may be a secret."""

    values: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    #: Flags whose value came from the environment, where redis-pulse finds it too.
    from_environment: set[str] = field(default_factory=set)

    def get(self, flag: str) -> str:
        """Return the value of a flag, or what it is when nobody gives it."""
        return self.values.get(flag, FLAGS[flag].default)

    def is_on(self, flag: str) -> bool:
        """Whether a switch is on; one that is neither true nor false is not."""
        return TRUTH.get(self.get(flag), False)


def parse_flags(words: Sequence[str], environ: Mapping[str, str]) -> ParsedFlags:
    """Read flags and ``NAME=value`` words; the environment is the weakest."""
    given = ParsedFlags()
    assigned: dict[str, str] = {}
    places: dict[str, str] = {}
    left = list(words)
    while left:
        place = f"word {len(words) - len(left) + 1}"
        word = left.pop(0)
        if word in ("--", *_ENV_OPTIONS):
            continue
        if assignment := _ASSIGNMENT.fullmatch(word):
            assigned[assignment[1]] = assignment[2]
            places[assignment[1]] = place
        elif flag := _FLAG.fullmatch(word):
            _flag(given, flag[1], flag[2], left, place)
        else:
            given.remarks.append(f"{place} belongs to no flag, and was left out (a switch is written -flag=false)")
    for name, value in assigned.items():
        _variable(given, name, value, places[name])
    told = set(given.values)
    for name in VARIABLES:
        if name in environ:
            _variable(given, name, environ[name], name)
    given.from_environment = given.values.keys() - told
    return given


def _flag(given: ParsedFlags, name: str, value: str | None, left: list[str], place: str) -> None:
    """Take a flag; one that is no switch may have its value in the next word."""
    row = FLAGS.get(name)
    if row is None:
        given.remarks.append(_unknown_flag(place, "-", name, FLAGS))
    elif value is not None:
        given.values[row.flag] = value
    elif row.is_switch:
        given.values[row.flag] = "true"
    elif left:
        given.values[row.flag] = left.pop(0)
    else:
        given.remarks.append(f"-{row.flag} has no value")


def _variable(given: ParsedFlags, name: str, value: str, place: str) -> None:
    row = VARIABLES.get(name)
    if row is None:
        given.remarks.append(_unknown_flag(place, "", name, VARIABLES))
    elif not row.is_switch or value in TRUTH:  # like Go, which passes over a switch that is neither
        given.values.setdefault(row.flag, value)


def _unknown_flag(place: str, dash: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown; it is repeated only when it is like a known one, since it may be a secret."""
    guess = closest_name(name, known) if _NAME.fullmatch(name.lower()) else None
    if guess is None:
        what = "flag" if dash else "variable"
        return f"{place} was left out: redis_exporter {VERSION} knows no such {what}"
    return f"{dash}{name} is nothing that redis_exporter knows: did you mean {dash}{guess}?"


def is_on(row: Flag, value: str) -> bool:
    """Whether a switch is on; raises ValueError when Go would not know either."""
    if value not in TRUTH:
        raise ValueError(f"-{row.flag} is neither true nor false")
    return TRUTH[value]
