"""Build every component once, start and serve, then stop in order.

Components are stopped before the web server, so that the last scrapes still get their pages.
"""

import asyncio
import atexit
import gc
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic, perf_counter, time

from redis_pulse import __version__, file_descriptors, log, startup_signals
from redis_pulse.collectors import load
from redis_pulse.config import (
    ConfigError,
    ConfigLoader,
    LoadedConfig,
    ProbeLogSettings,
    ProcessProbeSettings,
    parse_listen,
)
from redis_pulse.daemon.memory_trimmer import MemoryTrimmer, configure_allocator, find_trim, resident_bytes
from redis_pulse.daemon.runtime_monitor import TICK_INTERVAL, GcMonitor, LoopMonitor
from redis_pulse.daemon.stall_file import StallFile
from redis_pulse.daemon.status_pages import OwnHistory
from redis_pulse.daemon.systemd import Systemd
from redis_pulse.daemon.target_manager import POLL, PROBE, TargetManager
from redis_pulse.daemon.target_sync import TargetSync
from redis_pulse.daemon.web_facade import DaemonFacade
from redis_pulse.exposition import PageBuilder, render_steps
from redis_pulse.priority import niceness, raise_priority
from redis_pulse.probe import LendingProber, PingProcess, ProbeCsvLog, Prober
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import MissedRuns, Scheduler, Scraper
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.web import (
    REFUSAL_REASONS,
    AccessControl,
    HttpServer,
    ListenError,
    WebConfigWatcher,
    build,
    import_pages,
)

#: Seconds at the end for the runs that have begun, then for the responses that have begun: five at most.
DRAIN_TIMEOUT, FETCH_TIMEOUT = 2.0, 1.0
#: Seconds after each of them to close what is still open.
CLOSE_TIMEOUT = 0.5
#: Seconds that every component gets to stop, even if those before it used up the time. Most need no longer.
MIN_STOP_TIMEOUT = 0.1

#: With more targets than this, or with targets from discovery, the pages for people are imported at the start.
FEW_TARGETS = 50

#: Seconds for which a thread that computes may delay the event loop at each system call. Python's default is 5 ms. A
#: turn of the loop has many calls, so a long list of targets would delay pings by 50 ms.
SWITCH_INTERVAL = 0.0005

Alongside = Callable[[], Awaitable[None]]
Started = Callable[[int], None]
Stop = Callable[[], Awaitable[None]]


def run(
    loaded: LoadedConfig,
    *,
    reload: ConfigLoader,
    alongside: Alongside | None = None,
    started: Started | None = None,
    port_fallback: bool = False,
) -> int:
    """Run the daemon until SIGTERM or SIGINT. Return its exit code: 0, or 1 if it cannot start."""
    log.setup(loaded.settings.log.level, loaded.settings.log.format)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would contain the passwords
    configure_allocator()
    sys.setswitchinterval(SWITCH_INTERVAL)
    if os.geteuid() == 0:
        log.get("app").warning("running as root, which no part of the daemon needs")
    # At its end Python visits every object that is left. With 1000 targets that would take seconds.
    atexit.register(gc.freeze)

    async def serve_until_signal() -> None:
        try:
            await serve(loaded, reload=reload, alongside=alongside, started=started, port_fallback=port_fallback)
        finally:
            # When the loop closes, it restores the default handlers, which end the process at once.
            for number in startup_signals.STOP_SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(number)
            startup_signals.ignore_signals()  # a second signal must not change the exit code at the very end

    try:
        asyncio.run(serve_until_signal())
    except ListenError as error:
        log.get("app").error("cannot listen", error=str(error))
        return 1
    except ConfigError as error:
        log.get("app").error("the web configuration cannot be used", error=str(error))
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
    """Run the daemon until a signal. Raise ``ListenError`` if it cannot listen on its address.

    Raise ``ConfigError`` if its web configuration file cannot be used. Without it the pages would be open.

    ``alongside()`` runs until the end of the daemon. ``started(port)`` is called when pages are served. With
    ``port_fallback`` the daemon takes the next free port if its own is in use.
    """
    metrics = ExporterMetrics(__version__)
    file_descriptors.raise_limit()
    for reason in REFUSAL_REASONS:
        metrics.refused.labels(reason)
    stop_log = log.start(metrics.log_dropped.inc)
    try:
        await _serve(loaded, metrics, reload=reload, alongside=alongside, started=started, port_fallback=port_fallback)
        log.get("app").info("stopped")
    finally:
        stop_log()


@dataclass(frozen=True, slots=True)
class _Components:
    """What the daemon is built of, except its web server."""

    scheduler: Scheduler
    targets: TargetManager
    target_sync: TargetSync
    facade: DaemonFacade
    systemd: Systemd
    gc_monitor: GcMonitor
    loop_monitor: LoopMonitor
    probe_log: ProbeCsvLog | None
    stall_file: StallFile | None
    ping_process: PingProcess | None


def _build(loaded: LoadedConfig, metrics: ExporterMetrics, reload: ConfigLoader) -> _Components:
    store = SampleStore(render_steps, monotonic)
    metrics.sample_times = store.times
    loop = asyncio.get_running_loop()
    metrics.tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
    collectors = load()
    metric_specs = [spec for collector in collectors.values() for spec in collector.metrics]

    def on_missed(kind: str, missed: MissedRuns) -> None:
        metrics.missed(kind, *missed)
        if kind == PROBE:
            own.missed(missed.late)

    # Ticks and pings report delays. A quota of CPU time stops us at regular times, which may be between all ticks.
    def on_lag(seconds: float) -> None:
        own.lag(seconds)
        targets.stalls.record_lag(monotonic(), time(), seconds)

    on_error = _job_error_hook(metrics)
    scheduler = Scheduler(monotonic, on_missed=on_missed, on_error=on_error, on_lag=on_lag, on_scraper=_log_scraper)
    metrics.scrapes.planner = planner = scheduler.planner
    metrics.scrape_periods = lambda: [scraper.period for scraper in planner.scrapers() if scraper.is_locked]
    probe_log = _probe_log(loaded.settings.probe_log, metrics)
    ping_process = _ping_process(
        loaded.settings.probe, metrics, on_skipped=lambda count: on_missed(PROBE, MissedRuns(count, 0))
    )
    make_prober = Prober if ping_process is None else partial(LendingProber, process=ping_process)
    targets = TargetManager(
        collectors,
        store,
        metrics,
        scheduler,
        clock=monotonic,
        make_prober=partial(make_prober, csv_log=probe_log),
    )
    own = OwnHistory(targets.wall, lambda: loop_monitor.healthy)
    target_sync = TargetSync(targets, metrics, scheduler, clock=monotonic, shard=loaded.shard)
    page_builder = PageBuilder(store, metrics, metric_specs, turns=targets.turns)
    page_builder.groups.poll_order = partial(scheduler.poll_order, POLL)
    facade = DaemonFacade(
        loaded.settings,
        target_sync,
        store,
        metrics,
        page_builder,
        reload=reload,
        own=own,
        clock=monotonic,
    )
    systemd = Systemd(os.environ, clock=monotonic, pid=os.getpid(), interval=TICK_INTERVAL)
    facade.on_reloading, facade.on_ready = systemd.reloading, systemd.ready
    gc_monitor = GcMonitor(metrics.probe_accuracy.gc_pause.observe, clock=perf_counter)
    target_sync.on_change = lambda change: gc_monitor.freeze_after_change(
        removed=len(change.removed), remaining=len(targets)
    )

    file = loaded.settings.stalls.file
    stall_file = None if file is None else StallFile(file, targets.stalls, metrics)
    memory_trimmer = MemoryTrimmer(resident_bytes, find_trim())

    def tick() -> None:
        gc_monitor.flush()
        memory_trimmer.tick()
        systemd.tick()
        facade.tick()
        targets.stall_log.tick()

    def on_tick_lag(seconds: float) -> None:
        metrics.loop_lag.observe(seconds)
        on_lag(seconds)

    loop_monitor = LoopMonitor(on_tick_lag, scheduler.realign, clock=monotonic, on_tick=tick)
    return _Components(
        scheduler,
        targets,
        target_sync,
        facade,
        systemd,
        gc_monitor,
        loop_monitor,
        probe_log,
        stall_file,
        ping_process,
    )


async def _serve(
    loaded: LoadedConfig,
    metrics: ExporterMetrics,
    *,
    reload: ConfigLoader,
    alongside: Alongside | None,
    started: Started | None,
    port_fallback: bool,
) -> None:
    logger, settings = log.get("app"), loaded.settings
    metrics.niceness.set(raise_priority() if settings.probe.priority == "auto" else niceness())
    if loaded.sources or len(loaded.targets) > FEW_TARGETS:
        import_pages()
    components = _build(loaded, metrics, reload)
    watcher = WebConfigWatcher(settings.web.config_file, on_valid=metrics.web_config_valid.set)
    await watcher.start()
    app = build(
        components.facade,
        turns=components.targets.turns,
        access=AccessControl(settings.web, watcher),
        telemetry_path=settings.telemetry_path,
        health_always_200=settings.web.health_status == "always-200",
    )
    server = HttpServer(
        app,
        settings.listen,
        fallback=port_fallback,
        tls=watcher,
        on_refused=lambda reason: metrics.refused.labels(reason).inc(),
    )
    await server.start()
    stopping = asyncio.Event()
    tasks = _handle_signals(stopping, components.facade)
    try:
        components.scheduler.start()
        components.loop_monitor.start()
        components.gc_monitor.start()
        if components.stall_file is not None:
            await components.stall_file.start()
        await components.facade.apply_config(loaded)
        page = _page_address(settings.listen, server.port, has_tls=watcher.access.tls is not None)
        logger.info("listening", port=server.port, path=settings.telemetry_path, version=__version__, page=page)
        if started:
            started(server.port)
        if alongside:
            tasks.add(asyncio.ensure_future(alongside()))
        await stopping.wait()
        components.systemd.stopping()
        logger.info("stopping")
    finally:
        await _stop(components, tasks, server)


def _page_address(listen: str, port: int, *, has_tls: bool) -> str:
    """Return the address of the page for people, as a browser on this machine opens it."""
    host = parse_listen(listen).host
    shown = "localhost" if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http{'s' if has_tls else ''}://{shown}:{port}/"


async def _stop(components: _Components, tasks: set[asyncio.Task[None]], server: HttpServer) -> None:
    components.loop_monitor.stop()
    components.gc_monitor.stop()
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)
    stops: list[Stop] = [
        components.facade.stop,
        partial(components.scheduler.stop, DRAIN_TIMEOUT),
        components.target_sync.stop,
        components.targets.stop,
    ]
    if components.ping_process is not None:
        stops.append(components.ping_process.stop)
    if components.probe_log is not None:
        stops.append(components.probe_log.stop)
    if components.stall_file is not None:
        stops.append(components.stall_file.stop)
    await _stop_in_order(stops, seconds=DRAIN_TIMEOUT + CLOSE_TIMEOUT)
    await _stop_in_order([partial(server.stop, FETCH_TIMEOUT)], seconds=FETCH_TIMEOUT + CLOSE_TIMEOUT)


async def _stop_in_order(stops: Sequence[Stop], seconds: float) -> None:
    """Stop one component after the other within so many ``seconds``. If one fails or hangs, the others still stop."""
    deadline = monotonic() + seconds
    for stop in stops:
        try:
            async with asyncio.timeout(max(MIN_STOP_TIMEOUT, deadline - monotonic())):
                await stop()
        except Exception as error:  # noqa: BLE001  # the process must end in order
            log.get("app").warning("a part did not end in order", error=str(error) or type(error).__name__)


def _probe_log(settings: ProbeLogSettings, metrics: ExporterMetrics) -> ProbeCsvLog | None:
    if settings.file is None:
        return None
    logger, changes = log.get("probe-log"), log.StateChangeFilter()

    def on_lost(count: int, reason: str) -> None:
        metrics.probe_accuracy.log_lost.inc(count)
        if changes.changed("probe-log", reason):
            logger.warning("lines lost", file=str(settings.file), error=reason)

    return ProbeCsvLog(settings.file, max_bytes=settings.size, backups=settings.backups, on_lost=on_lost)


def _ping_process(
    settings: ProcessProbeSettings, metrics: ExporterMetrics, *, on_skipped: Callable[[int], None]
) -> PingProcess | None:
    if not settings.process:
        return None
    if not sys.platform.startswith("linux"):
        log.get("app").warning("probe.process needs Linux: the daemon sends the pings itself")
        return None
    return PingProcess(
        priority=settings.priority,
        clock=monotonic,
        on_restart=metrics.ping_process_restarts.inc,
        on_lent=metrics.ping_process_targets.set,
        on_skipped=on_skipped,
    )


def _log_scraper(scraper: Scraper) -> None:
    """Log which scraper a number of the metrics means. Its user agent is left out, because a client chooses it."""
    address, period = scraper.client.partition(" ")[0], round(scraper.period, 2)
    log.get("schedule").info("polls follow a scraper", scraper=scraper.number, address=address, period=period)


def _job_error_hook(metrics: ExporterMetrics) -> Callable[[str, Exception], None]:
    """Return a function that counts each failed run, and logs the first one with the same type of exception."""
    logger, changes = log.get("schedule"), log.StateChangeFilter()

    def on_error(kind: str, error: Exception) -> None:
        metrics.job_errors.labels(kind).inc()
        if changes.changed(kind, type(error).__name__):
            logger.error("a job failed", job=kind, exc_info=error)

    return on_error


def _handle_signals(stopping: asyncio.Event, facade: DaemonFacade) -> set[asyncio.Task[None]]:
    """Stop on SIGTERM and SIGINT, reload on SIGHUP. Return the set that holds the tasks of running reloads."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        await facade.reload()

    def on_hangup() -> None:
        task = loop.create_task(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    return tasks
