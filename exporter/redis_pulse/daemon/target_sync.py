"""Which targets there are: those that are declared and those that are found, handed to the fleet."""

import asyncio
from collections.abc import Callable, Sequence
from time import time

from redis_pulse.config import LoadedConfig, Shard, SourceSettings, TargetSettings
from redis_pulse.config.sharding import owns
from redis_pulse.daemon.target_manager import TargetDiff, TargetManager
from redis_pulse.discovery import DiscoveryManager, ProbeStatus, SourceContext
from redis_pulse.scheduling import Scheduler
from redis_pulse.server_info import Target
from redis_pulse.telemetry import ExporterMetrics

DISCOVER = "discover"


class TargetSync:
    """Schedules the sources, and applies to the fleet what they find beside the declared targets."""

    def __init__(
        self,
        fleet: TargetManager,
        instruments: ExporterMetrics,
        schedule: Scheduler,
        *,
        clock: Callable[[], float],
        shard: Shard | None = None,
    ) -> None:
        self.targets = fleet
        self._metrics = instruments.discovery
        self._scheduler = schedule
        self._clock = clock
        self._declared: Sequence[TargetSettings] = ()
        self._collectors: set[str] = set()
        self._shard = shard
        if shard is not None:
            self._metrics.shard.labels(str(shard.index), str(shard.count)).set(1)
        self._applying = asyncio.Lock()
        self._discovery = DiscoveryManager(
            instruments.discovery, self._source_context, changed=self._changed, wall=time
        )
        #: told of every change of the targets
        self.on_change: Callable[[TargetDiff], None] = lambda _change: None

    @property
    def settled(self) -> bool:
        """Whether every source was asked once, whatever came of it."""
        return self._discovery.settled

    async def apply(self, loaded: LoadedConfig) -> TargetDiff:
        """Take over a configuration: its targets at once, those that are to be found as soon as they are."""
        come, gone = await self._discovery.apply(loaded.sources, loaded.settings.discovery)
        for key in gone:
            await self._scheduler.cancel(DISCOVER, key)
        self._declared = loaded.targets
        self._collectors = {source.name for source in loaded.sources if source.kind == "sentinel"}
        change = await self._apply()
        for source in come:
            self._schedule_source(source)
        return change

    async def stop(self) -> None:
        """Close every source."""
        await self._discovery.stop()

    def _schedule_source(self, source: SourceSettings) -> None:
        async def refresh(_due: float) -> None:
            await self._discovery.refresh(source.key)

        self._scheduler.add_async_job(
            source.options.interval, DISCOVER, source.key, refresh, lambda _missed: None, now=True
        )

    async def _changed(self) -> None:
        await self._apply()

    async def _apply(self) -> TargetDiff:
        async with self._applying:
            change = await self.targets.apply(self._ours())
        if change.removed or change.added:
            self.on_change(change)
        return change

    def _ours(self) -> list[Target]:
        everything = self._discovery.targets(self._declared)
        return [Target.of(target) for target in everything if owns(self._shard_key(target), self._shard)]

    def _shard_key(self, target: TargetSettings) -> str:
        """Return the name by which a target goes to a shard: its own, or that of its Sentinel set.

        Who is ``queue/replica-2`` depends on what came and went since a shard first asked, so a set is not divided.
        """
        whose = target.labels.get("sentinel", "")
        return whose if whose in self._collectors and target.name.startswith(f"{whose}/") else target.name

    def _source_context(
        self, settings: SourceSettings, hint: Callable[[], None], refuse: Callable[[str, str], None]
    ) -> SourceContext:
        return SourceContext(
            self._metrics,
            self._clock,
            self.targets.connect_limiter,
            request_refresh=hint,
            reject=refuse,
            probe_status=self._probe_status,
            is_owner=owns(settings.name, self._shard),
        )

    def _probe_status(self, name: str) -> ProbeStatus | None:
        if (watch := self.targets.get(name)) is None:
            return None
        prober = watch.prober
        return ProbeStatus(
            watch.target.address,
            up=prober.last is not None and prober.last.error is None,
            role=watch.poller.server.role,
            is_tried=prober.last is not None,
            answered=prober.silence.answered,
            silent_since=prober.silence.since(is_waiting=prober.in_flight > 0),
        )
