"""Keep the monitored targets in sync with the configuration and with what discovery finds."""

import asyncio
from collections.abc import Callable, Sequence
from time import time

from redis_pulse.config import LoadedConfig, Shard, SourceSettings, TargetSettings
from redis_pulse.config.sharding import owns
from redis_pulse.daemon.target_manager import TargetDiff, TargetManager
from redis_pulse.discovery import DiscoveryManager, ProbeStatus, SourceContext
from redis_pulse.scheduling import Scheduler
from redis_pulse.telemetry import ExporterMetrics

DISCOVER = "discover"


class TargetSync:
    """Schedules the discovery sources. Applies the declared and the discovered targets of this shard."""

    def __init__(
        self,
        targets: TargetManager,
        metrics: ExporterMetrics,
        scheduler: Scheduler,
        *,
        clock: Callable[[], float],
        shard: Shard | None = None,
    ) -> None:
        self.targets = targets
        self._metrics = metrics.discovery
        self._scheduler = scheduler
        self._clock = clock
        self._declared: Sequence[TargetSettings] = ()
        self._sentinel_sources: set[str] = set()
        self._shard = shard
        if shard is not None:
            self._metrics.shard.labels(str(shard.index), str(shard.count)).set(1)
        self._apply_lock = asyncio.Lock()
        self._discovery = DiscoveryManager(
            metrics.discovery, self._source_context, on_change=self._on_discovery_change, wall_clock=time
        )
        #: called after every change of the targets
        self.on_change: Callable[[TargetDiff], None] = lambda _change: None

    @property
    def settled(self) -> bool:
        """Whether every source was queried once, with success or without."""
        return self._discovery.settled

    async def apply(self, loaded: LoadedConfig) -> TargetDiff:
        """Apply a configuration: its declared targets at once, the others as soon as their sources respond."""
        added, removed = await self._discovery.apply(loaded.sources, loaded.settings.discovery)
        for key in removed:
            await self._scheduler.cancel(DISCOVER, key)
        self._declared = loaded.targets
        self._sentinel_sources = {source.name for source in loaded.sources if source.kind == "sentinel"}
        change = await self._apply()
        for source in added:
            self._schedule_source(source)
        return change

    async def stop(self) -> None:
        """Close all sources."""
        await self._discovery.stop()

    def _schedule_source(self, source: SourceSettings) -> None:
        async def refresh(_due: float) -> None:
            await self._discovery.refresh(source.key)

        self._scheduler.add_async_job(
            source.options.interval, DISCOVER, source.key, refresh, lambda _missed: None, now=True
        )

    async def _on_discovery_change(self) -> None:
        await self._apply()

    async def _apply(self) -> TargetDiff:
        async with self._apply_lock:
            change = await self.targets.apply(self._targets_of_this_shard())
        if change.removed or change.added:
            self.on_change(change)
        return change

    def _targets_of_this_shard(self) -> list[TargetSettings]:
        all_targets = self._discovery.targets(self._declared)
        return [target for target in all_targets if owns(self._shard_key(target), self._shard)]

    def _shard_key(self, target: TargetSettings) -> str:
        """Return the name that assigns a target to a shard: its own, or that of its Sentinel set.

        A Sentinel set is not divided between shards, because they number its replicas differently. The numbers depend
        on the replicas that a shard has seen since its start.
        """
        source = target.labels.get("sentinel", "")
        is_in_set = source in self._sentinel_sources and target.name.startswith(f"{source}/")
        return source if is_in_set else target.name

    def _source_context(
        self, settings: SourceSettings, request_refresh: Callable[[], None], reject: Callable[[str, str], None]
    ) -> SourceContext:
        return SourceContext(
            self._metrics,
            self._clock,
            self.targets.connect_limiter,
            request_refresh=request_refresh,
            reject=reject,
            probe_status=self._probe_status,
            is_owner=owns(settings.name, self._shard),
        )

    def _probe_status(self, name: str) -> ProbeStatus | None:
        if (monitored := self.targets.get(name)) is None:
            return None
        prober = monitored.prober
        return ProbeStatus(
            monitored.target.address,
            up=prober.last is not None and prober.last.error is None,
            role=monitored.poller.server.role,
            was_probed=prober.last is not None,
            last_reply_at=prober.downtime.last_success,
            silent_since=prober.downtime.since(is_waiting=prober.in_flight > 0),
        )
