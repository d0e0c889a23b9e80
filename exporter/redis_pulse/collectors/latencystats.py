"""Quantiles of the time that every command took since the server started (INFO latencystats, Redis 7.0 and later).

redis_latency_percentiles_seconds{target="cart",cmd="get",quantile="0.99"} 1.2031e-05
redis_latency_percentiles_usec{target="cart",cmd="get",quantile="99"} 12.031

They never decay: for what is slow now, take the histogram of the collector ``latency_histogram``, or the pings.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import ClassVar

from redis_pulse.collectors.support.info_lines import InfoLineCollector, admit_names, named_lines, read_info
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Count, Field
from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, Sample, UnreadableField, parse_number, summary
from redis_pulse.server_info import Server

SECTION = "Latencystats"
PREFIX = "latency_percentiles_usec_"
USEC = summary(
    SECTION,
    "latency_percentiles_usec_X",
    "latency_percentiles_usec",
    "Microseconds that the calls of a command took since the server started, with quantiles in percent.",
    labels=("cmd",),
    percent=True,
)
SECONDS = summary(
    SECTION,
    "latency_percentiles_usec_X",
    "latency_percentiles_seconds",
    "Time that the calls of a command took since the server started.",
    labels=("cmd",),
)
_PERCENTILE = re.compile(r"p([0-9]{1,3}(?:\.[0-9]{1,9})?)", re.ASCII)
#: Of a command in commandstats: microseconds, calls.
Spent = tuple[float, float]


class LatencyStatsOptions(Options):
    """What is published of every command."""

    microseconds: bool = Field(
        True, description="Whether `redis_latency_percentiles_usec` is published too, beside the one in seconds."
    )
    max_commands: Count = Field(500, description="Commands with series of their own; those beyond are left out.")


class LatencyStatsCollector(InfoLineCollector):
    """Read the percentiles that the server computes (``latency-tracking-info-percentiles``)."""

    name: ClassVar[str] = "latencystats"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (USEC, SECONDS)
    options: ClassVar[type[Options]] = LatencyStatsOptions

    async def collect(
        self, server: Server, commands: Commands, options: LatencyStatsOptions
    ) -> Iterable[CollectorItem]:
        """Read the section; sum and count of a command stand in commandstats."""
        info = await read_info(server, commands)
        keyed = named_lines(info, SECTION, PREFIX)
        if not keyed:
            return []
        spent = {name: _spent(pairs) for name, pairs in named_lines(info, "Commandstats", "cmdstat_").items()}
        calls = {name: {"calls": str(int(both[1]))} for name, both in spent.items() if both is not None}
        own = admit_names(self._places, {name: calls.get(name, {}) for name in keyed}, "calls", options.max_commands)
        found: list[CollectorItem] = []
        for name, pairs in keyed.items():
            if name in own:
                found += _quantiles(name, pairs, spent.get(name), options)
        if len(own) < len(keyed):
            found.append(OverflowCount(USEC.location, len(keyed) - len(own)))
        return found


def _positive(text: str) -> float | None:
    try:
        value = parse_number(text)
    except ValueError:
        return None
    return None if value is None or value < 0 else value


@lru_cache(maxsize=64)
def _quantile(percentile: str) -> str | None:
    """Return the label of ``p99.9`` in parts of 1, None for what is no percentile."""
    said = _PERCENTILE.fullmatch(percentile)
    return None if said is None or float(said[1]) > 100 else f"{float(said[1]) / 100:.12g}"


def _spent(pairs: Mapping[str, str]) -> Spent | None:
    took, calls = _positive(pairs.get("usec", "")), _positive(pairs.get("calls", ""))
    return None if took is None or calls is None else (took, calls)


def _quantiles(
    name: str, pairs: Mapping[str, str], spent: Spent | None, options: LatencyStatsOptions
) -> Iterator[Sample | UnreadableField]:
    """Read ``p50=1.003,p99=12.031,p99.9=12.031``."""
    points: dict[str, tuple[str, float]] = {}
    for percentile, text in pairs.items():
        quantile, value = _quantile(percentile), _positive(text)
        if quantile is None or value is None or quantile in points:
            yield UnreadableField(USEC.location)
        else:
            points[quantile] = percentile[1:], value
    if not points:
        return
    total, calls = spent or (0.0, 0.0)
    whole = None if spent else -2  # without commandstats there is no sum and no count
    if options.microseconds:
        yield from USEC.distribution(points.values(), total, calls, name)[:whole]
    seconds = ((quantile, value / 1e6) for quantile, (_, value) in points.items())
    yield from SECONDS.distribution(seconds, total / 1e6, calls, name)[:whole]


COLLECTOR = LatencyStatsCollector()
