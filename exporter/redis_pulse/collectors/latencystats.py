"""Quantiles of the execution time of each command since the server started (INFO latencystats, Redis 7.0 and later).

redis_latency_percentiles_seconds{target="cart",cmd="get",quantile="0.99"} 1.2031e-05
redis_latency_percentiles_usec{target="cart",cmd="get",quantile="99"} 12.031

Old calls never lose weight. To see what is slow now, use the collector ``latency_histogram`` or the pings.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

from redis_pulse.collectors.support.info_lines import InfoLineCollector, admit_names, named_lines, read_info
from redis_pulse.collectors.support.written import UnusualValueError, are_clean, in_slices, is_whole
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Count, Field
from redis_pulse.metric import (
    CollectorItem,
    MetricSpec,
    OverflowCount,
    Sample,
    UnreadableField,
    WrittenLines,
    parse_number,
    summary,
)
from redis_pulse.server_info import Server
from redis_pulse.slices import sliced
from redis_pulse.text_format import format_number

SECTION = "Latencystats"
PREFIX = "latency_percentiles_usec_"
USEC = summary(
    SECTION,
    "latency_percentiles_usec_X",
    "latency_percentiles_usec",
    "Execution time of a command in microseconds since the server started, with quantiles in percent.",
    labels=("cmd",),
    is_percent=True,
)
SECONDS = summary(
    SECTION,
    "latency_percentiles_usec_X",
    "latency_percentiles_seconds",
    "Execution time of a command since the server started.",
    labels=("cmd",),
)
#: The parts of a summary, by the suffix of their names.
_PARTS = ("", "_sum", "_count")
_USUAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?", re.ASCII)
#: Quantiles that are written in both units without being computed again. A server rounds them to two digits, so
#: the same few come again and again, also of other servers.
_KNOWN_TEXTS = 4096
#: Commands of which no family reaches the limit of all families.
_MAX_WRITTEN = 1000
_PERCENTILE = re.compile(r"p([0-9]{1,3}(?:\.[0-9]{1,9})?)", re.ASCII)
#: Microseconds and calls of one command in commandstats.
Totals = tuple[float, float]


class LatencyStatsOptions(Options):
    """Settings of the collector ``latencystats``."""

    microseconds: bool = Field(
        True, description="Whether to also publish `redis_latency_percentiles_usec`, beside the metric in seconds."
    )
    max_commands: Count = Field(500, description="Commands with their own series; the others are left out.")


class LatencyStatsCollector(InfoLineCollector):
    """Read the percentiles that the server computes (``latency-tracking-info-percentiles``)."""

    name: ClassVar[str] = "latencystats"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (USEC, SECONDS)
    options: ClassVar[type[Options]] = LatencyStatsOptions

    async def collect(
        self, server: Server, commands: Commands, options: LatencyStatsOptions
    ) -> Iterable[CollectorItem]:
        """Read the section, and the sum and count of each command from commandstats."""
        info = await read_info(server, commands)
        lines = await named_lines(info, SECTION, PREFIX, server)
        if not lines:
            return []
        stats = await named_lines(info, "Commandstats", "cmdstat_", server)
        totals = {name: _totals(pairs) async for name, pairs in sliced(stats.items())}
        calls = {name: {"calls": str(int(both[1]))} for name, both in totals.items() if both is not None}
        admitted = admit_names(
            self._limiter, {name: calls.get(name, {}) for name in lines}, "calls", options.max_commands
        )
        items: list[CollectorItem] = []
        async for name, pairs in sliced(lines.items()):
            if name in admitted:
                items += _quantile_samples(name, pairs, totals.get(name), options)
        if len(admitted) < len(lines):
            items.append(OverflowCount(USEC.location, len(lines) - len(admitted)))
        return items

    async def write(
        self, server: Server, commands: Commands, options: LatencyStatsOptions, target: str
    ) -> Sequence[CollectorItem] | None:
        """Write the section."""
        info = await read_info(server, commands)
        lines = await named_lines(info, SECTION, PREFIX, server)
        stats = await named_lines(info, "Commandstats", "cmdstat_", server)
        if len(lines) > _MAX_WRITTEN or not are_clean(lines):
            return None
        writer = _Writer(target, microseconds=options.microseconds)
        weights: dict[str, dict[str, str]] = {}
        async for part in in_slices([*lines.items()]):
            for name, pairs in part:
                found = stats.get(name, {})
                try:
                    has_totals = writer.add(name, pairs, found)
                except ValueError:
                    return None
                weights[name] = found if has_totals else {}
        admitted = admit_names(self._limiter, weights, "calls", options.max_commands)
        return None if len(admitted) < len(lines) else [WrittenLines(writer.texts())]


class _Writer:
    """Writes what ``_quantile_samples`` yields."""

    def __init__(self, target: str, *, microseconds: bool) -> None:
        self._metrics = (USEC, SECONDS) if microseconds else (SECONDS,)
        self._starts = {
            (metric, suffix): f"{metric.full_name}{suffix}{{{target},cmd="
            for metric in self._metrics
            for suffix in _PARTS
        }
        self._lines: dict[MetricSpec, list[str]] = {}

    def add(self, name: str, pairs: Mapping[str, str], stats: Mapping[str, str]) -> bool:
        """Write the lines of one command. Return whether it has totals. Raises ValueError for what is not usual."""
        labels = _quantiles(tuple(pairs))
        values = [_written(text) for text in pairs.values()]
        if labels is None:
            raise UnusualValueError(name)
        usec, calls = stats.get("usec", ""), stats.get("calls", "")
        has_totals = is_whole(usec) and is_whole(calls)
        if not has_totals and _totals(stats) is not None:
            raise UnusualValueError(name)
        for metric in self._metrics:
            is_usec = metric is USEC
            start = f'{self._starts[metric, ""]}"{name}",quantile="'
            unit = 0 if is_usec else 1
            lines = self._lines.setdefault(metric, [])
            lines += [f'{start}{edges[unit]}"}} {texts[unit]}\n' for edges, texts in zip(labels, values, strict=True)]
            if has_totals:
                total = usec if is_usec else format_number(int(usec) / 1e6)
                for suffix, number_of in (("_sum", total), ("_count", calls)):
                    part = self._lines.setdefault(metric.openmetrics_parts.get(suffix, metric), [])
                    part.append(f'{self._starts[metric, suffix]}"{name}"}} {number_of}\n')
        return bool(has_totals)

    def texts(self) -> dict[MetricSpec, str]:
        """Return the lines of each metric."""
        return {metric: "".join(lines) for metric, lines in self._lines.items()}


@lru_cache(maxsize=_KNOWN_TEXTS)
def _written(text: str) -> tuple[str, str]:
    """Return how a quantile is written in microseconds and in seconds. Raises ValueError if it is not usual."""
    if not _USUAL.fullmatch(text):
        raise UnusualValueError(text)
    return format_number(float(text)), format_number(float(text) / 1e6)


@lru_cache(maxsize=64)
def _quantiles(percentiles: tuple[str, ...]) -> tuple[tuple[str, str], ...] | None:
    """Return each label in percent and as a share, or None if one of them is not usual."""
    found = {percentile[1:]: _quantile(percentile) for percentile in percentiles}
    shares = [share for share in found.values() if share is not None]
    if not shares or len(shares) < len(percentiles) or len(set(shares)) < len(shares):
        return None
    return tuple(zip(found, shares, strict=True))


def _non_negative(text: str) -> float | None:
    try:
        value = parse_number(text)
    except ValueError:
        return None
    return None if value is None or value < 0 else value


@lru_cache(maxsize=64)
def _quantile(percentile: str) -> str | None:
    """Return the label for ``p99.9`` (``0.999``), or None for any other text."""
    match = _PERCENTILE.fullmatch(percentile)
    return None if match is None or float(match[1]) > 100 else f"{float(match[1]) / 100:.12g}"


def _totals(pairs: Mapping[str, str]) -> Totals | None:
    usec, calls = _non_negative(pairs.get("usec", "")), _non_negative(pairs.get("calls", ""))
    return None if usec is None or calls is None else (usec, calls)


def _quantile_samples(
    name: str, pairs: Mapping[str, str], totals: Totals | None, options: LatencyStatsOptions
) -> Iterator[Sample | UnreadableField]:
    """Read ``p50=1.003,p99=12.031,p99.9=12.031``."""
    points: dict[str, tuple[str, float]] = {}
    for percentile, text in pairs.items():
        quantile, value = _quantile(percentile), _non_negative(text)
        if quantile is None or value is None or quantile in points:
            yield UnreadableField(USEC.location)
        else:
            points[quantile] = percentile[1:], value
    if not points:
        return
    usec, calls = totals or (0.0, 0.0)
    end = None if totals else -2  # the last two samples are sum and count; without commandstats they are unknown
    if options.microseconds:
        yield from USEC.distribution(points.values(), usec, calls, name)[:end]
    seconds = ((quantile, value / 1e6) for quantile, (_, value) in points.items())
    yield from SECONDS.distribution(seconds, usec / 1e6, calls, name)[:end]


COLLECTOR = LatencyStatsCollector()
