"""The servers that Sentinels watch: the master and its replicas are targets whose names stay when the master moves.

    queue/master, queue/replica-1, queue/replica-2           the one master that is named in ``master``
    queue/cart/master, queue/cart/replica-1, …               several of them, or all
    queue/sentinel/10.0.0.1:26379                            the Sentinels too, with ``sentinels: true``

All Sentinels that are configured, and those that they know of, are asked in rounds; their messages only make the next
round come sooner, so a failover is counted once whether it was heard of, or asked for, or both (``everyone``).
``master`` decides where a master is, ``names`` which replica has which name, ``outage`` how long there was no master.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from redis_pulse.config import CanarySettings, SentinelSettings, SourceSettings, TargetSettings, parse_url
from redis_pulse.discovery.base import DiscoveryError, Surroundings
from redis_pulse.discovery.sentinel.master import Master
from redis_pulse.discovery.sentinel.metrics import Published
from redis_pulse.discovery.sentinel.outage import Outage
from redis_pulse.discovery.sentinel.replies import View
from redis_pulse.discovery.sentinel.sentinel_pool import Everyone

#: Seconds between two looks at how the masters do: as often as they are probed; while one is missing; and between two
#: rounds of questions meanwhile.
CALM, TROUBLED, AGAIN = 1.0, 0.05, 1.0
#: Seconds after which nobody expects a missing master to be back in a moment.
LONG = 60.0


class SentinelSource:
    """The targets of one Sentinel set."""

    def __init__(self, settings: SourceSettings, around: Surroundings) -> None:
        assert isinstance(settings.options, SentinelSettings)  # noqa: S101  # what the kind says
        self.settings = settings
        self._options = settings.options
        self._around = around
        self._sentinels = Everyone(settings, settings.options, around)
        self._masters: dict[str, Master] = {}
        self._outages: dict[str, Outage] = {}
        self._published = Published(settings.name, around)
        self._moved = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._hinted = around.clock()

    async def refresh(self) -> Sequence[TargetSettings]:
        """Ask the Sentinels, and return the targets of all masters that were ever told of and are still watched.

        A set is not divided: the shard that owns it has all of it, and no other asks.
        """
        if not self._around.owner:
            return ()
        views = await self._sentinels.ask()
        self._published.sentinels(self._sentinels.up)
        if not views:
            self._published.nobody_answers(self._masters)
            raise DiscoveryError(f"no Sentinel answers: {self._sentinels.troubles}")
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
        await self._sentinels.learn(views, {name: master.address for name, master in self._masters.items()})
        return self._targets()

    async def aclose(self) -> None:
        """Ask nobody any more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._sentinels.aclose()
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
            self._moved.clear()
            pause = TROUBLED if self.look() else calm
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._moved.wait()

    def _hear(self, name: str, views: Sequence[View]) -> None:
        now = self._around.clock()
        told = [view.masters[name] for view in views]
        master = self._masters.get(name)
        if master is None:
            master = Master(name, self._known_replicas(name))
            self._outages[name] = Outage()
        before, silent_since = master.address, master.silent_since
        moves = master.hear(told, len(self._sentinels), now)
        if not master.address:
            return
        self._masters[name] = master
        if before and before != master.address:
            feeling = self._around.feeling(self._name(name, "master"))
            self._outages[name].moved(now, feeling, silent_since)
            self._moved.set()  # look at once, and often
            self._published.log_move(name, before, master.address)
        self._published.master(master, moves)
        if any(view.denied for view in views):
            self._around.refuse("denied", f"the replicas of {name}: the user may not ask SENTINEL SLAVES")

    def _known_replicas(self, name: str) -> dict[int, str]:
        """Return the replicas that a source with other settings has named before this one, by number."""
        beginning = self._name(name, "replica-")
        named = {target.name.removeprefix(beginning): target.address for target in self._around.known()}
        return {int(number): address for number, address in named.items() if number.isdecimal()}

    def _names(self, views: Sequence[View]) -> Sequence[str]:
        """Return the masters to follow; one that most Sentinels watch no longer is forgotten, unless it is named."""
        if self._options.master:
            return self._options.master
        names = sorted({name for view in views for name in view.masters})
        if 2 * len(views) > len(self._sentinels):
            for gone in self._masters.keys() - set(names):
                del self._masters[gone], self._outages[gone]
                self._published.forget(gone)
        return names

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
                targets.append(template.at(endpoint, self._name(name, role), {**whose, "master": name}).grouped())
        if self._options.sentinels:
            for watcher in self._sentinels:
                seed = watcher.settings.model_copy(update={"db": 0, "canary": CanarySettings()})
                targets.append(seed.at(seed.endpoint, f"{self.settings.name}/sentinel/{watcher.address}", whose))
        return targets
