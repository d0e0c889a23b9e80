"""The servers that Sentinels watch: the master and its replicas are targets whose names stay when the master moves.

    queue/master, queue/replica-1, queue/replica-2           the one master that is named in ``master``
    queue/cart/master, queue/cart/replica-1, …               several of them, or all
    queue/sentinel/10.0.0.1:26379                            the Sentinels too, with ``sentinels: true``

All Sentinels that are configured, and those that they know of, are asked in rounds; their messages only make the next
round come sooner, so a failover is counted once whether it was heard of, or asked for, or both. ``master`` decides
where a master is, ``names`` which replica has which name, ``outage`` how long clients were without a master.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from exporter.config import CanarySettings, SentinelSettings, SourceSettings, TargetSettings, parse_url
from exporter.discovery.base import DiscoveryError, Surroundings
from exporter.discovery.sentinel.master import Master
from exporter.discovery.sentinel.outage import Outage
from exporter.discovery.sentinel.published import Published
from exporter.discovery.sentinel.views import View
from exporter.discovery.sentinel.watcher import Watcher

#: Seconds that the others wait for Sentinels that do not answer, once most of them have.
GRACE = 0.25
#: Seconds between two looks at how the masters do: as often as they are probed; while one is missing; and between two
#: rounds of questions meanwhile.
CALM, TROUBLED, AGAIN = 1.0, 0.05, 1.0
#: Seconds after which nobody expects a missing master to be back in a moment.
LONG = 60.0
#: Numbers of replicas that stay when the settings of the source change.
RECALLED = range(1, 51)
#: Sentinels that are asked at most: configured ones always, further ones while there is room.
MOST = 25


class SentinelSource:
    """The targets of one Sentinel set."""

    def __init__(self, settings: SourceSettings, around: Surroundings) -> None:
        assert isinstance(settings.options, SentinelSettings)  # noqa: S101  # what the kind says
        self.settings = settings
        self._options = settings.options
        self._around = around
        self._watchers = {seed.address: self._watch(seed) for seed in settings.seeds}
        self._masters: dict[str, Master] = {}
        self._outages: dict[str, Outage] = {}
        self._published = Published(settings.name, around)
        self._looking: asyncio.Task[None] | None = None
        self._hinted = around.clock()

    async def refresh(self) -> Sequence[TargetSettings]:
        """Ask the Sentinels, and return the targets of all masters that were ever told of and are still watched.

        A set is not divided: the shard that owns it has all of it, and no other asks.
        """
        if not self._around.owner:
            return ()
        views = await self._ask()
        self._published.sentinels({one.address: one.up is True for one in self._watchers.values()})
        if not views:
            self._published.nobody_answers(self._masters)
            raise DiscoveryError(f"no Sentinel answers: {self._troubles()}")
        for name in self._names(views):
            self._hear(name, [view for view in views if name in view.masters])
        if not self._masters:
            known = sorted({name for view in views for name in view.names})
            raise DiscoveryError(
                f"the Sentinels do not watch {' or '.join(self._options.master) or 'anything'}"
                + (f": they watch {', '.join(known[:20])}" if known else "")
            )
        for name in self._options.master:
            if name not in self._masters:
                self._around.refuse("unknown", f"the Sentinels do not watch {name}")
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_after())
        await self._learn(views)
        return self._targets()

    async def aclose(self) -> None:
        """Ask nobody any more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.gather(*(watcher.aclose() for watcher in self._watchers.values()))
        self._published.close()

    def look(self) -> bool:
        """See how the masters do, count the time without one; return whether one is missing that may soon be back."""
        now, missing = self._around.clock(), False
        for name, master in self._masters.items():
            feeling = self._around.feeling(self._name(name, "master"))
            outage = self._outages[name]
            passed = outage.look(now, master.address, feeling)
            if feeling is not None:
                self._published.missing(name, passed)
            missing |= outage.since is not None and now - outage.since < LONG
        if missing and now - self._hinted >= AGAIN:
            self._hinted = now
            self._around.hint()
        return missing

    async def _look_after(self) -> None:
        calm = min(CALM, self.settings.template.probe.interval)
        while True:
            pause = TROUBLED if self.look() else calm
            await asyncio.sleep(pause)

    async def _ask(self) -> list[View]:
        """Ask all Sentinels at once, and return what each told, none twice (under another address)."""
        asked = {watcher.ask(): watcher for watcher in self._watchers.values()}
        pending = set(asked)
        while pending:
            answered = sum(watcher.up is True for task, watcher in asked.items() if task not in pending)
            patience = GRACE if 2 * answered > len(asked) else None
            done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
        views: dict[str, View] = {}
        for task, watcher in asked.items():
            view = watcher.view if task not in pending else None
            if view is not None:
                views.setdefault(view.id or watcher.address, view)
        return list(views.values())

    def _hear(self, name: str, views: Sequence[View]) -> None:
        now = self._around.clock()
        told = [view.masters[name] for view in views]
        master = self._masters.get(name)
        if master is None:
            master = Master(name, self._known_replicas(name))
            self._outages[name] = Outage()
        before, silent_since = master.address, master.silent_since
        moves = master.hear(told, len(self._watchers), now)
        if not master.address:
            return
        self._masters[name] = master
        if before and before != master.address:
            feeling = self._around.feeling(self._name(name, "master"))
            self._outages[name].moved(now, feeling, silent_since)
            self._published.log_move(name, before, master.address)
        self._published.master(master, moves)
        if any(view.denied for view in views):
            self._around.refuse("denied", f"the replicas of {name}: the user may not ask SENTINEL SLAVES")

    def _known_replicas(self, name: str) -> dict[int, str]:
        """Return the replicas that a source with other settings has named before this one, and that are still there."""
        feelings = {number: self._around.feeling(self._name(name, f"replica-{number}")) for number in RECALLED}
        return {number: feeling.address for number, feeling in feelings.items() if feeling is not None}

    def _names(self, views: Sequence[View]) -> Sequence[str]:
        """Return the masters to follow; one that most Sentinels watch no longer is forgotten, unless it is named."""
        if self._options.master:
            return self._options.master
        names = sorted({name for view in views for name in view.masters})
        if 2 * len(views) > len(self._watchers):
            for gone in self._masters.keys() - set(names):
                del self._masters[gone], self._outages[gone]
                self._published.forget(gone)
        return names

    async def _learn(self, views: Sequence[View]) -> None:
        """Ask, from the next round on, also the Sentinels that these know of; forget those that none knows any more.

        While no configured one answers, those that were learned are all that there is, and none is forgotten.
        """
        seeds = {seed.address: self._watchers[seed.address] for seed in self.settings.seeds}
        ours = {watcher.number for watcher in seeds.values()}
        known: set[str] = set()
        if "" not in ours:  # who does not tell its id may be one of those that the others tell of
            for told in (told for view in views for told in view.masters.values()):
                known |= {address for number, address in told.sentinels.items() if number not in ours}
        if any(watcher.up for watcher in seeds.values()):
            for address in self._watchers.keys() - seeds.keys() - known:
                await self._watchers.pop(address).aclose()
        for address in sorted(known - self._watchers.keys()):
            there, seed = parse_url(address).endpoint, self.settings.seeds[0]
            endpoint = replace(seed.endpoint, host=there.host, port=there.port)
            if len(self._watchers) < MOST and self._around.allowed(endpoint):
                self._watchers[address] = self._watch(seed.at(endpoint, address))

    def _watch(self, settings: TargetSettings) -> Watcher:
        return Watcher(self.settings.name, settings, self._around, self._options.master, self._heard)

    def _heard(self, master: str | None) -> None:
        if master is None or not self._options.master or master in self._options.master:
            self._around.hint()

    def _name(self, master: str, role: str) -> str:
        return "/".join([self.settings.name, *([] if len(self._options.master) == 1 else [master]), role])

    def _targets(self) -> list[TargetSettings]:
        template, whose = self.settings.template, {"sentinel": self.settings.name}
        targets = []
        for name in sorted(self._masters):
            master = self._masters[name]
            places = {"master": master.address}
            if self._options.replicas:
                places |= {f"replica-{number}": address for number, address in master.replicas.items()}
            for role, address in places.items():
                there = parse_url(address).endpoint
                endpoint = replace(template.endpoint, host=there.host, port=there.port)
                targets.append(template.at(endpoint, self._name(name, role), {**whose, "master": name}))
        if self._options.sentinels:
            for watcher in self._watchers.values():
                seed = watcher.settings.model_copy(update={"db": 0, "canary": CanarySettings()})
                targets.append(seed.at(seed.endpoint, f"{self.settings.name}/sentinel/{watcher.address}", whose))
        return targets

    def _troubles(self) -> str:
        return ", ".join(f"{one.address}: {one.trouble or 'no answer in time'}" for one in self._watchers.values())
