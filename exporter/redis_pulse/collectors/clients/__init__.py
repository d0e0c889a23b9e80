"""Connected clients (CLIENT LIST), aggregated by user, name and library, and counted by flag.

redis_clients{target="cart",user="shop",name="checkout",lib_name="redis-py",lib_ver="5.0.1"} 12
redis_clients_with_flag{target="cart",flag="blocked"} 3

The server needs 1 to 3 ms per 1000 clients to build the list, and executes no other command meanwhile. So the collector
reads INFO first. With more clients than ``max_clients`` it does not request the list, and
``redis_clients_list_skipped`` is 1.

The list includes the connections of the exporter, under the name ``redis-pulse``.

Clients choose their names, so only ``max_names`` combinations have their own series. All other clients of a user are
merged under the name ``overflow``.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Self

from redis_pulse.collectors.clients import groups, per_client
from redis_pulse.collectors.clients.groups import ClientAggregator, ClientGroup
from redis_pulse.collectors.clients.per_client import PerClientSeries
from redis_pulse.collectors.support.info_lines import info_requests, read_info
from redis_pulse.collectors.support.labels import LabelLimiter
from redis_pulse.commands import Args, Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Count, Field, PositiveCount
from redis_pulse.errors import EmptyReplyError, UnknownCommandError
from redis_pulse.metric import CollectorItem, MetricSpec, UnreadableField, gauge
from redis_pulse.parse.client_list import parse_client_list
from redis_pulse.parse.info import Info
from redis_pulse.parse.reply import parse_uint
from redis_pulse.server_info import Server
from redis_pulse.slices import sliced, text_slices

SKIPPED = gauge(
    "INFO",
    "connected_clients",
    "clients_list_skipped",
    "1 if CLIENT LIST was not sent: INFO reports more than max_clients clients, or does not report their number.",
)
#: Clients read before other tasks of the event loop may run. They take about half a millisecond.
CLIENTS_PER_SLICE = 50
#: Seconds for which a combination without clients keeps its series.
KEEP_SERIES_FOR = 3600.0


class ClientsOptions(Options):
    """Settings of the collector ``clients``."""

    max_clients: Count = Field(
        500, description="The list is requested only while INFO reports at most this number of clients; 0: always."
    )
    max_names: PositiveCount = Field(
        50, description="Combinations of user, name and library with their own series; the others are merged."
    )
    per_client: bool = Field(
        False, description="Also publish series per client, such as redis_connected_client_info, by id and name."
    )
    include_port: bool = Field(False, description="Add the client's port to redis_connected_client_info.")


class ClientsCollector:
    """Request the list if it is not too long, and read it in small slices."""

    name: ClassVar[str] = "clients"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (SKIPPED, *groups.METRICS, *per_client.METRICS)
    options: ClassVar[type[Options]] = ClientsOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("info", "client|list")

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._names: LabelLimiter[ClientGroup] = LabelLimiter(KEEP_SERIES_FOR)
        self._users: LabelLimiter[str] = LabelLimiter(KEEP_SERIES_FOR)
        self._previous: PerClientSeries | None = None

    def for_target(self) -> Self:
        """Return a copy. It remembers which names have series, and when clients connected."""
        return type(self)(self._wall_clock)

    def applies(self, server: Server) -> bool:  # noqa: ARG002
        """Return True: every server has clients, also a Sentinel."""
        return True

    def requests(self, server: Server, options: Any) -> Sequence[Args]:
        """Return INFO, and CLIENT LIST once INFO shows that the list is not too long."""
        if not options.max_clients:
            return [("CLIENT", "LIST")]
        if server.newest_info is None:
            return info_requests(server)
        connected = _connected(server.newest_info.sections)
        return [] if connected is None or connected > options.max_clients else [("CLIENT", "LIST")]

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        """Read the list. An unreadable line is counted and does not affect the other lines."""
        if options.max_clients:
            connected = await _connected_clients(server, commands)
            if connected is None or connected > options.max_clients:
                return [SKIPPED.sample(1.0)]
        reply = await commands.execute("CLIENT", "LIST")
        if not isinstance(reply, bytes):
            return [SKIPPED.sample(0.0), UnreadableField("CLIENT LIST")]
        items: list[CollectorItem] = [SKIPPED.sample(0.0)]
        now, aggregator = self._wall_clock(), ClientAggregator()
        series = PerClientSeries(now, self._previous, include_port=options.include_port) if options.per_client else None
        async for text in text_slices(reply):
            async for client in sliced(parse_client_list(text), CLIENTS_PER_SLICE):
                if client is None:
                    items.append(UnreadableField("CLIENT LIST/line"))
                    continue
                aggregator.add(client)
                if series is not None:
                    series.add(client)
        items += aggregator.samples(self._names, self._users, options.max_names, now)
        if series is not None:
            items += series.samples()
        self._previous = series
        return items


async def _connected_clients(server: Server, commands: Commands) -> int | None:
    """Return the number of clients that INFO reports, or None if it reports none.

    Raise TargetError if the server denies INFO.
    """
    try:
        info = await read_info(server, commands)
    except (UnknownCommandError, EmptyReplyError):
        return None
    return _connected(info)


def _connected(info: Info) -> int | None:
    sections = (fields["connected_clients"] for fields in info.values() if "connected_clients" in fields)
    return parse_uint(next(sections, ""))


COLLECTOR = ClientsCollector()
