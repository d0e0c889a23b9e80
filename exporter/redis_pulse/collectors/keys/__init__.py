"""Size and memory of single keys, and of the keys that match a pattern.

redis_key_size{target="cart",db="db0",key="orders"} 41
redis_key_memory_usage_bytes{target="cart",db="db0",key="orders"} 1720

Patterns are searched with SCAN in small steps (``_scan.py``); the keys found are read in small batches, each poll as
many as the budget allows. The size of a HyperLogLog is its cardinality, as far as the server has it at hand: PFCOUNT
may write, and is only sent where the option ``pfcount`` says so.
"""

from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import ClassVar, NamedTuple, Self

from redis_pulse.collectors.keys.reader import COMMANDS, KeyReader, KeyReading
from redis_pulse.collectors.support.labels import label_value, unreadable_database
from redis_pulse.collectors.support.round_robin import RoundRobin
from redis_pulse.collectors.support.scan import NameSet, ScanOptions, ScanSet, keys_in, merge_names, scan_metrics
from redis_pulse.collectors.support.time_budget import Clock, Sleep, TimeBudget
from redis_pulse.commands import Commands
from redis_pulse.config.option_types import Field, KeyPatterns, PositiveCount
from redis_pulse.errors import TargetError
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge, parse_number
from redis_pulse.server_info import Server

KEY = ("db", "key")
SIZES = gauge("TYPE", "size", "key_size", "Bytes, elements or fields of a key; 0 when it is missing.", labels=KEY)
MEMORY = gauge("MEMORY USAGE", "bytes", "key_memory_usage_bytes", "Memory that a key takes.", labels=KEY)
VALUE = gauge("GETRANGE", "number", "key_value", "Value of a string that is a number.", labels=KEY)
TEXT = gauge("GETRANGE", "text", "key_value_as_string", "1, for a string that is no number.", labels=(*KEY, "val"))
ROWS = scan_metrics("keys")
AGE = gauge("SCAN", "read", "keys_oldest_read_age_seconds", "Age of the oldest size among those of all keys.")
#: Keys that are read at once, with some twenty commands.
BATCH = 5
#: Seconds after which a node of a cluster is asked again for a key that another node had: slots move now and then, and
#: each question that goes to the wrong node is an error reply there.
ELSEWHERE = 300.0
#: Bytes of a string that are read when its value is asked for.
LONGEST_VALUE = 256


class KeyOptions(ScanOptions):
    """Which keys, and what of them."""

    patterns: KeyPatterns = Field((), description='Patterns of keys, each in its database: "user:*", "db3=session:*".')
    keys: KeyPatterns = Field((), description="Single keys; one that is missing has size 0.")
    max_keys: PositiveCount = Field(
        500, le=50_000, description="So many keys that match patterns have series; the others are only counted."
    )
    values: bool = Field(default=False, description="Whether the values of strings that are numbers are exported.")
    text_values: bool = Field(default=False, description="Whether the values of other strings are exported, as label.")
    pfcount: bool = Field(
        default=False, description="Whether PFCOUNT may count a HyperLogLog; it writes its result into the key."
    )


class _Key(NamedTuple):
    db: int
    key: bytes
    single: bool


class KeyCollector:
    """TYPE and MEMORY USAGE of each key, and its size by the command for its type."""

    name: ClassVar[str] = "keys"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (SIZES, MEMORY, VALUE, TEXT, *ROWS, AGE)
    options: ClassVar[type[KeyOptions]] = KeyOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("scan", *COMMANDS)

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._limit = 0
        self._scans = ScanSet(lambda: NameSet(self._limit), clock)
        self._rota: RoundRobin[_Key] = RoundRobin(clock)
        self._elsewhere: dict[_Key, float] = {}  # until when

    def for_target(self) -> Self:
        """Return a collector that remembers the keys of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel has keys."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: KeyOptions) -> Iterable[CollectorItem]:
        """Search a little further, then read as many of the known keys as there is time for."""
        self._limit = options.max_keys
        places = [at for at in options.patterns if at.is_pattern]
        pace = TimeBudget(options, self._clock, self._sleep, share=0.5)
        missing = await self._scans.resume(places, server, commands, options, pace, lambda _: NameSet.add)
        single = {(at.db, at.key.encode()) for at in (*options.keys, *options.patterns) if at not in places}
        names, more = merge_names(self._scans, options.max_keys)
        keys = [_Key(*name, single=True) for name in sorted(single)]
        keys += [_Key(*name, single=False) for name in names if name not in single]
        now = self._clock()
        self._elsewhere = {key: until for key, until in self._elsewhere.items() if until > now}
        keys = [key for key in keys if key not in self._elsewhere]

        async def look(batch: list[_Key]) -> dict[_Key, list[CollectorItem]]:
            return await self._look(batch, server, commands, options)

        pace.extend(share=0.5)
        await self._rota.run(keys, pace, BATCH, look, alike=lambda key: key.db)
        scans = [sample for scan in self._scans for sample in scan.samples(ROWS)]
        overflow = [OverflowCount("SCAN/key", more)] if more else []
        return [*missing, *self._rota.results(), *scans, AGE.sample(self._rota.age()), *overflow]

    async def _look(
        self, keys: list[_Key], server: Server, commands: Commands, options: KeyOptions
    ) -> dict[_Key, list[CollectorItem]]:
        db = keys[0].db
        if keys_in(server, db) == 0:
            return {key: list(_found(key, KeyReading("none", 0), options)) for key in keys}
        longest = LONGEST_VALUE if options.values or options.text_values else 0
        try:
            read = await KeyReader(commands, db, longest, options.pfcount).read([key.key for key in keys])
        except TargetError as error:
            return {key: [unreadable_database(error, db, "TYPE")] for key in keys}
        found = dict(zip(keys, read, strict=True))
        self._elsewhere |= {key: self._clock() + ELSEWHERE for key, one in found.items() if one.elsewhere}
        return {key: list(_found(key, one, options)) for key, one in found.items()}


def _found(key: _Key, read: KeyReading, options: KeyOptions) -> Iterator[CollectorItem]:
    labels = (f"db{key.db}", label_value(key.key))
    for place in read.unreadable:
        yield UnreadableField(place)
    if read.size is not None and (key.single or read.kind != "none"):
        yield SIZES.sample(read.size, *labels)
    if read.memory is not None:
        yield MEMORY.sample(read.memory, *labels)
    if read.text is not None:
        value = _number(read.text)
        if value is not None and options.values:
            yield VALUE.sample(value, *labels)
        elif value is None and options.text_values:
            yield TEXT.sample(1, *labels, label_value(read.text))


def _number(text: bytes) -> float | None:
    """Return the number that a string holds, as ``INCRBYFLOAT`` would take it."""
    try:
        return parse_number(text.decode("ascii")) if text[:1] in b"+-.0123456789" and text[-1:] != b"%" else None
    except ValueError:
        return None


COLLECTOR = KeyCollector()
