"""Which collectors run after a migration: what differs from the default set, and nothing else."""

from collections.abc import Iterable
from typing import Any

from exporter.migrate.values import OFF

COLLECTORS = "collectors"
#: The set of the collectors that run when nothing is said.
DEFAULT = "default"


class Chosen:
    """Collects which collectors run, and the options of those that do."""

    def __init__(self, names: Iterable[str], usual: Iterable[str]) -> None:
        self._names = list(names)
        self._usual = set(usual)
        self._on = set(self._usual)
        self._options: dict[str, dict[str, Any]] = {}

    def put(self, path: str, value: Any, *, brings: bool) -> None:
        """Set ``name`` (on or off) or ``name.option``."""
        name, _, option = path.partition(".")
        if value is OFF:
            self._on.discard(name)
            return
        if brings:
            self._on.add(name)
        if option:
            self._options.setdefault(name, {})[option] = value

    def settings(self) -> dict[str, dict[str, Any] | bool]:
        """Return the default set, what runs besides, what has options, and what is left out; nothing unless changed."""
        names = [*self._names, *sorted(self._on - set(self._names))]
        changed: dict[str, dict[str, Any] | bool] = {
            name: self._options.get(name) or True
            for name in names
            if name in self._on and (name not in self._usual or self._options.get(name))
        }
        changed |= {name: False for name in names if name in self._usual - self._on}
        return {DEFAULT: True, **changed} if changed else {}
