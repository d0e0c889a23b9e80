"""Keep the monitored targets in sync with the configuration and with what discovery finds."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import time

from redis_pulse import log
from redis_pulse.config import LoadedConfig, Shard, SourceSettings, TargetSettings
from redis_pulse.config.sharding import owns
from redis_pulse.daemon.target_manager import TargetDiff, TargetManager
from redis_pulse.discovery import AdoptedTargets, DiscoveryManager, ProbeStatus, Reject, SourceContext, SourceReport
from redis_pulse.scheduling import Scheduler
from redis_pulse.telemetry import ExporterMetrics

DISCOVER = "discover"
#: Names of targets in one line of the log.
MAX_LOGGED = 20


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
        self._exporter_metrics = metrics
        self._metrics = metrics.discovery
        self._scheduler = scheduler
        self._clock = clock
        self._declared: Sequence[TargetSettings] = ()
        self._declared_in: Mapping[str, str] = {}
        self._sentinel_sources: set[str] = set()
        self._shard = shard
        if shard is not None:
            self._metrics.shard.labels(str(shard.index), str(shard.count)).set(1)
        self._apply_lock = asyncio.Lock()
        #: the targets that scrapes have named
        self.adopted = AdoptedTargets(clock)
        #: whether targets change only because a scrape named some, or because some were forgotten
        self.is_adopting = False
        self._adopting: asyncio.Task[None] | None = None
        self._adopting_tasks: set[asyncio.Task[None]] = set()
        self._log = log.get("discovery")
        self._discovery = DiscoveryManager(
            metrics.discovery,
            self._source_context,
            on_change=self._on_discovery_change,
            wall_clock=time,
            clock=clock,
        )
        #: called after every change of the targets
        self.on_change: Callable[[TargetDiff], None] = lambda _change: None

    @property
    def settled(self) -> bool:
        """Whether every source was queried once, with success or without."""
        return self._discovery.settled

    def source_reports(self) -> list[SourceReport]:
        """Return how each source of targets does."""
        reports = self._discovery.reports()
        if self.adopted.is_enabled:
            reports.append(SourceReport("adopted", "/scrape?target=", len(self.adopted), time(), None, ""))
        return reports

    @property
    def declared(self) -> int:
        """The number of targets that the configuration names."""
        return len(self._declared)

    def declared_in(self, name: str) -> str:
        """Return what names a target: a place in the configuration, a source, or a scrape."""
        if place := self._declared_in.get(name):
            return place
        if (source := self._discovery.source_of(name)) is not None:
            return f"source {source.name} ({source.kind})"
        return "a scrape of /scrape?target=" if name in self.adopted.names else ""

    async def apply(self, loaded: LoadedConfig) -> TargetDiff:
        """Apply a configuration: its declared targets at once, the others as soon as their sources respond."""
        added, removed = await self._discovery.apply(loaded.sources, loaded.settings.discovery)
        for key in removed:
            await self._scheduler.cancel(DISCOVER, key)
        self._declared, self._declared_in = loaded.targets, loaded.declared_in
        self.adopted.configure(loaded.adopt)
        self._sentinel_sources = {source.name for source in loaded.sources if source.kind == "sentinel"}
        change = await self._apply()
        for source in added:
            self._schedule_source(source)
        return change

    async def stop(self) -> None:
        """Close all sources."""
        for task in self._adopting_tasks:
            task.cancel()
        await asyncio.gather(*self._adopting_tasks, return_exceptions=True)
        await self._discovery.stop()

    def apply_adopted(self) -> "asyncio.Task[None]":
        """Watch the adopted targets as they are now. Return the task that does it.

        Many scrapes may name a target at the same time. All that come until the next change begins share it.
        """
        if self._adopting is None:
            self._adopting = asyncio.get_running_loop().create_task(self._apply_adopted())
            self._adopting_tasks.add(self._adopting)
            self._adopting.add_done_callback(self._adopting_tasks.discard)
        return self._adopting

    async def _apply_adopted(self) -> None:
        try:
            change = await self._apply(is_adopting=True)
        except BaseException:
            self._adopting = None
            raise
        names = [target.name for target in change.added]
        self._log.info(
            "adopted targets have changed",
            targets=len(self.adopted),
            started=names[:MAX_LOGGED],
            stopped=list(change.removed[:MAX_LOGGED]),
        )

    def _schedule_source(self, source: SourceSettings) -> None:
        async def refresh(_due: float) -> None:
            await self._discovery.refresh(source.key)

        self._scheduler.add_async_job(
            source.options.interval, DISCOVER, source.key, refresh, lambda _missed: None, now=True
        )

    async def _on_discovery_change(self) -> None:
        await self._apply()

    async def _apply(self, *, is_adopting: bool = False) -> TargetDiff:
        async with self._apply_lock:
            if is_adopting:
                self._adopting = None  # what is adopted from now on needs another change
            self.is_adopting = is_adopting
            try:
                change = await self.targets.apply(self._wanted_targets())
            finally:
                self.is_adopting = False
        if change.removed or change.added:
            self.on_change(change)
        return change

    def _wanted_targets(self) -> list[TargetSettings]:
        """Return the targets of this shard, then the adopted ones. A scrape chooses the shard of those."""
        all_targets = self._discovery.targets(self._declared)
        mine = [target for target in all_targets if owns(self._shard_key(target), self._shard)]
        adopted = self.adopted.besides(mine)
        self._record_adopted()
        return [*mine, *adopted]

    def _record_adopted(self) -> None:
        metrics, names = self._exporter_metrics, self.adopted.names
        metrics.adopt_changes.labels("added").inc(len(names - metrics.scraped_apart))
        metrics.adopt_changes.labels("forgotten").inc(len(metrics.scraped_apart - names))
        metrics.adopted_targets.set(len(names))
        metrics.scraped_apart = names

    def _shard_key(self, target: TargetSettings) -> str:
        """Return the name that assigns a target to a shard: its own, or that of its Sentinel set.

        A Sentinel set is not divided between shards, because they number its replicas differently. The numbers depend
        on the replicas that a shard has seen since its start.
        """
        source = target.labels.get("sentinel", "")
        is_in_set = source in self._sentinel_sources and target.name.startswith(f"{source}/")
        return source if is_in_set else target.name

    def _source_context(
        self, settings: SourceSettings, request_refresh: Callable[[], None], reject: Reject
    ) -> SourceContext:
        return SourceContext(
            self._metrics,
            self._clock,
            self.targets.connect_limiter,
            request_refresh=request_refresh,
            reject=reject,
            probe_status=self._probe_status,
            is_owner=owns(settings.name, self._shard),
            owns=lambda name: owns(name, self._shard),
            tokens=self.targets.tokens,
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
