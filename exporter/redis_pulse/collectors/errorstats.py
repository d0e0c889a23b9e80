"""Error replies by their code (INFO errorstats, Redis 6.2 and later).

redis_errors_total{target="cart",err="WRONGTYPE"} 3
redis_errors_total{target="cart",err="overflow"} 17
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
from redis_pulse.metric import CollectorItem, MetricSpec, counter
from redis_pulse.server_info import Server

SECTION = "Errorstats"
PREFIX = "errorstat_"
ERRORS = counter(SECTION, "errorstat_X:count", "errors_total", "Error replies with a code.", labels=("err",))
#: Item of a line → its metric.
LINE_METRICS = {"count": ERRORS}


class ErrorStatsOptions(Options):
    """Settings of the collector ``errorstats``. Scripts and modules may invent any number of codes."""

    max_errors: Count = Field(
        50, description='Error codes with their own series; the others are summed as `err="overflow"`.'
    )


class ErrorStatsCollector(InfoLineCollector):
    """Read each line of errorstats."""

    name: ClassVar[str] = "errorstats"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (ERRORS,)
    options: ClassVar[type[Options]] = ErrorStatsOptions

    async def collect(self, server: Server, commands: Commands, options: ErrorStatsOptions) -> Iterable[CollectorItem]:
        """Read the section. Return nothing if the server does not have it."""
        lines = await named_lines(await read_info(server, commands), SECTION, PREFIX, server)
        admitted = admit_names(self._limiter, lines, "count", options.max_errors)
        return await line_samples(lines, LINE_METRICS, admitted)

    async def write(
        self, server: Server, commands: Commands, options: ErrorStatsOptions, target: str
    ) -> Sequence[CollectorItem] | None:
        """Write the section."""
        lines = await named_lines(await read_info(server, commands), SECTION, PREFIX, server)
        admitted = admit_names(self._limiter, lines, "count", options.max_errors)
        return await write_lines(lines, LINE_METRICS, admitted, target)


COLLECTOR = ErrorStatsCollector()
