"""The names that scans found: so many of them that have series, and how many there are besides.

The rows by which a collector that scans says how far it is, and how old what it serves is.

SCAN in small steps: a pass over a database goes on where the poll before it stopped.

What a pass found is published when it is complete, as a whole, and stands until the next one is. The rows of
``scan_rows`` say how far the pass under way is, how long the newest complete one took and how old it is.
SCAN may return a key twice while the server resizes a table; ``DistinctCounter`` (``_distinct.py``) sees to that.
"""

import re
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

#: The database of a name, and the name.
Name = tuple[int, bytes]


class NameSet:
    """The first ``limit`` names of a pass, which are the same in each pass while keys stay, and a count of the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = DistinctCounter(1000)
        self.kept: dict[bytes, None] = {}

    async def add(self, keys: list[bytes]) -> None:
        """Take in what one step found; for ``KeyScan``."""
        self.add_all(keys)

    def add_all(self, keys: Iterable[bytes]) -> None:
        """Take in some names."""
        for key in keys:
            if key in self.kept:
                continue
            if len(self.kept) < self._limit:
                self.kept[key] = None
            else:
                self._rest.add([key])

    @property
    def more(self) -> int:
        """How many names there were besides."""
        return self._rest.count


class ScanMetrics(NamedTuple):
    """The rows by which a collector says how complete and how fresh its scans are."""

    progress: MetricSpec
    duration: MetricSpec
    age: MetricSpec


def scan_metrics(collector: str) -> ScanMetrics:
    """Make the rows of one collector; labels are ``db`` and ``pattern``."""
    labels = ("db", "pattern")
    return ScanMetrics(
        gauge(
            "SCAN",
            "cursor",
            f"{collector}_scan_progress_ratio",
            "Estimated share of the database that the pass under way has walked; 1 when no pass is under way.",
            labels=labels,
        ),
        gauge(
            "SCAN",
            "duration",
            f"{collector}_scan_duration_seconds",
            "Time from the begin to the end of the newest complete pass, waiting for the next poll included.",
            labels=labels,
        ),
        gauge(
            "SCAN",
            "age",
            f"{collector}_scan_age_seconds",
            "Time since the end of the newest complete pass, from which the values are.",
            labels=labels,
        ),
    )


Tally = TypeVar("Tally")
#: Take a batch of keys into a tally.
Take = Callable[[Tally, list[bytes]], Awaitable[None]]
#: Keys that the server walks in a step.
LEAST, MOST = 100, 300
_DATABASE = re.compile(r"db\d+")


class ScanOptions(TimeBudgetOptions, RoleOptions):
    """How a scan goes about it, and on which servers."""

    count: PositiveCount | None = Field(
        None,
        le=10_000,
        description="COUNT of a SCAN, keys the server walks at once; unless set 100, and up to 300 where few match.",
    )


def keys_in(server: Server, db: int) -> int | None:
    """Return how many keys INFO says a database has; None when it says nothing of any database.

    A node of a cluster may have one database only: then that there are no keys in another one is no answer.
    """
    if (line := server.fields.get(f"db{db}")) is not None:
        found = re.search(r"\bkeys=(\d{1,18})\b", line, re.ASCII)
        return int(found[1]) if found else None
    if server.mode == "cluster" and db:
        return None
    return 0 if any(map(_DATABASE.fullmatch, server.fields)) else None


class KeyScan(Generic[Tally]):
    """The passes over one database, one after another; each begins with the empty tally that ``start`` makes."""

    def __init__(self, at: DatabaseKey, start: Callable[[], Tally], clock: Clock, *extra: str) -> None:
        self.pattern = at
        #: What the newest complete pass found.
        self.latest: Tally | None = None
        #: Seconds from the begin to the end of that pass.
        self.seconds = 0.0
        self._ended = 0.0
        self._start = start
        self._clock = clock
        self._extra = extra
        self._run_id: str | None = None
        self._begin()

    def _begin(self) -> None:
        self._cursor = b"0"
        self._began: float | None = None
        self.under_way = self._start()
        self._walked = self._size = 0
        self._count = LEAST

    async def resume(
        self, server: Server, commands: Commands, options: ScanOptions, pace: TimeBudget, take: Take[Tally]
    ) -> UnreadableField | None:
        """Walk on, until the pass is complete or the pace is over. Raises TargetError.

        Nothing is lost when this is cancelled: the step that was under way is taken again.
        """
        if self._run_id != server.run_id:  # another process has other tables: the cursor means nothing to it
            self._run_id = server.run_id
            self._begin()
        if self._began is None:
            size = keys_in(server, self.pattern.db)
            self._began, self._size = self._clock(), size or 0
            if size == 0:
                self._finish()
                return None
        while True:
            await pace.wait()
            where = ("SCAN", self._cursor.decode(), "MATCH", self.pattern.key)
            count = options.count or self._count
            words: tuple[Word, ...] = (*where, "COUNT", count, *self._extra)
            (reply,) = await commands.pipeline([words], db=self.pattern.db)  # unlike execute, it keeps no replies
            if isinstance(reply, TargetError):
                raise reply
            cursor, keys = _read(reply)
            if cursor is None:
                self._begin()
                return UnreadableField("SCAN/cursor")
            await take(self.under_way, keys)
            self._cursor = cursor
            self._walked += count
            self._count = next_count(self._count, len(keys))
            if int(cursor) == 0:
                self._finish()
                return None
            if pace.exhausted:
                return None

    def _finish(self) -> None:
        now = self._clock()
        self.latest, self._ended = self.under_way, now
        self.seconds = now - (now if self._began is None else self._began)
        self._begin()

    @property
    def complete(self) -> bool:
        """Whether no pass is under way."""
        return self._began is None

    @property
    def progress(self) -> float:
        """The share of the database that the pass under way has walked, by the keys the server walks for a COUNT."""
        if self.complete:
            return 1.0 if self.latest is not None else 0.0
        return min(self._walked / self._size, 0.99) if self._size else 0.0

    def samples(self, rows: ScanMetrics) -> Iterator[Sample]:
        """Yield what the rows say of this scan."""
        labels = (f"db{self.pattern.db}", label_value(self.pattern.key))
        yield rows.progress.sample(self.progress, *labels)
        if self.latest is not None:
            yield rows.duration.sample(self.seconds, *labels)
            yield rows.age.sample(self._clock() - self._ended, *labels)


def next_count(count: int, found: int) -> int:
    """Choose the COUNT after one that found so many keys: the fewer come back, the further a step may go.

    A step of ``MOST`` keeps a server busy for a quarter of a millisecond, and us for as long as it returns keys.
    """
    if found > LEAST * 1.5:
        return max(LEAST, count // 2)
    return min(MOST, count * 2) if found < LEAST / 2 else count


def _read(reply: Any) -> tuple[bytes | None, list[bytes]]:
    """Read ``[cursor, [key, …]]``; the cursor is None when it makes no sense."""
    cursor, keys = [*(as_list(reply) or []), None, None][:2]
    names = as_list(keys)
    if not isinstance(cursor, bytes) or not cursor.isdigit() or len(cursor) > 20 or names is None:
        return None, []
    return cursor, [name for name in names if isinstance(name, bytes)]


class ScanSet(Generic[Tally]):
    """The scans of one collector: they share its budget, and the one whose turn it was goes on first."""

    def __init__(self, start: Callable[[], Tally], clock: Clock, *extra: str) -> None:
        self._start = start
        self._clock = clock
        self._extra = extra
        self._scans: dict[DatabaseKey, KeyScan[Tally]] = {}
        self._turn: DatabaseKey | None = None

    def __iter__(self) -> Iterator[KeyScan[Tally]]:
        return iter(self._scans.values())

    async def resume(
        self,
        places: Sequence[DatabaseKey],
        server: Server,
        commands: Commands,
        options: ScanOptions,
        pace: TimeBudget,
        take: Callable[[DatabaseKey], Take[Tally]],
    ) -> list[UnreadableField]:
        """Let each scan do one pass, or as much of it as the pace allows. Raises TargetError.

        A database that cannot be read (there is none of that number) costs only its own scan.
        """
        for at in self._scans.keys() - set(places):
            del self._scans[at]
        for at in places:
            if at not in self._scans:
                self._scans[at] = KeyScan(at, self._start, self._clock, *self._extra)
        missing = []
        first = places.index(self._turn) if self._turn in places else 0
        for place in range(first, first + len(places)):
            at, after = (places[number % len(places)] for number in (place, place + 1))
            try:
                found = await self._scans[at].resume(server, commands, options, pace, take(at))
            except TargetError as error:
                found = unreadable_database(error, at.db, "SCAN")
            if found is not None:
                missing.append(found)
            if pace.exhausted:
                self._turn = after if self._scans[at].complete else at
                break
        return missing


def merge_names(scans: Iterable[KeyScan[NameSet]], limit: int) -> tuple[list[Name], int]:
    """Return at most ``limit`` different names of all scans, and how many have no place.

    While the first pass of a scan is under way, what it found so far counts: each name is right by itself.
    """
    found: dict[Name, None] = {}
    more = 0
    for scan in scans:
        names = scan.under_way if scan.latest is None else scan.latest
        more += names.more
        found |= dict.fromkeys((scan.pattern.db, name) for name in names.kept)
    return list(found)[:limit], more + max(0, len(found) - limit)
