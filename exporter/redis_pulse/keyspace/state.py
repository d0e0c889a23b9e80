"""Everything that was learned about the keys of one server: draws, large keys, patterns, the walk.

It is bounded to less than 2 MB. The sampler adds what it read, and ``report()`` says what follows from it.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic, time

from redis_pulse.config.regular_expressions import Expression, compile_expression
from redis_pulse.keyspace.facts import Capabilities, ServerFacts
from redis_pulse.keyspace.giants import Giant, GiantKeys
from redis_pulse.keyspace.names import MAX_NAME
from redis_pulse.keyspace.report import HIDDEN, Estimate, KeyspaceReport
from redis_pulse.keyspace.reporting import ReportSteps, report_steps
from redis_pulse.keyspace.selection import PatternSelection
from redis_pulse.keyspace.tree import PatternPart, PatternTree
from redis_pulse.keyspace.walk import WalkState
from redis_pulse.keyspace.window import BUCKETS, Draw, DrawWindow

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}")
#: Different types of one server; further ones are shown as unknown.
_MAX_TYPES = 12
_GLOB = {"*": ".*", "?": "."}
UNKNOWN_TYPE = "unknown"
#: A database that loses so large a share of its keys at once was flushed.
_FLUSHED = 0.5


@dataclass(frozen=True, slots=True)
class KeyspaceSettings:
    """What an operator chose."""

    window: float = 3600.0
    keys_per_second: float = 100.0
    #: The share of the server's main thread that may be used.
    server_share: float = 0.005
    #: Glob patterns that come first, and those that are never shown.
    patterns: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    show_keys: bool = False
    #: Seconds after which a large key is measured again.
    measure_again: float = 600.0


class KeyspaceState:
    """What is known about one server. ``clock`` is monotonic, ``wall`` is Unix time."""

    def __init__(
        self, settings: KeyspaceSettings, *, clock: Callable[[], float] = monotonic, wall: Callable[[], float] = time
    ) -> None:
        self.settings = settings
        self._clock, self._wall = clock, wall
        self._own = [(glob_expression(text), text) for text in settings.patterns]
        self._hidden = [glob_expression(text) for text in settings.hide]
        self.facts = ServerFacts()
        self.observed_at: float | None = None
        self.capabilities = Capabilities()
        self.window = DrawWindow(settings.window)
        self.giants = GiantKeys()
        self.tree = PatternTree(self._moved, self._split)
        self.selection = PatternSelection()
        self.walk = WalkState()
        self.keys: dict[int, int] = {}
        self.types: dict[str, str] = {}
        self.draws_total = 0
        #: Keys whose name was too long to be read.
        self.oversized = 0
        #: Set by the sampler: what it does now, and why it does not.
        self.keys_per_second = 0.0
        self.server_share: float | None = None
        self.paused: str = ""
        #: Moment, and the memory of each database and pattern at that moment; one for each bucket.
        self.history: deque[tuple[float, dict[tuple[int, str], Estimate]]] = deque(maxlen=BUCKETS + 2)
        self.chosen_at = self.recorded_at = -1e18

    # What the sampler and the collector report.

    def observe(self, facts: ServerFacts) -> None:
        """Take over what INFO says. Another process has other cursors, and perhaps other keys."""
        if self.facts.run_id and facts.run_id != self.facts.run_id:
            self.forget_data()
        if facts.is_lfu != self.facts.is_lfu:
            self.window = DrawWindow(self.settings.window)
        self.facts, self.observed_at = facts, self._clock()
        for db in self.keys.keys() - facts.keys.keys():
            self.set_keys(db, 0)
        for db, count in facts.keys.items():
            self.set_keys(db, count)

    def set_keys(self, db: int, count: int) -> None:
        """Take over how many keys a database has."""
        before = self.keys.get(db, 0)
        if count < before * _FLUSHED and before > 100:
            nodes = {part.number for part in self.tree.parts.values() if part.db == db}
            self.window.forget_database(db, nodes)
            for one in self.giants:
                if one.db == db:
                    one.at = -1e18  # measured next
        if count:
            self.keys[db] = count
        else:
            self.keys.pop(db, None)
            self.giants.forget(db)

    def forget_data(self) -> None:
        """Forget draws, large keys and the walk. The patterns stay, so that labels stay the same."""
        threshold = self.window.threshold
        self.window = DrawWindow(self.settings.window)
        self.window.threshold = threshold
        self.giants.forget()
        self.walk.restart()
        self.history.clear()
        self.capabilities = Capabilities()

    def add_draws(self, db: int, draws: Iterable[Draw]) -> None:
        """Count keys that were drawn at random from a database."""
        now = self._clock()
        self.window.rotate(now)
        for draw in draws:
            part = self._part_of(db, draw.name)
            typed = draw._replace(type=self._type(draw.type))
            self.window.add(
                db,
                digest_of(db, draw.name),
                part.number,
                typed,
                now,
                keys=self.keys.get(db, 0),
                is_lfu=self.facts.is_lfu,
            )
            self.draws_total += 1
        self.giants.raise_threshold(self.window.threshold)

    def is_interesting(self, size: int) -> bool:
        """Return whether a key of this size, roughly measured, should be measured exactly and kept."""
        return size >= self.giants.threshold * 0.8

    def add_found(self, db: int, draw: Draw, length: int | None = None) -> None:
        """Keep a key that the walk found or measured again, or forget it if it does not exist any more."""
        digest = digest_of(db, draw.name)
        if draw.size is None or draw.type == "none":
            self.giants.drop(digest)
            self.window.drop_key(digest)
            return
        part = self._part_of(db, draw.name, count=digest not in self.giants)
        giant = Giant(db, draw.name, part.number, self._type(draw.type))
        giant.size, giant.ttl, giant.length, giant.at = draw.size, draw.ttl, length, self._clock()
        self.giants.put(digest, giant)

    def due_again(self, count: int) -> list[Giant]:
        """Return large keys that were measured long ago."""
        return self.giants.oldest(count, self._clock() - self.settings.measure_again)

    def databases(self) -> list[int]:
        """Return the databases with keys."""
        return sorted(self.keys)

    def report(self, *, show_keys: bool | None = None) -> KeyspaceReport:
        """Return what is known now. ``show_keys`` includes the names of the largest keys."""
        steps = self._steps(show_keys)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                report: KeyspaceReport = done.value
                return report

    async def report_in_slices(self, *, show_keys: bool | None = None) -> KeyspaceReport:
        """Return the same as ``report()``. Other tasks may run meanwhile, for example pings."""
        steps = self._steps(show_keys)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                report: KeyspaceReport = done.value
                return report
            await asyncio.sleep(0)

    def _steps(self, show_keys: bool | None) -> ReportSteps:
        shown = self.settings.show_keys if show_keys is None else show_keys
        return report_steps(self, self._clock(), self._wall(), show_keys=shown)

    # Patterns.

    def _part_of(self, db: int, name: bytes, *, count: bool = True) -> PatternPart:
        if self._hidden or self._own:
            text = name[: 4 * MAX_NAME].decode("utf-8", errors="replace")
            if any(expression.search(text) for expression in self._hidden):
                return self.tree.named(db, HIDDEN)
            for expression, label in self._own:
                if expression.search(text):
                    return self.tree.named(db, label)
        return self.tree.add(db, name) if count else self.tree.find(db, name)

    def is_hidden(self, giant: Giant) -> bool:
        """Return whether the name of a key must not be shown in any case."""
        part = self.tree.parts.get(giant.node)
        return part is None or part.label == HIDDEN

    def _type(self, text: str) -> str:
        if text not in self.types and (len(self.types) >= _MAX_TYPES or not _TYPE.fullmatch(text)):
            return UNKNOWN_TYPE
        return self.types.setdefault(text, text)

    def _moved(self, old: int, new: int) -> None:
        self.window.move(old, new)
        self.giants.move(old, new)
        self.selection.move(old, new)

    def _split(self, old: int, new: int) -> None:
        self.window.split(old, new, self._clock())


def digest_of(db: int, name: bytes) -> int:
    """Return a number that stands for a key."""
    return hash((db, name)) & 0xFFFF_FFFF_FFFF_FFFF


def glob_expression(text: str) -> Expression:
    """Return the expression of a glob pattern, in which ``*`` stands for any text, and ``?`` for one character.

    Raises ExpressionError if it is too long.
    """
    parts = (_GLOB.get(part[:1], re.escape(part)) for part in re.split(r"(\*+|\?)", text))
    return compile_expression(rf"(?s)\A{''.join(parts)}\z")
