"""How often the server answered with an error, by its code (INFO errorstats, Redis 6.2 and later).

redis_errors_total{target="cart",err="WRONGTYPE"} 3
redis_errors_total{target="cart",err="overflow"} 17
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
from redis_pulse.metric import CollectorItem, MetricSpec, counter
from redis_pulse.server_info import Server

SECTION = "Errorstats"
PREFIX = "errorstat_"
ERRORS = counter(SECTION, "errorstat_X:count", "errors_total", "Error replies with a code.", labels=("err",))
ROWS = {"count": ERRORS}


class ErrorStatsOptions(Options):
    """How many codes are told apart: scripts and modules make up codes as they like."""

    max_errors: Count = Field(
        50, description='Error codes with a series of their own; those beyond are summed up as `err="overflow"`.'
    )


class ErrorStatsCollector(InfoLineCollector):
    """Read every line of errorstats."""

    name: ClassVar[str] = "errorstats"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (ERRORS,)
    options: ClassVar[type[Options]] = ErrorStatsOptions

    async def collect(self, server: Server, commands: Commands, options: ErrorStatsOptions) -> Iterable[CollectorItem]:
        """Read the section; a server that has none says nothing."""
        keyed = named_lines(await read_info(server, commands), SECTION, PREFIX)
        own = admit_names(self._places, keyed, "count", options.max_errors)
        return list(line_samples(keyed, ROWS, own))


COLLECTOR = ErrorStatsCollector()
