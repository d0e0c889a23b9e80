"""Size and memory of single keys, and of the keys that match a pattern.

redis_key_size{target="cart",db="db0",key="orders"} 41
redis_key_memory_usage_bytes{target="cart",db="db0",key="orders"} 1720

SCAN finds the keys of a pattern in small steps. The keys are read in small batches, as many in each poll as the budget
allows. The size of a HyperLogLog is its cardinality if the server has it cached. Otherwise only PFCOUNT can count it.
PFCOUNT may write, so it is sent only with the option ``pfcount``.
"""

from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import ClassVar, NamedTuple, Self

from redis_pulse.collectors.keys.reader import COMMANDS, KeyReader, KeyReading
from redis_pulse.collectors.support.labels import label_value, unreadable_database
from redis_pulse.collectors.support.round_robin import RoundRobin
from redis_pulse.collectors.support.scan import (
    NameSet,
    ScanContext,
    ScanOptions,
    ScanSet,
    keys_in,
    merge_names,
    scan_metrics,
)
from redis_pulse.collectors.support.time_budget import Clock, Sleep, TimeBudget
from redis_pulse.commands import Commands
from redis_pulse.config.option_types import Field, KeyPatterns, PositiveCount
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge, parse_number
from redis_pulse.server_info import Server

_LABELS = ("db", "key")
SIZE = gauge("TYPE", "size", "key_size", "Bytes, elements or fields of a key; 0 when it is missing.", labels=_LABELS)
MEMORY = gauge("MEMORY USAGE", "bytes", "key_memory_usage_bytes", "Memory that a key takes.", labels=_LABELS)
VALUE = gauge("GETRANGE", "number", "key_value", "Value of a string that is a number.", labels=_LABELS)
TEXT = gauge(
    "GETRANGE", "text", "key_value_as_string", "1, for a string that is not a number.", labels=(*_LABELS, "val")
)
SCAN_METRICS = scan_metrics("keys")
OLDEST_READ = gauge("SCAN", "read", "keys_oldest_read_age_seconds", "Age of the oldest size of any key.")
#: Keys that are read at once, with about twenty commands.
BATCH = 5
#: Seconds for which a key that another cluster node has is not requested again. Slots move rarely, and each request to
#: the wrong node is an error reply there.
MOVED_FOR = 300.0
#: Maximum bytes of a string that are read for its value.
MAX_VALUE_BYTES = 256


class KeyOptions(ScanOptions):
    """Settings of the collector ``keys``."""

    patterns: KeyPatterns = Field((), description='Patterns of keys, each in its database: "user:*", "db3=session:*".')
    keys: KeyPatterns = Field((), description="Single keys; a missing key has size 0.")
    max_keys: PositiveCount = Field(
        500, le=50_000, description="Keys that match patterns and have series; the others are only counted."
    )
    values: bool = Field(default=False, description="Whether to export the values of strings that are numbers.")
    text_values: bool = Field(default=False, description="Whether to export the values of other strings, as a label.")
    pfcount: bool = Field(
        default=False, description="Whether PFCOUNT may count a HyperLogLog; it writes its result into the key."
    )


class _Key(NamedTuple):
    db: int
    key: bytes
    #: Configured by name, not found by a pattern.
    single: bool


class KeyCollector:
    """Reads TYPE and MEMORY USAGE of each key, and its size with the command for its type."""

    name: ClassVar[str] = "keys"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (SIZE, MEMORY, VALUE, TEXT, *SCAN_METRICS, OLDEST_READ)
    options: ClassVar[type[KeyOptions]] = KeyOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("scan", *COMMANDS)

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._max_keys = 0
        self._scans = ScanSet(lambda: NameSet(self._max_keys), clock)
        self._reads: RoundRobin[_Key] = RoundRobin(clock)
        self._moved_until: dict[_Key, float] = {}

    def for_target(self) -> Self:
        """Return a new collector, which remembers the keys of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Return True unless the server is a Sentinel, which has no keys."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: KeyOptions) -> Iterable[CollectorItem]:
        """Continue the search, then read as many of the known keys as the budget allows."""
        self._max_keys = options.max_keys
        patterns = [key for key in options.patterns if key.is_pattern]
        budget = TimeBudget(options, self._clock, self._sleep, share=0.5)
        context = ScanContext(server, commands, options, budget)
        unreadable = await self._scans.resume(patterns, context, lambda _: NameSet.add)
        single = {(one.db, one.key.encode()) for one in (*options.keys, *options.patterns) if one not in patterns}
        names, more = merge_names(self._scans, options.max_keys)
        keys = [_Key(*name, single=True) for name in sorted(single)]
        keys += [_Key(*name, single=False) for name in names if name not in single]
        now = self._clock()
        self._moved_until = {key: until for key, until in self._moved_until.items() if until > now}
        keys = [key for key in keys if key not in self._moved_until]

        async def read_batch(batch: list[_Key]) -> dict[_Key, list[CollectorItem]]:
            return await self._read_batch(batch, server, commands, options)

        budget.extend(share=0.5)
        await self._reads.run(keys, budget, BATCH, read_batch, batch_key=lambda key: key.db)
        scans = [sample for scan in self._scans for sample in scan.samples(SCAN_METRICS)]
        overflow = [OverflowCount("SCAN/key", more)] if more else []
        return [*unreadable, *self._reads.results(), *scans, OLDEST_READ.sample(self._reads.age()), *overflow]

    async def _read_batch(
        self, keys: list[_Key], server: Server, commands: Commands, options: KeyOptions
    ) -> dict[_Key, list[CollectorItem]]:
        """Read keys of one database. Raises TargetError."""
        db = keys[0].db
        if keys_in(server, db) == 0:
            return {key: list(_items(key, KeyReading("none", 0), options)) for key in keys}
        value_bytes = MAX_VALUE_BYTES if options.values or options.text_values else 0
        try:
            readings = await KeyReader(commands, db, value_bytes, options.pfcount).read([key.key for key in keys])
        except TargetError as error:
            return {key: [unreadable_database(error, db, "TYPE")] for key in keys}
        by_key = dict(zip(keys, readings, strict=True))
        self._moved_until |= {key: self._clock() + MOVED_FOR for key, reading in by_key.items() if reading.moved}
        return {key: list(_items(key, reading, options)) for key, reading in by_key.items()}


def _items(key: _Key, reading: KeyReading, options: KeyOptions) -> Iterator[CollectorItem]:
    labels = (f"db{key.db}", label_value(key.key))
    for command in reading.unreadable:
        yield UnreadableField(command)
    if reading.size is not None and (key.single or reading.kind != "none"):
        yield SIZE.sample(reading.size, *labels)
    if reading.memory is not None:
        yield MEMORY.sample(reading.memory, *labels)
    if reading.text is not None:
        value = _parse_value(reading.text)
        if value is not None and options.values:
            yield VALUE.sample(value, *labels)
        elif value is None and options.text_values:
            yield TEXT.sample(1, *labels, label_value(reading.text))


def _parse_value(text: bytes) -> float | None:
    """Return the number in a string as ``INCRBYFLOAT`` accepts it, or None."""
    try:
        return parse_number(text.decode("ascii")) if text[:1] in b"+-.0123456789" and text[-1:] != b"%" else None
    except ValueError:
        return None


COLLECTOR = KeyCollector()
