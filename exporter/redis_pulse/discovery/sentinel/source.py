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
from redis_pulse.discovery.base import DiscoveryError, SourceContext
from redis_pulse.discovery.sentinel.master import SentinelMaster
from redis_pulse.discovery.sentinel.metrics import SentinelMetrics
from redis_pulse.discovery.sentinel.outage import MasterOutage
from redis_pulse.discovery.sentinel.replies import SentinelReply
from redis_pulse.discovery.sentinel.sentinel_pool import SentinelPool

#: Seconds between two looks at how the masters do: as often as they are probed; while one is missing; and between two
#: rounds of questions meanwhile.
CHECK_INTERVAL, OUTAGE_CHECK_INTERVAL, REFRESH_INTERVAL = 1.0, 0.05, 1.0
#: Seconds after which nobody expects a missing master to be back in a moment.
MAX_FAST_CHECK = 60.0


class SentinelSource:
    """The targets of one Sentinel set."""

    def __init__(self, settings: SourceSettings, around: SourceContext) -> None:
        assert isinstance(settings.options, SentinelSettings)  # noqa: S101  # what the kind says
        self.settings = settings
        self._options = settings.options
        self._context = around
        self._pool = SentinelPool(settings, settings.options, around)
        self._masters: dict[str, SentinelMaster] = {}
        self._outages: dict[str, MasterOutage] = {}
        self._metrics = SentinelMetrics(settings.name, around)
        self._moved = asyncio.Event()
        self._check_task: asyncio.Task[None] | None = None
        self._refresh_requested = around.clock()

    async def refresh(self) -> Sequence[TargetSettings]:
        """Ask the Sentinels, and return the targets of all masters that were ever told of and are still watched.

        A set is not divided: the shard that owns it has all of it, and no other asks.
        """
        if not self._context.is_owner:
            return ()
        views = await self._pool.ask()
        self._metrics.sentinels(self._pool.up)
        if not views:
            self._metrics.all_unreachable(self._masters)
            raise DiscoveryError(f"no Sentinel answers: {self._pool.errors}")
        for name in self._names(views):
            self._update_master(name, [view for view in views if name in view.masters])
        if not self._masters:
            known = sorted({name for view in views for name in view.names})
            raise DiscoveryError(
                f"the Sentinels do not watch {' or '.join(self._options.master) or 'anything'}"
                + (f": they watch {', '.join(known[:20])}" if known else "")
            )
        for name in self._options.master:
            if name not in self._masters:
                self._context.reject("unknown", f"the Sentinels do not watch {name}")
        if self._check_task is None:
            self._check_task = asyncio.get_running_loop().create_task(self._check_loop())
        await self._pool.update_members(views, {name: master.address for name, master in self._masters.items()})
        return self._targets()

    async def aclose(self) -> None:
        """Ask nobody any more."""
        if self._check_task is not None:
            self._check_task.cancel()
            await asyncio.gather(self._check_task, return_exceptions=True)
        await self._pool.aclose()
        self._metrics.close()

    def check_masters(self) -> bool:
        """See how the masters do, count the time without one; return whether one is missing that may soon be back."""
        now, missing = self._context.clock(), False
        for name, master in self._masters.items():
            feeling = self._context.probe_status(self._name(name, "master"))
            outage = self._outages[name]
            passed = outage.update(now, master.address, feeling)
            if feeling is not None:
                self._metrics.missing(name, passed)
            missing |= outage.since is not None and now - outage.since < MAX_FAST_CHECK
        if missing and now - self._refresh_requested >= REFRESH_INTERVAL:
            self._refresh_requested = now
            self._context.request_refresh()
        return missing

    async def _check_loop(self) -> None:
        calm = min(CHECK_INTERVAL, self.settings.template.probe.interval)
        while True:
            self._moved.clear()
            pause = OUTAGE_CHECK_INTERVAL if self.check_masters() else calm
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._moved.wait()

    def _update_master(self, name: str, views: Sequence[SentinelReply]) -> None:
        now = self._context.clock()
        told = [view.masters[name] for view in views]
        master = self._masters.get(name)
        if master is None:
            master = SentinelMaster(name, self._known_replicas(name))
            self._outages[name] = MasterOutage()
        before, silent_since = master.address, master.silent_since
        moves = master.update(told, len(self._pool), now)
        if not master.address:
            return
        self._masters[name] = master
        if before and before != master.address:
            feeling = self._context.probe_status(self._name(name, "master"))
            self._outages[name].moved(now, feeling, silent_since)
            self._moved.set()  # look at once, and often
            self._metrics.log_move(name, before, master.address)
        self._metrics.master(master, moves)
        if any(view.denied for view in views):
            self._context.reject("denied", f"the replicas of {name}: the user may not ask SENTINEL SLAVES")

    def _known_replicas(self, name: str) -> dict[int, str]:
        """Return the replicas that a source with other settings has named before this one, by number."""
        beginning = self._name(name, "replica-")
        named = {target.name.removeprefix(beginning): target.address for target in self._context.known()}
        return {int(number): address for number, address in named.items() if number.isdecimal()}

    def _names(self, views: Sequence[SentinelReply]) -> Sequence[str]:
        """Return the masters to follow; one that most Sentinels watch no longer is forgotten, unless it is named."""
        if self._options.master:
            return self._options.master
        names = sorted({name for view in views for name in view.masters})
        if 2 * len(views) > len(self._pool):
            for gone in self._masters.keys() - set(names):
                del self._masters[gone], self._outages[gone]
                self._metrics.forget(gone)
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
            for watcher in self._pool:
                seed = watcher.settings.model_copy(update={"db": 0, "canary": CanarySettings()})
                targets.append(seed.at(seed.endpoint, f"{self.settings.name}/sentinel/{watcher.address}", whose))
        return targets
