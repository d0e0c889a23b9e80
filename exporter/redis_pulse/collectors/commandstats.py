"""Calls, execution time and failures of each command (INFO commandstats).

redis_commands_total{target="cart",cmd="config|get"} 42
redis_commands_duration_seconds_total{target="cart",cmd="config|get"} 0.002291
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from redis_pulse.collectors.support.info_lines import (
    InfoLineCollector,
    admit_names,
    line_samples,
    named_lines,
    read_info,
    write_lines,
)
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Count, Field
from redis_pulse.metric import CollectorItem, MetricSpec, counter, gauge, msec, usec
from redis_pulse.server_info import Server

SECTION = "Commandstats"
PREFIX = "cmdstat_"
_LABELS = ("cmd",)
#: Item of a line → its metric. Servers before 6.2 write fewer items, others may write more.
LINE_METRICS = {
    "calls": counter(SECTION, "cmdstat_X:calls", "commands_total", "Calls of a command.", labels=_LABELS),
    "usec": counter(
        SECTION,
        "cmdstat_X:usec",
        "commands_duration_seconds_total",
        "Time the server spent executing a command, without the time that its calls waited.",
        usec,
        labels=_LABELS,
    ),
    "rejected_calls": counter(
        SECTION,
        "cmdstat_X:rejected_calls",
        "commands_rejected_calls_total",
        "Calls of a command that were rejected before it ran: denied, wrong number of arguments, out of memory.",
        labels=_LABELS,
    ),
    "failed_calls": counter(
        SECTION,
        "cmdstat_X:failed_calls",
        "commands_failed_calls_total",
        "Calls of a command that failed while it ran.",
        labels=_LABELS,
    ),
    "slowlog_count": counter(
        SECTION,
        "cmdstat_X:slowlog_count",
        "commands_slow_calls_total",
        "Calls of a command that were slow enough for the slow log (Redis 8.8 and later).",
        labels=_LABELS,
    ),
    "slowlog_time_ms_sum": counter(
        SECTION,
        "cmdstat_X:slowlog_time_ms_sum",
        "commands_slow_duration_seconds_total",
        "Execution time of the calls of a command that were slow enough for the slow log (Redis 8.8 and later).",
        msec,
        labels=_LABELS,
    ),
    "slowlog_time_ms_max": gauge(
        SECTION,
        "cmdstat_X:slowlog_time_ms_max",
        "commands_slow_max_duration_seconds",
        "Longest slow call of a command since the start or CONFIG RESETSTAT (Redis 8.8 and later).",
        msec,
        labels=_LABELS,
    ),
}


class CommandStatsOptions(Options):
    """Settings of the collector ``commandstats``."""

    max_commands: Count = Field(
        500, description='Commands with their own series; the others are summed as `cmd="overflow"`.'
    )


class CommandStatsCollector(InfoLineCollector):
    """Read each line of commandstats by the names of its items."""

    name: ClassVar[str] = "commandstats"
    metrics: ClassVar[tuple[MetricSpec, ...]] = tuple(LINE_METRICS.values())
    options: ClassVar[type[Options]] = CommandStatsOptions

    async def collect(
        self, server: Server, commands: Commands, options: CommandStatsOptions
    ) -> Iterable[CollectorItem]:
        """Read the section. Return nothing if the server does not have it."""
        lines = await named_lines(await read_info(server, commands), SECTION, PREFIX, server)
        admitted = admit_names(self._limiter, lines, "calls", options.max_commands)
        return await line_samples(lines, LINE_METRICS, admitted)

    async def write(
        self, server: Server, commands: Commands, options: CommandStatsOptions, target: str
    ) -> Sequence[CollectorItem] | None:
        """Write the section."""
        lines = await named_lines(await read_info(server, commands), SECTION, PREFIX, server)
        admitted = admit_names(self._limiter, lines, "calls", options.max_commands)
        return await write_lines(lines, LINE_METRICS, admitted, target)


COLLECTOR = CommandStatsCollector()
