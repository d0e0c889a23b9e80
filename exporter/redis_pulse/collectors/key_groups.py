"""Keys and memory by group, where regular expressions make groups of the names of keys.

redis_key_group_count{target="cart",db="db0",key_group="user"} 120455
redis_key_group_memory_usage_bytes{target="cart",db="db0",key_group="user"} 9.155144e+06

No script runs on the server: keys come from SCAN in small steps (``_scan.py``), MEMORY USAGE is asked in small batches,
and we sort them. A pass takes as many polls as it needs, and is served when it is complete, with its age.
"""

import re
from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import ClassVar, Self

from redis_pulse.collectors.support.cardinality import DistinctCounter
from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter, label_value
from redis_pulse.collectors.support.scan import KeyScan, ScanOptions, ScanSet, Take, keys_in, scan_metrics
from redis_pulse.collectors.support.time_budget import Clock, Sleep, TimeBudget
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.config.option_types import Count, DatabaseKey, Field, PositiveCount, RegexList
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, gauge
from redis_pulse.parse.reply import as_integer, command_word, reply_or_none
from redis_pulse.server_info import Server

#: The group of keys that no expression matches.
UNCLASSIFIED = "unclassified"
#: Characters of a key that expressions see: what they cost grows with it.
SEEN = 1000
#: Keys that are measured at once.
BATCH = 10


def group_of(key: bytes, expressions: Sequence[re.Pattern[str]]) -> str:
    """Return what the first expression that matches captures, joined; or the match itself, when it captures nothing."""
    text = key[: 4 * SEEN].decode("utf-8", errors="replace")[:SEEN]
    for expression in expressions:
        if match := expression.search(text):
            return "".join(one or "" for one in match.groups()) if expression.groups else match[0]
    return UNCLASSIFIED


class KeyGroup:
    """The keys of one group."""

    __slots__ = ("bytes", "keys", "measured")

    def __init__(self) -> None:
        self.keys = DistinctCounter(500)
        #: Bytes of the keys that were measured, and how many these were.
        self.bytes = self.measured = 0

    @property
    def memory(self) -> float | None:
        """Bytes of all keys of the group, as far as those that were measured tell; None when none was."""
        return self.bytes * self.keys.count / self.measured if self.measured else None


class GroupCounter:
    """What one pass found: at most ``most`` groups of their own, and the keys of all others together."""

    def __init__(self, expressions: Sequence[re.Pattern[str]], most: int) -> None:
        self._expressions = expressions
        self._most = most
        self._others = DistinctCounter()
        self._rest = KeyGroup()
        self.groups: dict[str, KeyGroup] = {}

    def add(self, key: bytes, memory: int | None) -> None:
        """Take in a key, and the bytes it takes, if that is known."""
        name = group_of(key, self._expressions)
        group = self.groups.get(name)
        if group is None:
            if len(self.groups) < self._most:
                group = self.groups[name] = KeyGroup()
            else:
                self._others.add([name.encode("utf-8", errors="replace")])
                group = self._rest
        group.keys.add([key])
        if memory is not None:
            group.bytes += memory
            group.measured += 1

    @property
    def distinct(self) -> int:
        """How many groups there are, with those that have none of their own."""
        return len(self.groups) + self._others.count

    def samples(self, places: LabelLimiter[str], most: int, now: float) -> dict[str, tuple[int, float | None]]:
        """Return keys and bytes of ``most`` groups, the largest when they are chosen, and of the rest as ``overflow``.

        Groups are not chosen afresh each time: see ``LabelLimiter``.
        """
        weights = {name: group.memory or float(group.keys.count) for name, group in self.groups.items()}
        seated = places.admit(weights, most, now)
        rest = [group for name, group in self.groups.items() if name not in seated or label_value(name) == OVERFLOW]
        if self._rest.keys.seen:
            rest.append(self._rest)
        served = {
            label_value(name): (self.groups[name].keys.count, self.groups[name].memory) for name in sorted(seated)
        }
        if rest:
            known = [group.memory for group in rest if group.memory is not None]
            served[OVERFLOW] = (sum(group.keys.count for group in rest), sum(known) if known else None)
        return served


async def memory_usage(
    db: int, keys: list[bytes], commands: Commands, every: int, pace: TimeBudget
) -> list[int | None]:
    """Return the bytes of each key; None of those that were not measured, or are gone."""
    chosen = [place for place, key in enumerate(keys) if every == 1 or hash(key) % every == 0]
    found: list[int | None] = [None] * len(keys)
    for start in range(0, len(chosen), BATCH):
        batch = chosen[start : start + BATCH]
        asked = [("MEMORY", "USAGE", command_word(keys[place])) for place in batch]
        await pace.wait()
        for place, reply in zip(batch, await commands.pipeline(asked, db=db), strict=True):
            found[place] = None if isinstance(reply, UNSUPPORTED) else as_integer(reply_or_none(reply))
    return found


GROUP = ("db", "key_group")
KEYS = gauge("SCAN", "keys", "key_group_count", "Keys of a group.", labels=GROUP)
MEMORY = gauge(
    "MEMORY USAGE", "bytes", "key_group_memory_usage_bytes", "Memory that the keys of a group take.", labels=GROUP
)
DISTINCT = gauge(
    "SCAN",
    "groups",
    "number_of_distinct_key_groups",
    "Groups of a database, with those that are put together as overflow.",
    labels=("db",),
)
MILLISECONDS = gauge(
    "SCAN",
    "passes",
    "last_key_groups_scrape_duration_milliseconds",
    "Duration of the newest complete passes over all databases, in milliseconds; 0 before the first.",
)
SECONDS = gauge(
    "SCAN",
    "passes",
    "last_key_groups_scrape_duration_seconds",
    "Duration of the newest complete passes over all databases; 0 before the first.",
)
ROWS = scan_metrics("key_groups")
#: Groups that a pass keeps apart before it knows which are the largest, for each one that is served.
KEPT = 4
#: Seconds for which a group that is gone keeps its place.
KEEP = 3600.0


class KeyGroupOptions(ScanOptions):
    """Which keys make which group."""

    groups: RegexList = Field(
        (),
        description="Regular expressions, tried in order; what the first that matches captures is the group of a key.",
    )
    databases: tuple[Count, ...] | None = Field(
        None, description="Numbers of the databases; all that have keys unless set."
    )
    pattern: str = Field("*", min_length=1, description="Only keys that match this pattern, as SCAN takes it.")
    max_distinct: PositiveCount = Field(
        100, le=10_000, description="Groups of a database that have series; the keys of others count as overflow."
    )
    max_measured: PositiveCount = Field(
        50_000,
        le=10_000_000,
        description="So many keys a pass are measured by MEMORY USAGE; in a larger database each stands for others.",
    )


class KeyGroupsCollector:
    """SCAN and MEMORY USAGE."""

    name: ClassVar[str] = "key_groups"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (KEYS, MEMORY, DISTINCT, MILLISECONDS, SECONDS, *ROWS)
    options: ClassVar[type[KeyGroupOptions]] = KeyGroupOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("scan", "memory|usage")

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._expressions: list[re.Pattern[str]] = []
        self._most = 0
        self._places: dict[int, LabelLimiter[str]] = {}
        self._scans = ScanSet(lambda: GroupCounter(self._expressions, self._most), clock)

    def for_target(self) -> Self:
        """Return a collector that remembers the scans of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel has keys."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: KeyGroupOptions) -> Iterable[CollectorItem]:
        """Walk on and sort what is found."""
        pace = TimeBudget(options, self._clock, self._sleep)
        if not self._expressions:
            self._expressions = [re.compile(one) for one in options.groups]
            self._most = options.max_distinct * KEPT
        databases = databases_of(server) if options.databases is None else options.databases
        places = [DatabaseKey(db, options.pattern) for db in databases] if options.groups else []

        def taking(at: DatabaseKey) -> Take[GroupCounter]:
            every = -(-(keys_in(server, at.db) or 0) // options.max_measured) or 1

            async def take(groups: GroupCounter, keys: list[bytes]) -> None:
                memory = await memory_usage(at.db, keys, commands, every, pace)
                for key, size in zip(keys, memory, strict=True):
                    groups.add(key, size)

            return take

        unreadable = await self._scans.resume(places, server, commands, options, pace, taking)
        seconds = sum(scan.seconds for scan in self._scans)
        total = [MILLISECONDS.sample(float(round(seconds * 1000))), SECONDS.sample(seconds)]
        return [*unreadable, *total, *(one for scan in self._scans for one in self._served(scan, options.max_distinct))]

    def _served(self, scan: KeyScan[GroupCounter], most: int) -> Iterator[CollectorItem]:
        yield from scan.samples(ROWS)
        if scan.latest is None:
            return
        db = f"db{scan.pattern.db}"
        places = self._places.setdefault(scan.pattern.db, LabelLimiter(KEEP))
        served = scan.latest.samples(places, most, self._clock())
        for name, (keys, memory) in served.items():
            yield KEYS.sample(keys, db, name)
            if memory is not None:
                yield MEMORY.sample(memory, db, name)
        yield DISTINCT.sample(scan.latest.distinct, db)
        if OVERFLOW in served:
            yield OverflowCount("SCAN/groups", max(1, scan.latest.distinct - len(served) + 1))


def databases_of(server: Server) -> list[int]:
    """Return the databases that INFO says have keys; database 0 when it says nothing of any."""
    numbers = [field[2:] for field in server.fields if field[:2] == "db" and field[2:].isdecimal()]
    return sorted(int(number) for number in numbers if len(number) < 6) or [0]


COLLECTOR = KeyGroupsCollector()
