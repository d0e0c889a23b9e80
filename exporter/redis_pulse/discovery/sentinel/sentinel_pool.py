"""All Sentinels of a set: those that are configured, and those that these know of, asked together."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from redis_pulse.config import SentinelSettings, SourceSettings, TargetSettings, parse_url
from redis_pulse.discovery.base import SourceContext
from redis_pulse.discovery.sentinel.replies import SentinelReply
from redis_pulse.discovery.sentinel.sentinel_client import SentinelClient

#: Seconds that the others wait for Sentinels that do not answer, once most of them have.
GRACE = 0.25
#: Sentinels that are asked at most: configured ones always, further ones while there is room.
MOST = 25


class SentinelPool:
    """Their watchers, in the order of the configuration, then as they were met."""

    def __init__(self, settings: SourceSettings, options: SentinelSettings, around: SourceContext) -> None:
        self._settings = settings
        self._names = options.master
        self._context = around
        self._clients = {seed.address: self._watch(seed) for seed in settings.seeds}
        self._seeds = dict(self._clients)

    def __iter__(self) -> Iterator[SentinelClient]:
        return iter(self._clients.values())

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def up(self) -> Mapping[str, bool]:
        """Whether each that was ever asked answered when it was asked last."""
        return {address: one.up for address, one in self._clients.items() if one.up is not None}

    @property
    def errors(self) -> str:
        """Why each does not answer."""
        return ", ".join(f"{one.address}: {one.error or 'no answer in time'}" for one in self)

    async def ask(self) -> list[SentinelReply]:
        """Ask all at once, and return what each told, none twice (under another address)."""
        asked = {watcher.ask(): watcher for watcher in self}
        pending = set(asked)
        while pending:
            answered = sum(watcher.up is True for task, watcher in asked.items() if task not in pending)
            patience = GRACE if 2 * answered > len(asked) else None
            done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
        views: dict[str, SentinelReply] = {}
        for task, watcher in asked.items():
            if task not in pending and (view := task.result()) is not None:
                views.setdefault(view.id or watcher.address, view)
        return list(views.values())

    async def update_members(self, views: Sequence[SentinelReply], masters: Mapping[str, str]) -> None:
        """Ask, from the next round on, also those that these know of; forget those that none knows any more.

        Only those count that name the masters (name → address) that we take for right: others may watch another set.
        None is forgotten while some name others, as in the midst of a failover, nor while no configured one answers:
        those that were learned are all that there is then.
        """
        told = [(name, one) for view in views for name, one in view.masters.items()]
        agreeing = [one for name, one in told if masters.get(name) == one.address]
        ours = {watcher.run_id for watcher in self._seeds.values()}
        known: set[str] = set()
        if "" not in ours:  # who does not tell its id may be one of those that the others tell of
            known = {address for one in agreeing for number, address in one.sentinels.items() if number not in ours}
        if len(agreeing) == len(told) and any(watcher.up for watcher in self._seeds.values()):
            for address in self._clients.keys() - self._seeds.keys() - known:
                await self._clients.pop(address).aclose()
        for address in sorted(known - self._clients.keys()):
            there, seed = parse_url(address).endpoint, self._settings.seeds[0]
            endpoint = replace(seed.endpoint, host=there.host, port=there.port)
            if len(self) < MOST and self._context.allowed(endpoint):
                self._clients[address] = self._watch(seed.at(endpoint, address))

    async def aclose(self) -> None:
        """Ask nobody any more."""
        await asyncio.gather(*(watcher.aclose() for watcher in self))

    def _watch(self, settings: TargetSettings) -> SentinelClient:
        return SentinelClient(self._settings.name, settings, self._context, self._names, self._on_message)

    def _on_message(self, master: str | None) -> None:
        if master is None or not self._names or master in self._names:
            self._context.request_refresh()
