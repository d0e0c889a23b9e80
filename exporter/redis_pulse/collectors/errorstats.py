"""How often the server answered with an error, by its code (INFO errorstats, Redis 6.2 and later).

redis_errors_total{target="cart",err="WRONGTYPE"} 3
redis_errors_total{target="cart",err="overflow"} 17
"""

from collections.abc import Iterable
from typing import ClassVar

from redis_pulse.collectors.support.info_lines import Seated, count, read_info, read_keyed, seat
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Count, Field
from redis_pulse.metric import Found, Metric, counter
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


class ErrorStats(Seated):
    """Read every line of errorstats."""

    name: ClassVar[str] = "errorstats"
    metrics: ClassVar[tuple[Metric, ...]] = (ERRORS,)
    options: ClassVar[type[Options]] = ErrorStatsOptions

    async def collect(self, server: Server, commands: Commands, options: ErrorStatsOptions) -> Iterable[Found]:
        """Read the section; a server that has none says nothing."""
        keyed = read_keyed(await read_info(server, commands), SECTION, PREFIX)
        own = seat(self._places, keyed, "count", options.max_errors)
        return list(count(keyed, ROWS, own))


COLLECTOR = ErrorStats()
