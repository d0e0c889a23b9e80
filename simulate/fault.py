"""A fault that has begun, and the type of the functions that begin one."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from simulate.world import World


@dataclass(frozen=True)
class Fault:
    """A fault that has begun. ``end()`` undoes it."""

    subject: str
    end: Callable[[], None]


Begin = Callable[[World, random.Random], Fault | None]


def nothing() -> None:
    """Undo nothing: the fault was over at once."""
