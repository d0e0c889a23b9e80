"""What every command was called, what it took, and how often it went wrong (INFO commandstats).

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
_CMD = ("cmd",)
#: The pairs of a line by name: servers before 6.2 have fewer, others may have more.
ROWS = {
    "calls": counter(SECTION, "cmdstat_X:calls", "commands_total", "Calls of a command.", labels=_CMD),
    "usec": counter(
        SECTION,
        "cmdstat_X:usec",
        "commands_duration_seconds_total",
        "Time the server spent executing a command; its calls' waiting is no part of it.",
        usec,
        labels=_CMD,
    ),
    "rejected_calls": counter(
        SECTION,
        "cmdstat_X:rejected_calls",
        "commands_rejected_calls_total",
        "Calls of a command that were refused before it ran: denied, wrong number of arguments, out of memory.",
        labels=_CMD,
    ),
    "failed_calls": counter(
        SECTION,
        "cmdstat_X:failed_calls",
        "commands_failed_calls_total",
        "Calls of a command that failed while it ran.",
        labels=_CMD,
    ),
}


class CommandStatsOptions(Options):
    """How many commands are told apart."""

    max_commands: Count = Field(
        500, description='Commands with series of their own; those beyond are summed up as `cmd="overflow"`.'
    )


class CommandStatsCollector(InfoLineCollector):
    """Read every line of commandstats by the names of its pairs."""

    name: ClassVar[str] = "commandstats"
    metrics: ClassVar[tuple[MetricSpec, ...]] = tuple(ROWS.values())
    options: ClassVar[type[Options]] = CommandStatsOptions

    async def collect(
        self, server: Server, commands: Commands, options: CommandStatsOptions
    ) -> Iterable[CollectorItem]:
        """Read the section; a server that has none says nothing."""
        keyed = named_lines(await read_info(server, commands), SECTION, PREFIX)
        own = admit_names(self._places, keyed, "calls", options.max_commands)
        return list(line_samples(keyed, ROWS, own))


COLLECTOR = CommandStatsCollector()
