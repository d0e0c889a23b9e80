"""Query all Sentinels of a set together: the configured ones, and those that these report."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from redis_pulse.config import SentinelSettings, SourceSettings, TargetSettings, parse_url
from redis_pulse.discovery.announced import NOT_NEAR
from redis_pulse.discovery.base import SourceContext
from redis_pulse.discovery.sentinel.replies import MasterReport, SentinelReply
from redis_pulse.discovery.sentinel.sentinel_client import SentinelClient

#: Seconds to wait for the remaining Sentinels once most of them have replied.
STRAGGLER_GRACE = 0.25
#: Limit for the Sentinels in a pool. The pool always contains the configured ones, and others up to this limit.
MAX_SENTINELS = 25


class SentinelPool:
    """The clients of the Sentinels: first the configured ones in order, then the others in the order of discovery."""

    def __init__(self, settings: SourceSettings, options: SentinelSettings, context: SourceContext) -> None:
        self._settings = settings
        self._master_names = options.master
        self._context = context
        self._clients = {seed.address: self._make_client(seed) for seed in settings.seeds}
        self._seeds = dict(self._clients)

    def __iter__(self) -> Iterator[SentinelClient]:
        return iter(self._clients.values())

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def up(self) -> Mapping[str, bool]:
        """Whether each Sentinel replied to its last query, by address; without those that were never queried."""
        return {address: client.up for address, client in self._clients.items() if client.up is not None}

    @property
    def errors(self) -> str:
        """Why each Sentinel does not reply."""
        return ", ".join(f"{client.address}: {client.error or 'no answer in time'}" for client in self)

    async def query(self) -> list[SentinelReply]:
        """Query all Sentinels at once; return one reply per Sentinel, even if it has two addresses in the pool."""
        clients = {client.query(): client for client in self}
        pending = set(clients)
        while pending:
            up = sum(client.up is True for task, client in clients.items() if task not in pending)
            timeout = STRAGGLER_GRACE if 2 * up > len(clients) else None
            done, pending = await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
        replies: dict[str, SentinelReply] = {}
        for task, client in clients.items():
            if task not in pending and (reply := task.result()) is not None:
                replies.setdefault(reply.run_id or client.address, reply)
        return list(replies.values())

    async def update_members(self, replies: Sequence[SentinelReply], masters: Mapping[str, str]) -> None:
        """Add the Sentinels that the replies report, and drop those that no reply reports any more.

        ``masters`` are the elected addresses by name. Only reports with the elected address count, because other
        Sentinels may watch another set. The pool drops no Sentinel in two cases:

        - A report has another address, as during a failover.
        - No configured Sentinel replies. Then the pool can only rely on the others.
        """
        reports = [(name, report) for reply in replies for name, report in reply.masters.items()]
        agreeing = [report for name, report in reports if masters.get(name) == report.address]
        known = self._known_addresses(agreeing)
        if len(agreeing) == len(reports) and any(client.up for client in self._seeds.values()):
            await self._drop_forgotten(known)
        self._add_new(known)

    async def aclose(self) -> None:
        """Close all clients."""
        await asyncio.gather(*(client.aclose() for client in self))

    def _known_addresses(self, reports: Sequence[MasterReport]) -> set[str]:
        """Return the addresses of the Sentinels in these reports, without the configured Sentinels.

        The result is empty if a configured Sentinel does not report its run id. It may be one of those in the reports,
        and would then have two votes.
        """
        seed_ids = {client.run_id for client in self._seeds.values()}
        if "" in seed_ids:
            return set()
        return {address for report in reports for run_id, address in report.sentinels.items() if run_id not in seed_ids}

    async def _drop_forgotten(self, known: set[str]) -> None:
        for address in self._clients.keys() - self._seeds.keys() - known:
            await self._clients.pop(address).aclose()

    def _add_new(self, known: set[str]) -> None:
        seed = self._settings.seeds[0]
        for address in sorted(known - self._clients.keys()):
            url = parse_url(address)
            endpoint = replace(seed.endpoint, host=url.endpoint.host, port=url.endpoint.port)
            if not self._context.is_allowed(endpoint):
                self._context.reject("not_allowed", f"the Sentinel {address} {NOT_NEAR}")
            elif len(self) < MAX_SENTINELS:
                self._clients[address] = self._make_client(seed.at(endpoint, address))

    def _make_client(self, settings: TargetSettings) -> SentinelClient:
        return SentinelClient(self._settings.name, settings, self._context, self._master_names, self._on_message)

    def _on_message(self, master: str | None) -> None:
        if master is None or not self._master_names or master in self._master_names:
            self._context.request_refresh()
