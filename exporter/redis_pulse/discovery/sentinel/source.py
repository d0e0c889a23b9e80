"""The servers of a Sentinel set as targets; their names stay when a master moves.

    queue/master, queue/replica-1, queue/replica-2           one master, named in ``master``
    queue/cart/master, queue/cart/replica-1, …               several masters, or all
    queue/sentinel/10.0.0.1:26379                            the Sentinels too, with ``sentinels: true``

Each refresh queries all Sentinels (``sentinel_pool``). A message from a Sentinel only makes the next refresh earlier. A
failover therefore counts once, whether a message, a refresh or both report it. ``master`` decides where a master is and
which replica has which number. ``outage`` measures the time without a master.

Each master has one of these states:

    ok ──probe fails──→ missing ──address changes──→ moved ──new server serves──→ accepted, which is ok again

    state     event                                                    next state
    ok        the probe of the master fails                            missing
    ok        the Sentinels report another address                     moved
    missing   the Sentinels report another address                     moved
    missing   the same server serves as master again                   ok
    moved     the new server serves as master (accepted)               ok; the duration of the failover is published
    any       this exporter stops watching the target                  ok; nothing is published

Two loops drive them. The refresh loop of the manager changes addresses. The check loop of this source reads the probes
every ``CHECK_INTERVAL``. After a move it checks at once. While a master is missing or moved, it checks every
``OUTAGE_CHECK_INTERVAL``, and it requests a refresh every ``REFRESH_INTERVAL``. This lasts for ``MAX_FAST_CHECK``.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from redis_pulse.config import CanarySettings, SentinelSettings, SourceSettings, TargetSettings, parse_url
from redis_pulse.discovery.base import DiscoveryError, SourceContext
from redis_pulse.discovery.sentinel.master import MasterUpdate, SentinelMaster
from redis_pulse.discovery.sentinel.metrics import SentinelMetrics
from redis_pulse.discovery.sentinel.outage import MasterOutage
from redis_pulse.discovery.sentinel.replies import SentinelReply, host_of
from redis_pulse.discovery.sentinel.sentinel_pool import SentinelPool

#: Seconds between two checks of the masters, unless the probe interval is shorter.
CHECK_INTERVAL = 1.0
#: Seconds between two checks while a master is missing.
OUTAGE_CHECK_INTERVAL = 0.05
#: Seconds between two requested refreshes while a master is missing.
REFRESH_INTERVAL = 1.0
#: Seconds after which a missing master is unlikely to return in a moment, and the checks become slow again.
MAX_FAST_CHECK = 60.0
#: Limit for the names in one message.
MAX_REPORTED_NAMES = 20


@dataclass(slots=True)
class TrackedMaster:
    """One master of the set."""

    election: SentinelMaster
    #: the result of the last election
    state: MasterUpdate
    outage: MasterOutage = field(default_factory=MasterOutage)


class SentinelSource:
    """The targets of one Sentinel set."""

    def __init__(self, settings: SourceSettings, options: SentinelSettings, context: SourceContext) -> None:
        self.settings = settings
        self._options = options
        self._context = context
        self._pool = SentinelPool(settings, options, context)
        self._masters: dict[str, TrackedMaster] = {}
        self._metrics = SentinelMetrics(settings.name, context.metrics)
        self._has_moved = asyncio.Event()
        self._check_task: asyncio.Task[None] | None = None
        self._refresh_requested_at = context.clock()

    # -- the refresh loop: where the masters are

    async def refresh(self) -> Sequence[TargetSettings]:
        """Query the Sentinels, and return the targets of all masters that they have reported and still watch.

        A set is not divided among shards: one shard owns all of it, and the others do not query. Raises DiscoveryError
        if no Sentinel replies, or if the Sentinels watch none of the masters.
        """
        if not self._context.is_owner:
            return ()
        replies = await self._pool.query()
        self._metrics.update_sentinels(self._pool.up)
        if not replies:
            self._metrics.all_unreachable(self._masters)
            raise DiscoveryError(f"no Sentinel replies: {self._pool.errors}")
        await self._context.learn_announced({host_of(address) for reply in replies for address in reply.addresses()})
        if not self._options.master:
            self._forget_unwatched(replies)
        for name in self._followed_names(replies):
            self._update_master(name, replies)
        self._report_unknown_masters(replies)
        if self._check_task is None:
            self._check_task = asyncio.get_running_loop().create_task(self._check_loop())
        await self._pool.update_members(replies, {name: one.state.address for name, one in self._masters.items()})
        return self._targets()

    async def aclose(self) -> None:
        """Stop all queries and checks, and close the connections."""
        if self._check_task is not None:
            self._check_task.cancel()
            await asyncio.gather(self._check_task, return_exceptions=True)
        await self._pool.aclose()
        self._metrics.close()

    def _followed_names(self, replies: Sequence[SentinelReply]) -> Sequence[str]:
        """Return the names of the masters to follow: the configured ones, or else all that a Sentinel watches."""
        return self._options.master or sorted({name for reply in replies for name in reply.masters})

    def _forget_unwatched(self, replies: Sequence[SentinelReply]) -> None:
        """Forget the masters that no Sentinel watches any more, if most Sentinels have replied."""
        if 2 * len(replies) <= len(self._pool):
            return
        watched = {name for reply in replies for name in reply.masters}
        for name in self._masters.keys() - watched:
            del self._masters[name]
            self._metrics.forget(name)

    def _update_master(self, name: str, replies: Sequence[SentinelReply]) -> None:
        reporting = [reply for reply in replies if name in reply.masters]
        reports = [reply.masters[name] for reply in reporting]
        now = self._context.clock()
        tracked = self._masters.get(name)
        election = SentinelMaster(self._known_replicas(name)) if tracked is None else tracked.election
        state = election.update(reports, len(self._pool), now)
        if state is None:
            return
        if tracked is None:
            self._masters[name] = TrackedMaster(election, state)
        else:
            self._record_move(name, tracked, state.address, now)
            tracked.state = state
        self._metrics.update_master(name, state)
        if any(reply.replicas_denied for reply in reporting):
            self._context.reject("denied", f"the replicas of {name}: the user may not run SENTINEL SLAVES")

    def _record_move(self, name: str, tracked: TrackedMaster, address: str, now: float) -> None:
        """Begin to measure a failover if a master has another address than before."""
        before = tracked.state
        if before.address == address:
            return
        status = self._context.probe_status(self._target_name(name, "master"))
        tracked.outage.master_moved(now, status, before.silent_since)
        self._has_moved.set()
        self._metrics.log_move(name, before.address, address)

    def _known_replicas(self, name: str) -> dict[int, str]:
        """Return the replicas by number that a source with other settings named before this one."""
        prefix = self._target_name(name, "replica-")
        addresses = {target.name.removeprefix(prefix): target.address for target in self._context.known_targets()}
        return {int(number): address for number, address in addresses.items() if number.isdecimal()}

    def _report_unknown_masters(self, replies: Sequence[SentinelReply]) -> None:
        """Reject the configured masters that no Sentinel watches. Raises DiscoveryError if no master is known."""
        if not self._masters:
            wanted = " or ".join(self._options.master) or "any master"
            watched = sorted({name for reply in replies for name in reply.names})
            hint = f": they watch {', '.join(watched[:MAX_REPORTED_NAMES])}" if watched else ""
            raise DiscoveryError(f"the Sentinels do not watch {wanted}{hint}")
        for name in self._options.master:
            if name not in self._masters:
                self._context.reject("unknown", f"the Sentinels do not watch {name}")

    # -- the check loop: whether the masters serve

    async def _check_loop(self) -> None:
        normal_interval = min(CHECK_INTERVAL, self.settings.template.probe.interval)
        while True:
            self._has_moved.clear()
            interval = OUTAGE_CHECK_INTERVAL if self.check_masters() else normal_interval
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._has_moved.wait()

    def check_masters(self) -> bool:
        """Read the probes of the masters, and count the time without one; return whether the next check is urgent.

        It is urgent while a master is missing, but only for the first ``MAX_FAST_CHECK`` seconds.
        """
        now, is_urgent = self._context.clock(), False
        for name, tracked in self._masters.items():
            status = self._context.probe_status(self._target_name(name, "master"))
            outage = tracked.outage
            delta = outage.update(now, tracked.state.address, status)
            if status is not None:
                self._metrics.add_outage(name, delta)
            is_urgent |= outage.since is not None and now - outage.since < MAX_FAST_CHECK
        if is_urgent and now - self._refresh_requested_at >= REFRESH_INTERVAL:
            self._refresh_requested_at = now
            self._context.request_refresh()
        return is_urgent

    # -- targets

    def _target_name(self, master: str, role: str) -> str:
        """Return the name of a target; it contains the name of the master unless exactly one is configured."""
        return "/".join([self.settings.name, *([] if len(self._options.master) == 1 else [master]), role])

    def _targets(self) -> list[TargetSettings]:
        labels = {"sentinel": self.settings.name}
        targets = []
        for master in sorted(self._masters):
            state = self._masters[master].state
            addresses = {"master": state.address}
            if self._options.replicas:
                addresses |= {f"replica-{number}": address for number, address in state.replicas.items()}
            targets += [self._target(master, role, address, labels) for role, address in addresses.items()]
        if self._options.sentinels:
            for client in self._pool:
                seed = client.settings.model_copy(update={"db": 0, "canary": CanarySettings()})
                targets.append(seed.at(seed.endpoint, f"{self.settings.name}/sentinel/{client.address}", labels))
        return targets

    def _target(self, master: str, role: str, address: str, labels: dict[str, str]) -> TargetSettings:
        template, url = self.settings.template, parse_url(address)
        endpoint = replace(template.endpoint, host=url.endpoint.host, port=url.endpoint.port)
        return template.at(endpoint, self._target_name(master, role), {**labels, "master": master}).grouped()
