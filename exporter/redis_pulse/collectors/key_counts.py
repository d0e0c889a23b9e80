"""How many keys match a pattern.

redis_keys_count{target="cart",db="db0",key="user:*"} 120455
redis_key_counts_scan_age_seconds{target="cart",db="db0",pattern="user:*"} 12.5

A SCAN in small steps (``_scan.py``) that takes as many polls as it needs; a count is served when it is complete, with
its age, and until then there is none. A key that SCAN returns twice is counted once (``_distinct.py``).
"""

from asyncio import sleep as asyncio_sleep
from collections.abc import Iterable
from time import monotonic
from typing import ClassVar, Self

from redis_pulse.collectors.support.cardinality import DistinctCounter
from redis_pulse.collectors.support.labels import label_value
from redis_pulse.collectors.support.scan import ScanOptions, ScanSet, scan_metrics
from redis_pulse.collectors.support.time_budget import Clock, Sleep, TimeBudget
from redis_pulse.commands import Commands
from redis_pulse.config.option_types import Field, KeyPatterns
from redis_pulse.metric import CollectorItem, MetricSpec, gauge
from redis_pulse.server_info import Server

COUNT = gauge("SCAN", "keys", "keys_count", "Keys that match a pattern.", labels=("db", "key"))
ROWS = scan_metrics("key_counts")


class KeyCountOptions(ScanOptions):
    """Which keys to count."""

    patterns: KeyPatterns = Field((), description='Patterns of keys, each in its database: "user:*", "db3=session:*".')


class KeyCountsCollector:
    """SCAN MATCH, and nothing else."""

    name: ClassVar[str] = "key_counts"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (COUNT, *ROWS)
    options: ClassVar[type[KeyCountOptions]] = KeyCountOptions
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("scan",)

    def __init__(self, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._scans: ScanSet[DistinctCounter] = ScanSet(DistinctCounter, clock)

    def for_target(self) -> Self:
        """Return a collector that remembers the scans of one target."""
        return type(self)(self._clock, self._sleep)

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel has keys."""
        return server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: KeyCountOptions) -> Iterable[CollectorItem]:
        """Count a little further."""
        pace = TimeBudget(options, self._clock, self._sleep)
        found: list[CollectorItem] = [
            *await self._scans.resume(options.patterns, server, commands, options, pace, lambda _: _take)
        ]
        for scan in self._scans:
            if scan.latest is not None:
                found.append(COUNT.sample(scan.latest.count, f"db{scan.pattern.db}", label_value(scan.pattern.key)))
            found += scan.samples(ROWS)
        return found


async def _take(tally: DistinctCounter, keys: list[bytes]) -> None:
    tally.add(keys)


COLLECTOR = KeyCountsCollector()
