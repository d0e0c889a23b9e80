"""SCAN in small steps: a pass over a database continues where the previous poll stopped.

``KeyScan`` runs the passes over one database and passes the keys of each step to the collector.
``ScanSet`` holds the scans of one collector, which share one time budget.
``NameSet`` is a result of a pass: the names found, up to a limit. ``merge_names`` merges those of several scans.
``scan_metrics`` returns metrics for the progress of a pass, and for duration and age of the newest complete one.

The result of a pass is published as a whole when the pass is complete. It stays until the next pass is complete.
SCAN may return a key twice while the server resizes a table. Results therefore count keys with ``DistinctCounter``.
"""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from redis_pulse.collectors.support.cardinality import DistinctCounter
from redis_pulse.collectors.support.labels import label_value, unreadable_database
from redis_pulse.collectors.support.time_budget import Clock, TimeBudget, TimeBudgetOptions
from redis_pulse.commands import Commands, Word
from redis_pulse.config.option_types import DatabaseKey, Field, PositiveCount, RoleOptions
from redis_pulse.errors import TargetError
from redis_pulse.metric import MetricSpec, Sample, UnreadableField, gauge
from redis_pulse.parse.reply import as_list
from redis_pulse.server_info import Server

#: The result of a pass, for example a ``NameSet`` or a ``DistinctCounter``.
PassResult = TypeVar("PassResult")
#: Adds the keys of one step to the result of a pass.
AddKeys = Callable[[PassResult, list[bytes]], Awaitable[None]]
#: A database and the name of a key in it.
Name = tuple[int, bytes]

#: Limits of COUNT, the number of keys that the server walks in one step.
MIN_COUNT, MAX_COUNT = 100, 300
#: Names beyond the limit of a ``NameSet`` that are counted exactly; above this the count is an estimate.
_EXACT_REST = 1000
#: Keys after which other tasks may run. A step returns more only from a server that ignores COUNT.
KEYS_PER_SLICE = 500
#: Keys of one step that are counted. Redis returns about COUNT keys.
MAX_KEYS_PER_STEP = 20_000
_DATABASE = re.compile(r"db\d+")
_KEYS = re.compile(r"\bkeys=(\d{1,18})\b", re.ASCII)


class ScanOptions(TimeBudgetOptions, RoleOptions):
    """Step size of a scan, its time budget, and the roles of the servers it runs on."""

    count: PositiveCount | None = Field(
        None,
        le=10_000,
        description="COUNT of SCAN, the keys that the server walks at once; by default 100, up to 300 if few match.",
    )


class ScanContext(NamedTuple):
    """What one poll gives to each scan."""

    server: Server
    commands: Commands
    options: ScanOptions
    budget: TimeBudget


class ScanMetrics(NamedTuple):
    """The metrics that report how complete and how recent the scans of a collector are."""

    progress: MetricSpec
    duration: MetricSpec
    age: MetricSpec


def scan_metrics(collector: str) -> ScanMetrics:
    """Return the scan metrics of one collector, with the labels ``db`` and ``pattern``."""
    labels = ("db", "pattern")
    return ScanMetrics(
        gauge(
            "SCAN",
            "cursor",
            f"{collector}_scan_progress_ratio",
            "Estimated share of the database that the current pass has walked; 1 between passes.",
            labels=labels,
        ),
        gauge(
            "SCAN",
            "duration",
            f"{collector}_scan_duration_seconds",
            "Time from start to end of the newest complete pass, including the time between polls.",
            labels=labels,
        ),
        gauge(
            "SCAN",
            "age",
            f"{collector}_scan_age_seconds",
            "Time since the end of the newest complete pass, which the values come from.",
            labels=labels,
        ),
    )


def keys_in(server: Server, db: int) -> int | None:
    """Return how many keys a database has according to INFO, or None if INFO does not tell.

    INFO lists only databases with keys. If it lists any database, the others have 0 keys.
    A cluster node is the exception: it may support database 0 only. Other unlisted databases are unknown there.
    """
    if (line := server.fields.get(f"db{db}")) is not None:
        match = _KEYS.search(line)
        return int(match[1]) if match else None
    if server.mode == "cluster" and db:
        return None
    return 0 if any(map(_DATABASE.fullmatch, server.fields)) else None


class NameSet:
    """The first ``limit`` names of a pass, and a count of the other names.

    The first names are the same in each pass while the keys of the database do not change.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = DistinctCounter(_EXACT_REST)
        self.kept: dict[bytes, None] = {}

    async def add(self, keys: list[bytes]) -> None:
        """Add the keys of one step. It is a coroutine because ``AddKeys`` requires one."""
        self.add_all(keys)

    def add_all(self, keys: Iterable[bytes]) -> None:
        """Add some names."""
        for key in keys:
            if key in self.kept:
                continue
            if len(self.kept) < self._limit:
                self.kept[key] = None
            else:
                self._rest.add([key])

    @property
    def more(self) -> int:
        """The number of names beyond the limit."""
        return self._rest.count


class KeyScan(Generic[PassResult]):
    """Scans one database in consecutive passes; ``new_result`` makes the empty result of each pass."""

    def __init__(self, pattern: DatabaseKey, new_result: Callable[[], PassResult], clock: Clock, *words: str) -> None:
        self.pattern = pattern
        #: Result of the newest complete pass.
        self.latest: PassResult | None = None
        #: Duration of this pass in seconds.
        self.seconds = 0.0
        self._ended = 0.0
        self._new_result = new_result
        self._clock = clock
        self._words = words  # further words of SCAN, such as TYPE stream
        self._run_id: str | None = None
        self._reset()

    def _reset(self) -> None:
        """Discard the current pass. The next step starts a new one."""
        self._cursor = b"0"
        self._began: float | None = None
        self.current = self._new_result()
        self._walked = self._size = 0
        self._count = MIN_COUNT

    async def resume(self, context: ScanContext, add_keys: AddKeys[PassResult]) -> UnreadableField | None:
        """Continue until the pass is complete or the budget is exhausted. Raises TargetError.

        Return None, or the field that could not be read. Cancelling loses nothing: the next call repeats the step.
        """
        server = context.server
        if self._run_id != server.run_id:  # a cursor is only valid in the process that returned it
            self._run_id = server.run_id
            self._reset()
        if self._began is None:
            size = keys_in(server, self.pattern.db)
            self._began, self._size = self._clock(), size or 0
            if size == 0:
                self._finish()
                return None
        while True:
            await context.budget.pause()
            count = context.options.count or self._count
            cursor, keys = await self._step(context.commands, count)
            if cursor is None:
                self._reset()
                return UnreadableField("SCAN/cursor")
            for start in range(0, len(keys), KEYS_PER_SLICE):
                await add_keys(self.current, keys[start : start + KEYS_PER_SLICE])
                await asyncio.sleep(0)
            self._cursor = cursor
            self._walked += count
            self._count = next_count(self._count, len(keys))
            if int(cursor) == 0:
                self._finish()
                return None
            if context.budget.exhausted:
                return None

    async def _step(self, commands: Commands, count: int) -> tuple[bytes | None, list[bytes]]:
        """Send one SCAN; return the next cursor, or None if the reply is invalid, and the keys. Raises TargetError."""
        position = ("SCAN", self._cursor.decode(), "MATCH", self.pattern.key)
        words: tuple[Word, ...] = (*position, "COUNT", count, *self._words)
        (reply,) = await commands.pipeline([words], db=self.pattern.db)  # execute() would keep the reply for the poll
        if isinstance(reply, TargetError):
            raise reply
        return _parse_step(reply)

    def _finish(self) -> None:
        now = self._clock()
        self.latest, self._ended = self.current, now
        self.seconds = now - (now if self._began is None else self._began)
        self._reset()

    @property
    def between_passes(self) -> bool:
        """True if no pass has started since the newest one ended."""
        return self._began is None

    @property
    def progress(self) -> float:
        """The share of the database that the current pass has walked.

        It is an estimate: the server walks about COUNT keys in each step.
        """
        if self.between_passes:
            return 1.0 if self.latest is not None else 0.0
        return min(self._walked / self._size, 0.99) if self._size else 0.0

    def samples(self, metrics: ScanMetrics) -> Iterator[Sample]:
        """Yield the samples of ``metrics`` for this scan."""
        labels = (f"db{self.pattern.db}", label_value(self.pattern.key))
        yield metrics.progress.sample(self.progress, *labels)
        if self.latest is not None:
            yield metrics.duration.sample(self.seconds, *labels)
            yield metrics.age.sample(self._clock() - self._ended, *labels)


def next_count(count: int, keys: int) -> int:
    """Return the COUNT that follows a step with ``count`` which returned ``keys`` keys.

    The fewer keys a step returns, the larger the next step may be. A step of ``MAX_COUNT`` occupies a server for a
    quarter of a millisecond. It occupies the exporter in proportion to the keys it returns.
    """
    if keys > MIN_COUNT * 1.5:
        return max(MIN_COUNT, count // 2)
    return min(MAX_COUNT, count * 2) if keys < MIN_COUNT / 2 else count


def _parse_step(reply: Any) -> tuple[bytes | None, list[bytes]]:
    """Read ``[cursor, [key, …]]``; return None for the cursor if the reply is invalid."""
    cursor, keys = [*(as_list(reply) or []), None, None][:2]
    names = as_list(keys)
    if not isinstance(cursor, bytes) or not cursor.isdigit() or len(cursor) > 20 or names is None:
        return None, []
    return cursor, [name for name in names[:MAX_KEYS_PER_STEP] if isinstance(name, bytes)]


class ScanSet(Generic[PassResult]):
    """The scans of one collector, which take turns on one budget.

    A poll starts with the scan that the previous poll interrupted. If that scan was complete, the next one starts.
    """

    def __init__(self, new_result: Callable[[], PassResult], clock: Clock, *words: str) -> None:
        self._new_result = new_result
        self._clock = clock
        self._words = words
        self._scans: dict[DatabaseKey, KeyScan[PassResult]] = {}
        self._next: DatabaseKey | None = None

    def __iter__(self) -> Iterator[KeyScan[PassResult]]:
        return iter(self._scans.values())

    async def resume(
        self,
        patterns: Sequence[DatabaseKey],
        context: ScanContext,
        add_keys_of: Callable[[DatabaseKey], AddKeys[PassResult]],
    ) -> list[UnreadableField]:
        """Let each scan finish one pass, or as much of it as the budget allows. Raises TargetError.

        ``add_keys_of`` returns the function that adds the keys of a pattern to the result of its pass.
        Return what could not be read. A database that cannot be read, or does not exist, stops only its own scan.
        """
        for pattern in self._scans.keys() - set(patterns):
            del self._scans[pattern]
        for pattern in patterns:
            if pattern not in self._scans:
                self._scans[pattern] = KeyScan(pattern, self._new_result, self._clock, *self._words)
        unreadable = []
        turns = deque(patterns)
        if self._next in patterns:
            turns.rotate(-patterns.index(self._next))
        for pattern in tuple(turns):
            turns.rotate(-1)
            scan = self._scans[pattern]
            try:
                problem = await scan.resume(context, add_keys_of(pattern))
            except TargetError as error:
                problem = unreadable_database(error, pattern.db, "SCAN")
            if problem is not None:
                unreadable.append(problem)
            if context.budget.exhausted:
                self._next = turns[0] if scan.between_passes else pattern
                break
        return unreadable


def merge_names(scans: Iterable[KeyScan[NameSet]], limit: int) -> tuple[list[Name], int]:
    """Return at most ``limit`` different names of all scans, and how many names were left out.

    A scan without a complete pass contributes what its first pass found so far: each name alone is correct.
    """
    merged: dict[Name, None] = {}
    more = 0
    for scan in scans:
        names = scan.current if scan.latest is None else scan.latest
        more += names.more
        merged |= dict.fromkeys((scan.pattern.db, name) for name in names.kept)
    return list(merged)[:limit], more + max(0, len(merged) - limit)
