"""Start the daemon with the flags of redis_exporter, as a container does whose image alone was changed.

A flag does what its variable does (``environment``), and is stronger than the variable. A flag without a counterpart
gets a warning that says what to use instead. One that protected the pages stops the start.
"""

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from redis_pulse.config import ConfigError, LoadedConfig, Problem, closest_name
from redis_pulse.migrate.flag_parser import FLAGS, TRUTH
from redis_pulse.migrate.flags import Flag

_WORD = re.compile(r"--?([A-Za-z][A-Za-z0-9.-]*)(?:=(.*))?", re.DOTALL)
_VERSION = "version"
_EMPTY_ADDRESS = (
    "-redis.addr is empty: requests name the servers. Let them with scrape.adopt (docs/discovery.md), or set targets"
)


class FlagError(Exception):
    """A flag cannot be read. The text does not repeat its value."""


@dataclass(slots=True)
class TakenFlags:
    """The flags of redis_exporter on a command line."""

    #: the other words
    words: list[str] = field(default_factory=list)
    #: the values by variable; the values may be secrets
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    #: how each flag was written, by variable
    names: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def read(self, read: Callable[..., LoadedConfig], *arguments: Any, **options: Any) -> LoadedConfig:
        """Return what ``read`` returns, with messages that name the flags in place of their variables."""
        try:
            loaded = read(*arguments, **options)
        except ConfigError as error:
            problems = error.problems
        else:
            effective = tuple(value._replace(origin=self._named(value.origin)) for value in loaded.effective)
            warnings = (*self.warnings, *map(self._named, loaded.warnings))
            return replace(loaded, warnings=warnings, effective=effective)
        raise ConfigError(
            [Problem(self._named(one.location), self._named(one.message), self._named(one.hint)) for one in problems]
        )

    def _named(self, text: str) -> str:
        return re.sub(r"\bREDIS_[A-Z0-9_]+\b", lambda match: self.names.get(match[0], match[0]), text)


def take_flags(words: Sequence[str], own_options: Container[str]) -> TakenFlags:
    """Separate the flags of redis_exporter from the other words. ``own_options`` are not flags. Raises FlagError."""
    taken, remaining = TakenFlags(), list(words)
    while remaining:
        word = remaining.pop(0)
        match = _WORD.fullmatch(word)
        flag = FLAGS.get(match[1]) if match is not None else None
        if match is not None and flag is None and not word.startswith("--"):
            _check_spelling(match[1])
        if match is None or flag is None or word.partition("=")[0] in own_options:
            taken.words.append(word)
        elif flag.name == _VERSION:
            taken.words += ["--version"] if TRUTH.get(match[2] or "true") else []
        else:
            _take(taken, flag, _value(flag, match[2], remaining))
    return taken


def _check_spelling(name: str) -> None:
    """Raise FlagError for a name that is similar to a flag. Any other name may be a secret, and is not repeated."""
    if (guess := closest_name(name, FLAGS)) is not None:
        raise FlagError(f"there is no flag -{name}: did you mean -{guess}?")


def _value(flag: Flag, given: str | None, remaining: list[str]) -> str:
    """Return the value of a flag. One that is not a switch takes the next word."""
    if flag.is_switch:
        if (given or "true") not in TRUTH:
            raise FlagError(f"-{flag.name} must be true or false")
        return given or "true"
    if given is not None:
        return given
    if not remaining:
        raise FlagError(f"-{flag.name} needs a value")
    return remaining.pop(0)


def _take(taken: TakenFlags, flag: Flag, value: str) -> None:
    taken.variables[flag.variable] = value
    taken.names[flag.variable] = f"-{flag.name}"
    if flag.name == "redis.addr" and not value:
        taken.warnings.append(_EMPTY_ADDRESS)
    if value and (flag.name == "redis.password" or (flag.name == "redis.addr" and "@" in value)):
        taken.warnings.append(
            f"every user of this host can see the password in -{flag.name}: use REDIS_PASSWORD or -redis.password-file"
        )
