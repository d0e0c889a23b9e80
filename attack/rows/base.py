"""What a row of the table is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from attack.world import World

#: Megabytes above normal: for bytes, for many names, and for clients of the port.
BYTES, NAMES, CLIENTS = 64.0, 150.0, 40.0


def _nothing(_world: World) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Row:
    """One attack. ``prepare`` changes the world before the daemon starts. ``begin`` starts what helpers do not do.

    ``end`` ends the attack, before memory is measured again. Without it a hostile server stays hostile.
    ``check`` runs after the attack, while the daemon runs. ``after`` runs at the end. Both return problems.
    """

    name: str
    title: str
    prepare: Callable[[World], Any]
    begin: Callable[[World], Any] = _nothing
    end: Callable[[World], Any] = _nothing
    check: Callable[[World], Iterable[str]] = _nothing
    after: Callable[[World], Iterable[str]] = _nothing
    #: MB that the daemon may take above normal at its peak
    memory: float = BYTES
    #: seconds of the attack
    seconds: float = 10.0
    #: whether hostile clients end before memory is measured again
    is_inbound: bool = False
    #: seconds that SIGTERM may take
    stop: float = 5.0
