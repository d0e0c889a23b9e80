"""The daemon as its pages see it, and its reload.

Pages read what is known already. Only a scrape that adopts a target (``adoption``) connects to one. Reloads run one at
a time. A request gets the result of a reload that began after it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from operator import attrgetter

from redis_pulse import __version__, log
from redis_pulse.blocking import CONFIGURATIONS, BlockedError
from redis_pulse.config import ConfigError, ConfigLoader, LoadedConfig, Settings
from redis_pulse.daemon.adoption import Adoption
from redis_pulse.daemon.runtime_monitor import DescriptorMonitor
from redis_pulse.daemon.status_pages import OwnHistory, StatusPages
from redis_pulse.daemon.target_shutdown import MonitoredTarget
from redis_pulse.daemon.target_sync import TargetSync
from redis_pulse.exposition import PageBody, PageBuilder, PageFilter, ProtobufPage
from redis_pulse.polling.poller import INFO
from redis_pulse.sample_store import SampleStore
from redis_pulse.stalls import StallRecord
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.web import FailingCollector, InfoSummary, MetricsFilter, PendingChange, SdTarget, TargetView

#: Seconds for reading a configuration. Ten thousand targets take five.
READ_TIMEOUT = 10.0
#: The metric for each item of ``/redis/stats``.
_STATS = {
    "connected_clients": "redis_connected_clients",
    "used_memory_bytes": "redis_memory_used_bytes",
    "total_commands_processed": "redis_commands_processed_total",
    "keyspace_hits": "redis_keyspace_hits_total",
    "keyspace_misses": "redis_keyspace_misses_total",
}

#: Reloads once. Returns the error for the user, or None. Never raises.
ReloadOnce = Callable[[], Awaitable[str | None]]


#: Seconds between the beginnings of two reloads.
RELOAD_INTERVAL = 2.0
#: A reload of many targets takes long. So its pause is this many times as long, but not longer than ``MAX_PAUSE``.
PAUSE_FACTOR, MAX_PAUSE = 3.0, 10.0


class ReloadQueue:
    """Calls ``reload_once`` for each request. Requests during a reload share the next one.

    A client could send requests without end. So there is a pause after a reload, ``PAUSE_FACTOR`` times as long as it
    took. Two reloads begin at least ``interval`` seconds apart. Requests that arrive meanwhile share the next one.
    """

    def __init__(self, reload_once: ReloadOnce, *, interval: float, clock: Callable[[], float]) -> None:
        self._reload_once = reload_once
        self._interval = interval
        self._clock = clock
        self._not_before = clock()
        self._running: asyncio.Task[str | None] | None = None
        self._next: asyncio.Task[str | None] | None = None
        self._is_stopped = False

    async def request(self) -> str | None:
        """Reload, and return the error, or None. The reload goes on if the caller is cancelled."""
        if self._is_stopped:
            return "the daemon is stopping"
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._reload_after(self._running))
        return await asyncio.shield(self._next)

    async def stop(self) -> None:
        """Cancel running and queued reloads, and reject further requests."""
        self._is_stopped = True
        tasks = [task for task in (self._running, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _reload_after(self, running: "asyncio.Task[str | None] | None") -> str | None:
        if running is not None:
            await asyncio.wait({running})
        if (pause := self._not_before - self._clock()) > 0:
            await asyncio.sleep(pause)
        self._running, self._next = self._next, None
        began = self._clock()
        try:
            return await self._reload_once()
        finally:
            ended = self._clock()
            pause = min(PAUSE_FACTOR * (ended - began), MAX_PAUSE)
            self._not_before = max(began + self._interval, ended + pause)


class DaemonFacade:
    """Implements ``redis_pulse.web.DaemonInterface``."""

    version = __version__

    def __init__(
        self,
        settings: Settings,
        target_sync: TargetSync,
        store: SampleStore,
        metrics: ExporterMetrics,
        page_builder: PageBuilder,
        *,
        reload: ConfigLoader,
        own: OwnHistory,
        clock: Callable[[], float],
    ) -> None:
        #: what the pages for people read
        self.status = StatusPages(target_sync, store, own)
        #: starts to monitor targets that scrapes name
        self.adoption = Adoption(target_sync, metrics, clock=clock)
        #: called before the configuration is read again, and afterwards with a status text for people
        self.on_reloading: Callable[[], None] = lambda: None
        self.on_ready: Callable[[str], None] = lambda _status: None
        self._settings = settings
        self._load_config = reload
        self._reloads = ReloadQueue(self._reload_once, interval=RELOAD_INTERVAL, clock=clock)
        self._descriptor_monitor = DescriptorMonitor()
        self._targets = target_sync.targets
        self._target_sync = target_sync
        self._store = store
        self._own = own
        self._metrics = metrics
        self._page_builder = page_builder
        histograms = settings.web.histograms
        metrics.has_native_histograms = histograms != "classic"
        with_classic = histograms != "native"
        self._protobuf_page = ProtobufPage(page_builder, store, metrics, with_classic=with_classic)
        self._clock = clock
        self._started = clock()
        self._log = log.get("app")

    async def metrics(self, *, openmetrics: bool, gzip: bool) -> PageBody:
        """Return the page of metrics."""
        page = await self._page_builder.full(openmetrics=openmetrics, gzip=gzip)
        self._own.page_read(page.size)
        return page

    async def filtered_metrics(
        self, target: str | None, metrics_filter: MetricsFilter, *, openmetrics: bool, gzip: bool
    ) -> PageBody:
        """Return the selected metrics of one target, or of all targets and the daemon."""
        page_filter = PageFilter(target, metrics_filter.collectors, metrics_filter.names, metrics_filter.only)
        return await self._page_builder.filtered(page_filter, openmetrics=openmetrics, gzip=gzip)

    async def protobuf_metrics(self, target: str | None, metrics_filter: MetricsFilter, *, gzip: bool) -> PageBody:
        """Return the metrics in protobuf, or a part of them."""
        if target is None and metrics_filter == MetricsFilter():
            page = await self._protobuf_page.full(gzip=gzip)
            self._own.page_read(page.size)
            return page
        page_filter = PageFilter(target, metrics_filter.collectors, metrics_filter.names, metrics_filter.only)
        return await self._protobuf_page.filtered(page_filter, gzip=gzip)

    def find(self, name_or_address: str) -> str | None:
        """Return the name of the target with this name or address, or None if there is no such target."""
        if self._targets.get(name_or_address) is not None:
            return name_or_address
        return self._targets.name_at(name_or_address)

    def target(self, name: str) -> TargetView:
        """Return the current state of the target with this name. Raise ``KeyError`` if there is no such target."""
        if (monitored := self._targets.get(name)) is None:
            raise KeyError(name)
        return self._target_view(monitored)

    def stats(self, name: str) -> InfoSummary | None:
        """Return values of the newest INFO of a target, or None if no sample is fresh enough."""
        samples = self._store.fresh(name, INFO)
        if samples is None:
            return None
        values = {item: samples.value(metric) for item, metric in _STATS.items()}
        return InfoSummary(**{item: None if value is None else int(value) for item, value in values.items()})

    def target_names(self) -> Sequence[str]:
        """Return the names of all targets."""
        return [monitored.target.name for monitored in self._targets]

    def sd_targets(self) -> Iterable[SdTarget]:
        """Yield all targets for service discovery. Adopted targets are left out: their scrapers know them."""
        for monitored in self._targets:
            if monitored.target.name in self._target_sync.adopted:
                continue
            yield SdTarget(monitored.target.name, monitored.target.address, monitored.target.labels)

    def collectors(self) -> Sequence[str]:
        """Return the names of all collectors."""
        return self._targets.collectors

    def metric_names(self) -> Sequence[str]:
        """Return the names of all families that the page can have."""
        return self._page_builder.names

    def scraped(self, target: str | None, client: str) -> None:
        """Record that a scraper requested the page of a target, or the whole page, and how old the samples are."""
        names = self._metrics.target_names() if target is None else [target]
        self._metrics.scrapes.record_ages(names, lambda name: self._store.age(name, INFO))
        self._targets.planner.scraped(client, target)

    def scrape_failed(self) -> None:
        """Count a request for one target that could not be served."""
        self._metrics.scrape_request_errors.inc()

    def targets(self) -> Sequence[TargetView]:
        """Return the current state of all targets."""
        return [self._target_view(monitored) for monitored in self._targets]

    def stalls(self, target: str | None, cause: str | None, limit: int) -> Iterable[StallRecord]:
        """Return stalls, the running ones first, then the newest first."""
        return self._targets.stalls.newest(target, cause, limit)

    def pending(self) -> Sequence[PendingChange]:
        """Return the changes of targets that failed and will be retried."""
        return self._targets.pending

    def ready(self) -> bool:
        """Return whether every target was polled once, with success or without. Adopted targets do not count."""
        adopted = self._target_sync.adopted
        return (
            self._target_sync.settled
            and (self._target_sync.is_adopting or not self._targets.is_changing)
            and all(monitored.poller.polled for monitored in self._targets if monitored.target.name not in adopted)
        )

    def healthy(self) -> bool:
        """Return whether the event loop runs on time."""
        return self._own.is_healthy()

    def uptime_seconds(self) -> float:
        """Return the time since start."""
        return self._clock() - self._started

    def count_request(self, path: str, status: int, seconds: float) -> None:  # noqa: ARG002  # measured elsewhere
        """Count a response."""
        self._metrics.requests.labels(path, str(status)).inc()

    async def reload(self) -> str | None:
        """Read the configuration again, and return the error, or None. A bad configuration changes nothing.

        One reload runs at a time. The configuration is read after the request, so the newest file wins.
        """
        return await self._reloads.request()

    async def stop(self) -> None:
        """Cancel a running reload."""
        self.adoption.stop()
        self._protobuf_page.stop()
        await self._reloads.stop()

    def tick(self) -> None:
        """Check once a second whether file descriptors are missing, and forget targets that no scrape names."""
        self.adoption.tick()
        self._descriptor_monitor.tick()

    async def _reload_once(self) -> str | None:
        self.on_reloading()
        try:
            # In a thread: reading a thousand targets takes half a second, and pings are due meanwhile.
            loaded = await CONFIGURATIONS.run(object(), self._load_config, within=READ_TIMEOUT)
            await self.apply_config(loaded)
        except ConfigError as error:
            return self._reload_failed(str(error))
        except BlockedError:
            return self._reload_failed(
                f"reading took longer than {READ_TIMEOUT:g} s: a file or folder of the configuration does not respond"
            )
        except Exception as error:  # noqa: BLE001  # an internal error must not end the daemon, nor stay hidden
            return self._reload_failed(f"internal error ({type(error).__name__}), see the log", error)
        return None

    def _reload_failed(self, reason: str, internal_error: Exception | None = None) -> str:
        self._metrics.reload_successful.set(0)
        self._own.refuse(reason)
        self._targets.statuses.own_event("reload", f"a reload was refused: {reason.splitlines()[0]}", is_bad=True)
        if internal_error is None:
            self._log.error("configuration not reloaded", error=reason)
        else:
            self._log.error("configuration not reloaded", error=reason, exc_info=internal_error)
        self.on_ready("the last reload failed, see the log; the previous configuration is still in use")
        return reason

    async def apply_config(self, loaded: LoadedConfig) -> None:
        """Apply a valid configuration. Some settings take effect only at the next start, and are logged."""
        settings = loaded.settings
        log.setup(settings.log.level, settings.log.format)
        for warning in loaded.warnings:
            self._log.warning("configuration", warning=warning)
        for name in ("listen", "telemetry_path", "web", "probe_log", "shard"):
            if getattr(settings, name) != getattr(self._settings, name):
                self._log.warning("setting takes effect at the next start", setting=name)
        for setting in ("stalls.file", "probe.priority", "probe.process"):
            wanted, present = (attrgetter(setting)(one) for one in (settings, self._settings))
            if wanted != present:
                self._log.warning("setting takes effect at the next start", setting=setting)
        self._targets.slow_reply = settings.log.slow_reply
        change = await self._target_sync.apply(loaded)
        self._descriptor_monitor.check(max(len(loaded.targets), len(self._targets)))
        self._own.loaded(loaded)
        added, removed = len(change.added), len(change.removed)
        text = f"a configuration was taken over: {added} targets are new or changed, {removed} ended"
        self._targets.statuses.own_event("reload", text)
        self._metrics.reload_successful.set(1)
        self._metrics.reload_timestamp.set(time.time())
        self._log.info(
            "configuration taken over",
            targets=len(loaded.targets),
            sources=len(loaded.sources),
            started=[target.name for target in change.added],
            stopped=list(change.removed),
        )
        self.on_ready(_status_text(loaded))

    def _target_view(self, monitored: MonitoredTarget) -> TargetView:
        target, server, last = monitored.target, monitored.poller.server, monitored.prober.last
        return TargetView(
            name=target.name,
            address=target.address,
            status=_status(monitored),
            up=last is not None and last.error is None,
            latency_seconds=last.seconds if last is not None else None,
            probe_age_seconds=self._clock() - last.at if last is not None else None,
            breaker=monitored.breaker.state,
            software=server.software,
            version=server.version,
            role=server.role,
            mode=server.mode,
            service=server.service,
            sample_age_seconds=self._store.age(target.name, INFO),
            labels=target.labels,
            last_stall=self._targets.stalls.last(target.name),
            is_adopted=target.name in self._target_sync.adopted,
            failing=[
                FailingCollector(name, failure.error.reason, str(failure.error), failure.commands, target.user)
                for name, failure in monitored.poller.failing.items()
            ],
        )


def _status_text(loaded: LoadedConfig) -> str:
    """Return one line for ``systemctl status``."""

    def count(things: Sequence[object], name: str) -> str:
        return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"

    text = f"monitoring {count(loaded.targets, 'declared target')}"
    return f"{text} and the targets of {count(loaded.sources, 'discovery source')}" if loaded.sources else text


def _status(monitored: MonitoredTarget) -> str:
    """Return ``connected``, ``disconnected``, or the newest error that is not merely the open circuit breaker."""
    last = monitored.prober.last
    if last is None:
        return "disconnected"
    if last.error is None:
        return "connected"
    error = monitored.prober.last_failure or monitored.poller.newest_error or last.error
    return f"error: {error.reason}: {error}"
