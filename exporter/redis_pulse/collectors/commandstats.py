"""Calls, execution time and failures of each command (INFO commandstats).

redis_commands_total{target="cart",cmd="config|get"} 42
redis_commands_duration_seconds_total{target="cart",cmd="config|get"} 0.002291
"""

from collections.abc import Iterable
from typing import ClassVar

from redis_pulse.collectors.support.info_lines import (
    InfoLineCollector,
    admit_names,
    line_samples,
    named_lines,
    read_info,
)
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Count, Field
from redis_pulse.metric import CollectorItem, MetricSpec, counter, usec
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
        lines = named_lines(await read_info(server, commands), SECTION, PREFIX)
        admitted = admit_names(self._limiter, lines, "calls", options.max_commands)
        return list(line_samples(lines, LINE_METRICS, admitted))


COLLECTOR = CommandStatsCollector()
