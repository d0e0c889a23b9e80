"""Number of keys that match a pattern.

redis_keys_count{target="cart",db="db0",key="user:*"} 120455
redis_key_counts_scan_age_seconds{target="cart",db="db0",pattern="user:*"} 12.5

SCAN counts the keys in small steps and takes as many polls as it needs. A count is published with its age when it is
complete, not earlier. A key that SCAN returns twice is counted once.
"""

from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable
from time import monotonic
from typing import ClassVar, Self

from redis_pulse.collectors.support.cardinality import DistinctCounter
from redis_pulse.collectors.support.labels import label_value
from redis_pulse.collectors.support.scan import ScanContext, ScanOptions, ScanSet, scan_metrics
from redis_pulse.collectors.support.time_budget import Clock, Sleep, TimeBudget
from redis_pulse.commands import Commands
from redis_pulse.config.option_types import Field, KeyPatterns
from redis_pulse.metric import CollectorItem, MetricSpec, gauge
from redis_pulse.server_info import Server

COUNT = gauge("SCAN", "keys", "keys_count", "Keys that match a pattern.", labels=("db", "key"))
SCAN_METRICS = scan_metrics("key_counts")


class KeyCountOptions(ScanOptions):
    """Settings of the collector ``key_counts``."""

    patterns: KeyPatterns = Field((), description='Patterns of keys, each in its database: "user:*", "db3=session:*".')


class KeyCountsCollector:
    """Counts the keys that SCAN MATCH returns."""

    name: ClassVar[str] = "key_counts"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (COUNT, *SCAN_METRICS)
    options: ClassVar[type[KeyCountOptions]] = KeyCountOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("scan",)

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._scans: ScanSet[DistinctCounter] = ScanSet(DistinctCounter, clock)

    def for_target(self) -> Self:
        """Return a new collector, which remembers the scans of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Return True unless the server is a Sentinel, which has no keys."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: KeyCountOptions) -> Iterable[CollectorItem]:
        """Continue the scans, and return the counts of the newest complete passes."""
        budget = TimeBudget(options, self._clock, self._sleep)
        context = ScanContext(server, commands, options, budget)
        items: list[CollectorItem] = [*await self._scans.resume(options.patterns, context, lambda _: _add_keys)]
        for scan in self._scans:
            if scan.latest is not None:
                items.append(COUNT.sample(scan.latest.count, f"db{scan.pattern.db}", label_value(scan.pattern.key)))
            items += scan.samples(SCAN_METRICS)
        return items


async def _add_keys(counter: DistinctCounter, keys: list[bytes]) -> None:
    counter.add(keys)


COLLECTOR = KeyCountsCollector()
