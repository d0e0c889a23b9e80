"""Streams and their consumer groups, by name or by pattern.

redis_stream_length{target="cart",db="db0",stream="orders"} 4711
redis_stream_group_lag{target="cart",db="db0",stream="orders",group="billing"} 12

Patterns are searched with SCAN TYPE stream in small steps (``_scan.py``). XINFO STREAM and XINFO GROUPS are asked in
small batches, each poll for as many streams as the budget allows; XINFO CONSUMERS only where the option says so.
"""

from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable
from time import monotonic
from typing import ClassVar, Self

from redis_pulse.collectors.streams.reader import CONSUMER, GROUP, STREAM, StreamReader
from redis_pulse.collectors.support.round_robin import RoundRobin
from redis_pulse.collectors.support.scan import Name, NameSet, ScanOptions, ScanSet, keys_in, merge_names, scan_metrics
from redis_pulse.collectors.support.time_budget import Clock, Sleep, TimeBudget
from redis_pulse.commands import Commands
from redis_pulse.config.option_types import Field, KeyPatterns, PositiveCount
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, gauge
from redis_pulse.server_info import Server

ROWS = scan_metrics("streams")
AGE = gauge("SCAN", "read", "streams_oldest_read_age_seconds", "Age of the oldest values among those of all streams.")
#: Streams that are read at once.
BATCH = 3


class StreamOptions(ScanOptions):
    """Which streams, and how much of them."""

    patterns: KeyPatterns = Field((), description='Patterns of streams, each in its database: "events:*", "db3=log:*".')
    streams: KeyPatterns = Field((), description="Single streams.")
    per_consumer: bool = Field(default=False, description="Whether each consumer of a group has series of its own.")
    max_streams: PositiveCount = Field(
        500, le=10_000, description="So many streams that match patterns have series; the others are only counted."
    )
    max_groups: PositiveCount = Field(50, le=1000, description="So many groups of a stream have series.")
    max_consumers: PositiveCount = Field(50, le=1000, description="So many consumers of a group have series.")


class StreamsCollector:
    """XINFO STREAM, XINFO GROUPS and, on request, XINFO CONSUMERS."""

    name: ClassVar[str] = "streams"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *(row.metric for row in (*STREAM, *GROUP, *CONSUMER)),
        *ROWS,
        AGE,
    )
    options: ClassVar[type[StreamOptions]] = StreamOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("scan", "type", "xinfo|stream", "xinfo|groups", "xinfo|consumers")

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._limit = 0
        self._scans = ScanSet(lambda: NameSet(self._limit), clock, "TYPE", "stream")
        self._rota: RoundRobin[Name] = RoundRobin(clock)

    def for_target(self) -> Self:
        """Return a collector that remembers the streams of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel has streams."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: StreamOptions) -> Iterable[CollectorItem]:
        """Search a little further, then read as many of the known streams as there is time for."""
        self._limit = options.max_streams
        places = [at for at in options.patterns if at.is_pattern]
        pace = TimeBudget(options, self._clock, self._sleep, share=0.5)
        unreadable = await self._scans.resume(places, server, commands, options, pace, lambda _: NameSet.add)
        single = [(at.db, at.key.encode()) for at in (*options.streams, *options.patterns) if at not in places]
        names, more = merge_names(self._scans, options.max_streams)

        async def look(batch: list[Name]) -> dict[Name, list[CollectorItem]]:
            if keys_in(server, batch[0][0]) == 0:
                return {}
            per_group = options.max_consumers if options.per_consumer else 0
            return await StreamReader(commands, batch[0][0], options.max_groups, per_group).read(batch)

        pace.extend(share=0.5)
        await self._rota.run([*single, *names], pace, BATCH, look, alike=lambda name: name[0])
        scans = [sample for scan in self._scans for sample in scan.samples(ROWS)]
        overflow = [OverflowCount("SCAN/stream", more)] if more else []
        return [*unreadable, *self._rota.results(), *scans, AGE.sample(self._rota.age()), *overflow]


COLLECTOR = StreamsCollector()
