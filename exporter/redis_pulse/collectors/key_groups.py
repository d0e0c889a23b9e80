"""Keys and memory by group; regular expressions over the names of keys define the groups.

redis_key_group_count{target="cart",db="db0",key_group="user"} 120455
redis_key_group_memory_usage_bytes{target="cart",db="db0",key_group="user"} 9.155144e+06

No script runs on the server. SCAN returns the keys in small steps, and MEMORY USAGE measures them in small batches. The
exporter sorts them into groups. A pass over a database takes as many polls as it needs. Its result is published with
its age when it is complete.
"""

from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import ClassVar, Self

from redis_pulse.collectors.support.cardinality import DistinctCounter
from redis_pulse.collectors.support.labels import OVERFLOW, LabelLimiter, label_value
from redis_pulse.collectors.support.scan import (
    AddKeys,
    KeyScan,
    ScanContext,
    ScanOptions,
    ScanSet,
    keys_in,
    scan_metrics,
)
from redis_pulse.collectors.support.time_budget import Clock, Sleep, TimeBudget
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.config.option_types import Count, DatabaseKey, Field, PositiveCount, RegexList
from redis_pulse.config.regular_expressions import MAX_TEXT, Expression, compile_expression
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, gauge
from redis_pulse.parse.reply import as_integer, command_word, parse_uint, reply_or_none
from redis_pulse.server_info import Server

#: The group of keys that no expression matches.
UNCLASSIFIED = "unclassified"
#: Databases that are read unless ``databases`` names them: the first ones.
MAX_DATABASES = 256
#: Keys that are measured at once.
BATCH = 10
#: Keys of a group that are counted exactly; above this the count is an estimate.
_EXACT_KEYS = 500
#: Groups that a pass counts separately, per published group. Only at its end it knows which groups are the largest.
KEPT_PER_SERVED = 4
#: Seconds for which the place of a group stays reserved after the group disappeared.
KEEP_SECONDS = 3600.0

LABELS = ("db", "key_group")
KEYS = gauge("SCAN", "keys", "key_group_count", "Keys of a group.", labels=LABELS)
MEMORY = gauge(
    "MEMORY USAGE", "bytes", "key_group_memory_usage_bytes", "Memory that the keys of a group take.", labels=LABELS
)
DISTINCT = gauge(
    "SCAN",
    "groups",
    "number_of_distinct_key_groups",
    "Groups of a database, including those that are summed as overflow.",
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
SCAN_METRICS = scan_metrics("key_groups")


class KeyGroupOptions(ScanOptions):
    """Settings of the collector ``key_groups``."""

    groups: RegexList = Field(
        (),
        description="Regular expressions of RE2, tried in order; what the first match captures is the group of a key.",
    )
    databases: tuple[Count, ...] | None = Field(None, description="Numbers of the databases; by default all with keys.")
    pattern: str = Field("*", min_length=1, description="Only keys that match this pattern, as SCAN takes it.")
    max_distinct: PositiveCount = Field(
        100, le=10_000, description="Groups of a database that have series; the keys of others count as overflow."
    )
    max_measured: PositiveCount = Field(
        50_000,
        le=10_000_000,
        description="Keys per pass that MEMORY USAGE measures; in a larger database each stands for several keys.",
    )


def group_of(key: bytes, expressions: Sequence[Expression]) -> str:
    """Return the group of a key: the joined captures of the first expression that matches.

    An expression without captures returns its whole match.
    """
    text = key[: 4 * MAX_TEXT].decode("utf-8", errors="replace")[:MAX_TEXT]
    for expression in expressions:
        if match := expression.search(text):
            return "".join(one or "" for one in match.groups()) if expression.groups else match[0]
    return UNCLASSIFIED


class KeyGroup:
    """The number and the memory of the keys of one group."""

    __slots__ = ("bytes", "keys", "measured")

    def __init__(self) -> None:
        self.keys = DistinctCounter(_EXACT_KEYS)
        #: Bytes of the measured keys, and the number of these keys.
        self.bytes = self.measured = 0

    @property
    def memory(self) -> float | None:
        """Bytes of all keys of the group, projected from the measured ones; None if no key was measured."""
        return self.bytes * self.keys.count / self.measured if self.measured else None


class GroupCounter:
    """The result of one pass: at most ``max_groups`` separate groups, and the keys of all other groups together."""

    def __init__(self, expressions: Sequence[Expression], max_groups: int) -> None:
        self._expressions = expressions
        self._max_groups = max_groups
        self._other_names = DistinctCounter()
        self._others = KeyGroup()
        self.groups: dict[str, KeyGroup] = {}

    def add(self, key: bytes, memory: int | None) -> None:
        """Count a key and its bytes, or None if they are unknown."""
        name = group_of(key, self._expressions)
        group = self.groups.get(name)
        if group is None:
            if len(self.groups) < self._max_groups:
                group = self.groups[name] = KeyGroup()
            else:
                self._other_names.add([name.encode("utf-8", errors="replace")])
                group = self._others
        group.keys.add([key])
        if memory is not None:
            group.bytes += memory
            group.measured += 1

    @property
    def distinct(self) -> int:
        """The number of groups, including those that are not counted separately."""
        return len(self.groups) + self._other_names.count

    def samples(self, limiter: LabelLimiter[str], limit: int, now: float) -> dict[str, tuple[int, float | None]]:
        """Return keys and bytes of at most ``limit`` groups, and those of all other groups as ``overflow``.

        The largest new groups fill the free places; ``LabelLimiter`` explains why the choice is not repeated.
        """
        weights = {name: group.memory or float(group.keys.count) for name, group in self.groups.items()}
        admitted = limiter.admit(weights, limit, now)
        samples = {
            label_value(name): (self.groups[name].keys.count, self.groups[name].memory) for name in sorted(admitted)
        }
        rest = [group for name, group in self.groups.items() if name not in admitted or label_value(name) == OVERFLOW]
        if self._others.keys.seen:
            rest.append(self._others)
        if rest:
            known = [group.memory for group in rest if group.memory is not None]
            samples[OVERFLOW] = (sum(group.keys.count for group in rest), sum(known) if known else None)
        return samples


async def memory_usage(
    db: int, keys: list[bytes], commands: Commands, one_in: int, budget: TimeBudget
) -> list[int | None]:
    """Return the bytes of each key; None for a key that was not measured or is missing. Raises TargetError.

    One key in ``one_in`` is measured, chosen by its hash.
    """
    chosen = [at for at, key in enumerate(keys) if one_in == 1 or hash(key) % one_in == 0]
    memory: list[int | None] = [None] * len(keys)
    for start in range(0, len(chosen), BATCH):
        batch = chosen[start : start + BATCH]
        requests = [("MEMORY", "USAGE", command_word(keys[at])) for at in batch]
        await budget.pause()
        for at, reply in zip(batch, await commands.pipeline(requests, db=db), strict=True):
            memory[at] = None if isinstance(reply, UNSUPPORTED) else as_integer(reply_or_none(reply))
    return memory


class KeyGroupsCollector:
    """Sorts the keys that SCAN returns into groups, and measures them with MEMORY USAGE."""

    name: ClassVar[str] = "key_groups"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (KEYS, MEMORY, DISTINCT, MILLISECONDS, SECONDS, *SCAN_METRICS)
    options: ClassVar[type[KeyGroupOptions]] = KeyGroupOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("scan", "memory|usage")

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._expressions: list[Expression] = []
        self._max_groups = 0
        self._limiters: dict[int, LabelLimiter[str]] = {}
        self._scans = ScanSet(lambda: GroupCounter(self._expressions, self._max_groups), clock)

    def for_target(self) -> Self:
        """Return a new collector, which remembers the scans of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Return True unless the server is a Sentinel, which has no keys."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: KeyGroupOptions) -> Iterable[CollectorItem]:
        """Continue the scans, and return the results of the newest complete passes."""
        budget = TimeBudget(options, self._clock, self._sleep)
        if not self._expressions:
            self._expressions = [compile_expression(one) for one in options.groups]
            self._max_groups = options.max_distinct * KEPT_PER_SERVED
        databases = databases_of(server) if options.databases is None else options.databases
        patterns = [DatabaseKey(db, options.pattern) for db in databases] if options.groups else []

        def add_keys_of(pattern: DatabaseKey) -> AddKeys[GroupCounter]:
            one_in = -(-(keys_in(server, pattern.db) or 0) // options.max_measured) or 1

            async def add_keys(groups: GroupCounter, keys: list[bytes]) -> None:
                memory = await memory_usage(pattern.db, keys, commands, one_in, budget)
                for key, size in zip(keys, memory, strict=True):
                    await budget.pause()
                    groups.add(key, size)

            return add_keys

        context = ScanContext(server, commands, options, budget)
        unreadable = await self._scans.resume(patterns, context, add_keys_of)
        seconds = sum(scan.seconds for scan in self._scans)
        total = [MILLISECONDS.sample(float(round(seconds * 1000))), SECONDS.sample(seconds)]
        return [*unreadable, *total, *(one for scan in self._scans for one in self._items(scan, options.max_distinct))]

    def _items(self, scan: KeyScan[GroupCounter], limit: int) -> Iterator[CollectorItem]:
        yield from scan.samples(SCAN_METRICS)
        if scan.latest is None:
            return
        db = f"db{scan.pattern.db}"
        limiter = self._limiters.setdefault(scan.pattern.db, LabelLimiter(KEEP_SECONDS))
        samples = scan.latest.samples(limiter, limit, self._clock())
        for name, (keys, memory) in samples.items():
            yield KEYS.sample(keys, db, name)
            if memory is not None:
                yield MEMORY.sample(memory, db, name)
        yield DISTINCT.sample(scan.latest.distinct, db)
        if OVERFLOW in samples:
            yield OverflowCount("SCAN/groups", max(1, scan.latest.distinct - len(samples) + 1))


def databases_of(server: Server) -> list[int]:
    """Return the databases with keys according to INFO, or database 0 if INFO lists none."""
    numbers = [parse_uint(field[2:]) for field in server.fields if field[:2] == "db"]
    return sorted(number for number in numbers if number is not None and number < 100_000)[:MAX_DATABASES] or [0]


COLLECTOR = KeyGroupsCollector()
