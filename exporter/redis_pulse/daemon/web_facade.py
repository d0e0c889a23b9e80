"""Reloads, one at a time: who asks for one gets the result of a reading that began after he asked.

The daemon as its pages see it, and its reload.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from redis_pulse import __version__, log
from redis_pulse.blocking import CONFIGURATIONS, BlockedError
from redis_pulse.config import ConfigError, ConfigLoader, LoadedConfig, Settings
from redis_pulse.daemon.runtime_monitor import DescriptorMonitor
from redis_pulse.daemon.target_shutdown import MonitoredTarget
from redis_pulse.daemon.target_sync import TargetSync
from redis_pulse.exposition import PageBuilder, PageFilter
from redis_pulse.polling.poller import INFO
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.web import FailingCollector, InfoSummary, MetricsFilter, PendingChange, SdTarget, TargetView

#: Does one reload and returns what is wrong, or None. Never raises.
Once = Callable[[], Awaitable[str | None]]


class ReloadQueue:
    """Runs ``once`` whenever it is asked to; requests that come while one runs share the next one."""

    def __init__(self, once: Once) -> None:
        self._once = once
        self._running: asyncio.Task[str | None] | None = None
        self._next: asyncio.Task[str | None] | None = None
        self._is_stopped = False

    async def request(self) -> str | None:
        """Reload, and return what was wrong. The reload goes on when its caller is cancelled."""
        if self._is_stopped:
            return "the daemon is stopping"
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    async def stop(self) -> None:
        """Give up what is under way, and do nothing more."""
        self._is_stopped = True
        tasks = [task for task in (self._running, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _after(self, before: "asyncio.Task[str | None] | None") -> str | None:
        if before is not None:
            await asyncio.wait({before})
        self._running, self._next = self._next, None
        return await self._once()


#: Seconds for reading a configuration: ten thousand targets take five.
READING = 10.0
#: Which metric fills which item of ``/redis/stats``.
_STATS = {
    "connected_clients": "redis_connected_clients",
    "used_memory_bytes": "redis_memory_used_bytes",
    "total_commands_processed": "redis_commands_processed_total",
    "keyspace_hits": "redis_keyspace_hits_total",
    "keyspace_misses": "redis_keyspace_misses_total",
}


class DaemonFacade:
    """Implements ``redis_pulse.web.Daemon``: answers from what is known, never by touching a target."""

    version = __version__

    def __init__(
        self,
        settings: Settings,
        finding: TargetSync,
        store: SampleStore,
        instruments: ExporterMetrics,
        page: PageBuilder,
        *,
        reload: ConfigLoader,
        is_healthy: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        #: told when the configuration begins to be read again, and with a line for people when that is over
        self.on_reloading: Callable[[], None] = lambda: None
        self.on_ready: Callable[[str], None] = lambda _status: None
        self._settings = settings
        self._read = reload
        self._reloads = ReloadQueue(self._reload_once)
        self._descriptor_monitor = DescriptorMonitor()
        self._targets = finding.targets
        self._target_sync = finding
        self._store = store
        self._metrics = instruments
        self._page = page
        self._is_healthy = is_healthy
        self._clock = clock
        self._started = clock()
        self._log = log.get("app")

    async def metrics(self, *, openmetrics: bool, gzip: bool) -> bytes:
        """Return the page of metrics."""
        return await self._page.full(openmetrics=openmetrics, gzip=gzip)

    async def filtered_metrics(
        self, target: str | None, wanted: MetricsFilter, *, openmetrics: bool, gzip: bool
    ) -> bytes:
        """Return the metrics of one target, or of all, as far as they are wanted."""
        part = PageFilter(target, wanted.collectors, wanted.names, wanted.only)
        return await self._page.filtered(part, openmetrics=openmetrics, gzip=gzip)

    def find(self, wanted: str) -> str | None:
        """Return the name of the target that has this name or address."""
        return wanted if self._targets.get(wanted) is not None else self._targets.name_at(wanted)

    def target_names(self) -> Sequence[str]:
        """Return the names of all targets."""
        return [watch.target.name for watch in self._targets]

    def sd_targets(self) -> Iterable[SdTarget]:
        """Yield every target as service discovery needs it."""
        for watch in self._targets:
            yield SdTarget(watch.target.name, watch.target.address, watch.target.settings.labels)

    def collectors(self) -> Sequence[str]:
        """Return the names of all collectors."""
        return self._targets.collectors

    def metric_names(self) -> Sequence[str]:
        """Return the names of all families that there may be."""
        return self._page.names

    def scrape_failed(self) -> None:
        """Count a request for one target that could not be served."""
        self._metrics.scrape_request_errors.inc()

    def targets(self) -> Sequence[TargetView]:
        """Return every target as it is now."""
        return [self._target_view(watch) for watch in self._targets]

    def pending(self) -> Sequence[PendingChange]:
        """Return the changes of targets that failed and are tried again."""
        return self._targets.pending

    def ready(self) -> bool:
        """Whether every target has been asked once, whatever came of it."""
        return (
            self._target_sync.settled
            and not self._targets.is_changing
            and all(watch.poller.polled for watch in self._targets)
        )

    def healthy(self) -> bool:
        """Whether our loop turns."""
        return self._is_healthy()

    def uptime_seconds(self) -> float:
        """Return the time since start."""
        return self._clock() - self._started

    def count_request(self, path: str, status: int, seconds: float) -> None:  # noqa: ARG002  # render time is apart
        """Count one answer."""
        self._metrics.requests.labels(path, str(status)).inc()

    async def reload(self) -> str | None:
        """Read the configuration again, and return what is wrong with it; a bad one changes nothing.

        One reload runs at a time. The answer is of a reading that began after the question, so the newest file wins.
        """
        return await self._reloads.request()

    async def stop(self) -> None:
        """Give up a reload that is under way."""
        await self._reloads.stop()

    def tick(self) -> None:
        """Look, once a second, whether we lack descriptors."""
        self._descriptor_monitor.tick()

    async def _reload_once(self) -> str | None:
        self.on_reloading()
        try:
            # In a thread: a thousand targets take half a second to read, and pings are due meanwhile.
            loaded = await CONFIGURATIONS.run(object(), self._read, within=READING)
            await self.apply_config(loaded)
        except ConfigError as error:
            return self._not_reloaded(str(error))
        except BlockedError:
            return self._not_reloaded(
                f"reading took longer than {READING:g} s: a file or a folder of the configuration does not answer"
            )
        except Exception as error:  # noqa: BLE001  a fault of ours must not end the daemon, nor stay hidden
            return self._not_reloaded(f"a fault of redis-pulse: {type(error).__name__}, see the log", error)
        return None

    def _not_reloaded(self, why: str, fault: Exception | None = None) -> str:
        self._metrics.reload_successful.set(0)
        if fault is None:
            self._log.error("configuration not reloaded", error=why)
        else:
            self._log.error("configuration not reloaded", error=why, exc_info=fault)
        self.on_ready("the last reload failed, see the log; the configuration before it is in force")
        return why

    async def apply_config(self, loaded: LoadedConfig) -> None:
        """Take over a good configuration, as far as that is possible while running."""
        settings = loaded.settings
        log.setup(settings.log.level, settings.log.format)
        for warning in loaded.warnings:
            self._log.warning("configuration", warning=warning)
        for name in ("listen", "telemetry_path", "web", "probe_log", "shard"):
            if getattr(settings, name) != getattr(self._settings, name):
                self._log.warning("setting takes effect at the next start", setting=name)
        self._targets.slow_reply = settings.log.slow_reply
        change = await self._target_sync.apply(loaded)
        self._descriptor_monitor.check(max(len(loaded.targets), len(self._targets)))
        self._metrics.reload_successful.set(1)
        self._metrics.reload_timestamp.set(time.time())
        self._log.info(
            "configuration taken over",
            targets=len(loaded.targets),
            sources=len(loaded.sources),
            started=[target.name for target in change.added],
            stopped=list(change.removed),
        )
        declared, sources = len(loaded.targets), len(loaded.sources)
        found = f", and what {sources} source{'' if sources == 1 else 's'} of discovery find" if sources else ""
        self.on_ready(f"watching {declared} declared target{'' if declared == 1 else 's'}{found}")

    def _target_view(self, watch: MonitoredTarget) -> TargetView:
        target, server, last = watch.target, watch.poller.server, watch.prober.last
        up = last is not None and last.error is None
        return TargetView(
            name=target.name,
            address=target.address,
            status=_status(watch),
            up=up,
            latency_seconds=last.seconds if last is not None else None,
            probe_age_seconds=self._clock() - last.at if last is not None else None,
            breaker=watch.breaker.state,
            software=server.software,
            version=server.version,
            role=server.role,
            sample_age_seconds=self._store.age(target.name, INFO),
            labels=target.settings.labels,
            stats=self._target_stats(target.name),
            failing=[
                FailingCollector(name, one.error.reason, str(one.error), one.commands, target.settings.user)
                for name, one in watch.poller.failing.items()
            ],
        )

    def _target_stats(self, name: str) -> InfoSummary | None:
        found = self._store.fresh(name, INFO)
        if found is None:
            return None
        values = {item: found.value(metric) for item, metric in _STATS.items()}
        return InfoSummary(**{item: None if value is None else int(value) for item, value in values.items()})


def _status(watch: MonitoredTarget) -> str:
    last, trouble = watch.prober.last, watch.prober.last_failure
    if last is None:
        return "disconnected"
    if last.error is None:
        return "connected"
    error = trouble or watch.poller.newest_error or last.error
    return f"error: {error.reason}: {error}"
