"""Streams and their consumer groups, by name or by pattern.

redis_stream_length{target="cart",db="db0",stream="orders"} 4711
redis_stream_group_lag{target="cart",db="db0",stream="orders",group="billing"} 12

SCAN TYPE stream finds the streams of a pattern in small steps. XINFO STREAM and XINFO GROUPS read them in small
batches, as many in each poll as the budget allows. XINFO CONSUMERS is sent only with the option ``per_consumer``.
"""

from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable
from time import monotonic
from typing import ClassVar, Self

from redis_pulse.collectors.streams.reader import CONSUMER, GROUP, STREAM, StreamReader
from redis_pulse.collectors.support.round_robin import RoundRobin
from redis_pulse.collectors.support.scan import (
    Name,
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
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, gauge
from redis_pulse.server_info import Server

SCAN_METRICS = scan_metrics("streams")
OLDEST_READ = gauge("SCAN", "read", "streams_oldest_read_age_seconds", "Age of the oldest values of any stream.")
#: Streams that are read at once.
BATCH = 3


class StreamOptions(ScanOptions):
    """Settings of the collector ``streams``."""

    patterns: KeyPatterns = Field((), description='Patterns of streams, each in its database: "events:*", "db3=log:*".')
    streams: KeyPatterns = Field((), description="Single streams.")
    per_consumer: bool = Field(default=False, description="Whether each consumer of a group has its own series.")
    max_streams: PositiveCount = Field(
        500, le=10_000, description="Streams that match patterns and have series; the others are only counted."
    )
    max_groups: PositiveCount = Field(50, le=1000, description="Groups of a stream that have series.")
    max_consumers: PositiveCount = Field(50, le=1000, description="Consumers of a group that have series.")


class StreamsCollector:
    """Reads XINFO STREAM, XINFO GROUPS and, on request, XINFO CONSUMERS."""

    name: ClassVar[str] = "streams"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *(one.metric for one in (*STREAM, *GROUP, *CONSUMER)),
        *SCAN_METRICS,
        OLDEST_READ,
    )
    options: ClassVar[type[StreamOptions]] = StreamOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("scan", "type", "xinfo|stream", "xinfo|groups", "xinfo|consumers")

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._max_streams = 0
        self._scans = ScanSet(lambda: NameSet(self._max_streams), clock, "TYPE", "stream")
        self._reads: RoundRobin[Name] = RoundRobin(clock)

    def for_target(self) -> Self:
        """Return a new collector, which remembers the streams of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Return True unless the server is a Sentinel, which has no streams."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: StreamOptions) -> Iterable[CollectorItem]:
        """Continue the search, then read as many of the known streams as the budget allows."""
        self._max_streams = options.max_streams
        patterns = [key for key in options.patterns if key.is_pattern]
        budget = TimeBudget(options, self._clock, self._sleep, share=0.5)
        context = ScanContext(server, commands, options, budget)
        unreadable = await self._scans.resume(patterns, context, lambda _: NameSet.add)
        single = [(key.db, key.key.encode()) for key in (*options.streams, *options.patterns) if key not in patterns]
        names, more = merge_names(self._scans, options.max_streams)

        async def read_batch(batch: list[Name]) -> dict[Name, list[CollectorItem]]:
            db = batch[0][0]
            if keys_in(server, db) == 0:
                return {}
            max_consumers = options.max_consumers if options.per_consumer else 0
            return await StreamReader(commands, db, options.max_groups, max_consumers).read(batch)

        budget.extend(share=0.5)
        await self._reads.run([*single, *names], budget, BATCH, read_batch, batch_key=lambda name: name[0])
        scans = [sample for scan in self._scans for sample in scan.samples(SCAN_METRICS)]
        overflow = [OverflowCount("SCAN/stream", more)] if more else []
        return [*unreadable, *self._reads.results(), *scans, OLDEST_READ.sample(self._reads.age()), *overflow]


COLLECTOR = StreamsCollector()
