"""What a person is told about a bad configuration: the place, what is wrong, the cure; never a value that is secret."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    ``place`` says where (``redis-pulse.yaml:12: targets[2].passwrd``); ``message`` continues it to a sentence (``is no
    setting``); ``cure`` says what to do about it (may be empty). None of them holds a secret.
    """

    location: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.location} {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` is everything that was found, and ``str()`` one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: list[Problem] = list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def closest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, or None."""
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None
