"""Wiring: everything is built once, here; started, drained and stopped, in that order."""

import asyncio
import atexit
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic, perf_counter

from redis_pulse import __version__, file_descriptors, log, startup_signals
from redis_pulse.collectors import load
from redis_pulse.config import ConfigLoader, LoadedConfig, ProbeLogSettings
from redis_pulse.daemon.runtime_monitor import INTERVAL, GcMonitor, LoopMonitor
from redis_pulse.daemon.systemd import Systemd
from redis_pulse.daemon.target_manager import TargetManager
from redis_pulse.daemon.target_sync import TargetSync
from redis_pulse.daemon.web_facade import DaemonFacade
from redis_pulse.exposition import PageBuilder, render
from redis_pulse.probe import ProbeCsvLog
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import Scheduler
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.web import REFUSAL_REASONS, HttpServer, ListenError, build

#: Seconds: runs under way may end, answers under way may be fetched; together well within five.
DRAIN, FETCH = 2.0, 1.0
#: Seconds for closing what is open after that.
CLOSE = 0.5

Alongside = Callable[[], Awaitable[None]]
Started = Callable[[int], None]
End = Callable[[], Awaitable[None]]


def run(
    loaded: LoadedConfig,
    *,
    reload: ConfigLoader,
    alongside: Alongside | None = None,
    started: Started | None = None,
    port_fallback: bool = False,
) -> int:
    """Run the daemon until SIGTERM or SIGINT; return its exit code (1: the address cannot be had)."""
    log.setup(loaded.settings.log.level, loaded.settings.log.format)
    # At its end Python looks through every object that is left: with 1000 targets that takes seconds, for nothing.
    atexit.register(gc.freeze)

    async def until_signal() -> None:
        try:
            await serve(loaded, reload=reload, alongside=alongside, started=started, port_fallback=port_fallback)
        finally:
            for number in startup_signals.NUMBERS:  # else the end of the loop would give them back what kills
                asyncio.get_running_loop().remove_signal_handler(number)
            startup_signals.ignore_signals()  # a second one must not spoil the exit code at the very end

    try:
        asyncio.run(until_signal())
    except ListenError as error:
        log.get("app").error("cannot listen", error=str(error))
        return 1
    return 0


async def serve(
    loaded: LoadedConfig,
    *,
    reload: ConfigLoader,
    alongside: Alongside | None = None,
    started: Started | None = None,
    port_fallback: bool = False,
) -> None:
    """Run the daemon until a signal. Raises ListenError when its address cannot be had.

    ``alongside()`` runs beside it until the end, ``started(port)`` is called when pages are served; with
    ``port_fallback`` a port in use makes it take the next free one.
    """
    logger = log.get("app")
    instruments = ExporterMetrics(__version__)
    file_descriptors.raise_limit()
    for reason in REFUSAL_REASONS:
        instruments.refused.labels(reason)
    stop_log = log.start(instruments.log_dropped.inc)
    try:
        await _serve(
            loaded,
            instruments,
            reload=reload,
            alongside=alongside,
            started=started,
            port_fallback=port_fallback,
        )
        logger.info("stopped")
    finally:
        stop_log()


async def _serve(
    loaded: LoadedConfig,
    instruments: ExporterMetrics,
    *,
    reload: ConfigLoader,
    alongside: Alongside | None,
    started: Started | None,
    port_fallback: bool,
) -> None:
    logger = log.get("app")
    store = SampleStore(render, monotonic)
    instruments.sample_ages = store.ages
    instruments.tasks.set_function(partial(_count_tasks, asyncio.get_running_loop()))
    collectors = load()
    schedule = Scheduler(
        monotonic,
        on_missed=lambda kind, missed: instruments.missed(kind, *missed),
        on_error=_job_failed(instruments),
    )
    probe_log = _probe_log(loaded.settings.probe_log, instruments)
    fleet = TargetManager(collectors, store, instruments, schedule, clock=monotonic, probe_log=probe_log)
    pauses = GcMonitor(instruments.probe_accuracy.gc_pause.observe, clock=perf_counter)
    systemd = Systemd(os.environ, clock=monotonic, pid=os.getpid(), interval=INTERVAL)
    pulse = LoopMonitor(instruments.loop_lag.observe, schedule.realign, clock=monotonic, on_beat=lambda: _each(*beats))
    rows = [row for collector in collectors.values() for row in collector.metrics]
    finding = TargetSync(fleet, instruments, schedule, clock=monotonic, shard=loaded.shard)
    daemon = DaemonFacade(
        loaded.settings,
        finding,
        store,
        instruments,
        PageBuilder(store, instruments, rows),
        reload=reload,
        is_healthy=lambda: pulse.healthy,
        clock=monotonic,
    )
    beats = (pauses.flush, systemd.beat, daemon.tick)
    daemon.on_reloading, daemon.on_ready = systemd.reloading, systemd.ready
    finding.on_change = lambda change: pauses.freeze_after_change(dropped=len(change.removed), left=len(fleet))
    pages = build(
        daemon,
        telemetry_path=loaded.settings.telemetry_path,
        health_always_200=loaded.settings.web.health_status == "always-200",
    )
    server = HttpServer(
        pages,
        loaded.settings.listen,
        fallback=port_fallback,
        on_refused=lambda reason: instruments.refused.labels(reason).inc(),
    )
    await server.start()
    stopping = asyncio.Event()
    tasks = _listen_to_signals(stopping, daemon)
    try:
        schedule.start()
        pulse.start()
        pauses.start()
        await daemon.apply_config(loaded)
        logger.info("listening", port=server.port, path=loaded.settings.telemetry_path, version=__version__)
        if started:
            started(server.port)
        if alongside:
            tasks.add(asyncio.ensure_future(alongside()))
        await stopping.wait()
        systemd.stopping()
        logger.info("stopping")
    finally:
        pulse.stop()
        pauses.stop()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE)
        ends: list[End] = [daemon.stop, partial(schedule.stop, DRAIN), finding.stop, fleet.stop]
        if probe_log is not None:
            ends.append(probe_log.stop)
        await _end(ends, within=DRAIN + CLOSE)
        await _end([partial(server.stop, FETCH)], within=FETCH + CLOSE)


async def _end(ends: Sequence[End], within: float) -> None:
    """End one part after the other, within so many seconds in all; one that fails or hangs costs no other its end."""
    deadline = monotonic() + within
    for end in ends:
        try:
            # The last ones get a moment too: most need no more than that.
            async with asyncio.timeout(max(0.1, deadline - monotonic())):
                await end()
        except Exception as error:  # noqa: BLE001  the process ends, and has to end well
            log.get("app").warning("a part did not end in order", error=str(error) or type(error).__name__)


def _count_tasks(loop: asyncio.AbstractEventLoop) -> int:
    return len(asyncio.all_tasks(loop))


def _each(*calls: Callable[[], None]) -> None:
    for call in calls:
        call()


def _probe_log(settings: ProbeLogSettings, instruments: ExporterMetrics) -> ProbeCsvLog | None:
    if settings.file is None:
        return None
    logger, changes = log.get("probe-log"), log.StateChangeFilter()

    def lost(count: int, why: str) -> None:
        instruments.probe_accuracy.log_lost.inc(count)
        if changes.changed("probe-log", why):
            logger.warning("lines lost", file=str(settings.file), error=why)

    return ProbeCsvLog(settings.file, size=settings.size, backups=settings.backups, lost=lost)


def _job_failed(instruments: ExporterMetrics) -> Callable[[str, Exception], None]:
    logger, changes = log.get("schedule"), log.StateChangeFilter()

    def failed(kind: str, error: Exception) -> None:
        instruments.job_errors.labels(kind).inc()
        if changes.changed(kind, type(error).__name__):
            logger.error("a job failed", job=kind, exc_info=error)

    return failed


def _listen_to_signals(stopping: asyncio.Event, daemon: DaemonFacade) -> set[asyncio.Task[None]]:
    """Stop on SIGTERM and SIGINT, reload on SIGHUP. Returns the set that holds the reloads under way."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        await daemon.reload()

    def hangup() -> None:
        task = loop.create_task(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, hangup)
    return tasks
