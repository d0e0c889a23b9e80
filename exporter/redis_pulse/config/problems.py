"""Problems of a configuration, as messages name them: the location, what is wrong, a hint. Never a secret value."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. No part of it holds a secret.

    ``location`` is where it is: ``redis-pulse.yaml:12: targets[2].passwrd``. ``message`` continues the location to a
    sentence: ``is not a setting``. ``hint`` is what to do about it, and may be empty.
    """

    location: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.location} {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` are all of its problems; ``str()`` has one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: list[Problem] = list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def closest_names(name: str, known: Iterable[str], *, limit: int = 3, cutoff: float = 0.6) -> list[str]:
    """Return at most ``limit`` known names that were probably meant, the closest first. Case does not matter.

    ``cutoff`` is the least similarity, between 0 and 1.
    """
    import difflib  # a valid configuration does not need it

    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=limit, cutoff=cutoff)
    return [by_lower[match] for match in matches]


def closest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, or None."""
    return next(iter(closest_names(name, known, limit=1)), None)
