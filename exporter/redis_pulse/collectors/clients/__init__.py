"""Who is connected: CLIENT LIST, summed up by user, name and library, and by flag.

redis_clients{target="cart",user="shop",name="checkout",lib_name="redis-py",lib_ver="5.0.1"} 12
redis_clients_with_flag{target="cart",flag="blocked"} 3

Making the list takes the server 1 to 3 ms per 1000 clients, and serving nobody meanwhile. So INFO is read first, and
with more clients than ``max_clients`` the list is not asked for: ``redis_clients_list_skipped`` is 1 then.

Our own connections are listed too, under the name ``redis-pulse``.

Names are the clients' own choice, so only ``max_names`` combinations have series of their own. All others of a user
are put together under the name ``overflow``.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self

from redis_pulse.collectors.clients import groups, per_client
from redis_pulse.collectors.clients.groups import ClientAggregator, ClientGroup
from redis_pulse.collectors.clients.per_client import PerClientSeries
from redis_pulse.collectors.support.info_lines import read_info
from redis_pulse.collectors.support.labels import LabelLimiter
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.config.option_types import Count, Field, PositiveCount
from redis_pulse.errors import EmptyReplyError, UnknownCommandError
from redis_pulse.metric import CollectorItem, MetricSpec, UnreadableField, gauge
from redis_pulse.parse.client_list import parse_client_list
from redis_pulse.parse.reply import as_text
from redis_pulse.server_info import Server

SKIPPED = gauge(
    "INFO",
    "connected_clients",
    "clients_list_skipped",
    "1 when the list of clients was not asked for: more than max_clients are connected, or INFO does not say how many.",
)
#: After so many clients others have the loop; some half a millisecond.
AT_ONCE = 50
#: Seconds for which a combination that has no clients any more keeps its place.
KEEP = 3600.0


class ClientsOptions(Options):
    """What a target's settings may say about ``clients``."""

    max_clients: Count = Field(
        500, description="The list is asked for only while INFO says that at most so many are connected; 0: always."
    )
    max_names: PositiveCount = Field(
        50, description="So many combinations of user, name and library have series; the rest is put together."
    )
    per_client: bool = Field(
        False, description="Also one series a client: redis_connected_client_info and its kin, by id and name."
    )
    include_port: bool = Field(False, description="Give redis_connected_client_info the client's port too.")


class ClientsCollector:
    """Ask for the list when it is not too long, and read it in small portions."""

    name: ClassVar[str] = "clients"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (SKIPPED, *groups.ROWS, *per_client.ROWS)
    options: ClassVar[type[Options]] = ClientsOptions
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("info", "client|list")

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._names: LabelLimiter[ClientGroup] = LabelLimiter(KEEP)
        self._users: LabelLimiter[str] = LabelLimiter(KEEP)
        self._listing: PerClientSeries | None = None

    def for_target(self) -> Self:
        """Return a copy: which names have places is remembered, and when clients connected."""
        return type(self)(self._wall_clock)

    def applies(self, server: Server) -> bool:  # noqa: ARG002
        """Every server has clients, a Sentinel too."""
        return True

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        """Read the list; a line that makes no sense costs itself only."""
        if options.max_clients:
            connected = await _connected(server, commands)
            if connected is None or connected > options.max_clients:
                return [SKIPPED.sample(1.0)]
        text = as_text(await commands.execute("CLIENT", "LIST"))
        if text is None:
            return [SKIPPED.sample(0.0), UnreadableField("CLIENT LIST")]
        found: list[CollectorItem] = [SKIPPED.sample(0.0)]
        now, tally = self._wall_clock(), ClientAggregator()
        listing = PerClientSeries(now, self._listing, include_port=options.include_port) if options.per_client else None
        for number, client in enumerate(parse_client_list(text), start=1):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            if client is None:
                found.append(UnreadableField("CLIENT LIST/line"))
                continue
            tally.add(client)
            if listing is not None:
                listing.add(client)
        found += tally.samples(self._names, self._users, options.max_names, now)
        if listing is not None:
            found += listing.samples()
        self._listing = listing
        return found


async def _connected(server: Server, commands: Commands) -> int | None:
    """Return how many clients INFO says there are, None when it does not say. Raises TargetError when it is denied."""
    try:
        info = await read_info(server, commands)
    except (UnknownCommandError, EmptyReplyError):
        return None
    said = next((fields["connected_clients"] for fields in info.values() if "connected_clients" in fields), "")
    return int(said) if said.isdecimal() and said.isascii() and len(said) < 20 else None


COLLECTOR = ClientsCollector()
