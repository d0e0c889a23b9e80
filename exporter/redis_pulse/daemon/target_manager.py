"""Monitor each target with its own circuit breaker, client, prober and poller. Targets can change at any time."""

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import time_ns

from redis_pulse.backoff import Backoff
from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import ConnectLimiter, TargetClient
from redis_pulse.collectors import Collector
from redis_pulse.config import SharedOptions, TargetSettings
from redis_pulse.daemon.keyspace_job import make_sampler, schedule_sampler
from redis_pulse.daemon.pending_changes import PendingChanges
from redis_pulse.daemon.poll_job import schedule_poll
from redis_pulse.daemon.stall_job import make_stall_monitor, snapshots_in_turn
from redis_pulse.daemon.stall_log import StallLog
from redis_pulse.daemon.target_diff import TargetDiff, difference, only_labels_differ
from redis_pulse.daemon.target_events import CONNECT, TargetEventLogger
from redis_pulse.daemon.target_logins import show_token
from redis_pulse.daemon.target_shutdown import MonitoredTarget, Run, TargetShutdown
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.polling.poller import INFO
from redis_pulse.probe import PING, Prober, WallClockMonitor
from redis_pulse.probe.canary import READ, WRITE, CanaryProbe
from redis_pulse.probe.cold_connect import ColdConnectProbe
from redis_pulse.probe.replication_delay import HeartbeatRegistry
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import PollPlanner, Scheduler
from redis_pulse.slices import SharedTurns
from redis_pulse.stalls import EnquirySlots, StallRegistry
from redis_pulse.status import StatusRegistry, find_risks
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics, families
from redis_pulse.tokens import TokenRegistry
from redis_pulse.web import PendingChange

__all__ = ["MonitoredTarget", "TargetDiff", "TargetManager", "difference"]

POLL, PROBE, CANARY, COLD, SNAPSHOT, KEYS = "poll", "probe", "canary", "cold_connect", "snapshot", "keyspace"
#: Seconds before a failed change is retried: the first delay and the longest.
RETRY_BASE, RETRY_CAP = 1.0, 60.0


def _info_labels(target: TargetSettings) -> dict[str, str]:
    return {"address": target.address, **target.labels}


def _optional_operations(settings: TargetSettings) -> tuple[str, ...]:
    """Return the operations that a target has only if its settings enable them."""
    canary = (WRITE, READ) if settings.canary.enabled else ()
    return canary if settings.probe.cold_connect is None else (*canary, COLD)


class TargetManager:
    """All monitored targets, in the order of the configuration."""

    def __init__(
        self,
        collectors: Mapping[str, Collector],
        store: SampleStore,
        metrics: ExporterMetrics,
        scheduler: Scheduler,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], int] = time_ns,
        make_prober: Callable[..., Prober] = Prober,
        make_backoff: Callable[[], Backoff] = lambda: Backoff(RETRY_BASE, RETRY_CAP, floor=RETRY_BASE),
    ) -> None:
        self._collectors = collectors
        self._shared_options = SharedOptions()
        self._store = store
        self._metrics = metrics
        self._scheduler = scheduler
        self._clock = clock
        self._wall_clock_monitor = WallClockMonitor(clock, wall_clock)
        #: shared by all targets and sources, as are the logins that expire
        self.connect_limiter = ConnectLimiter()
        self.tokens = TokenRegistry()
        self.turns = SharedTurns()  # of polls and pages
        self._make_poller = partial(TargetPoller, store=store, turns=self.turns, clock=clock)
        self._make_prober = partial(make_prober, wall_clock=self._wall_clock_monitor)
        #: the records of all targets
        self.stalls = StallRegistry(metrics.own_delay, self._role_of, clock)
        #: their lines in the log
        self.stall_log = StallLog(clock)
        #: the states of all targets, with their last hour
        self.statuses = StatusRegistry(self.wall)
        self._enquiry_slots = EnquirySlots(clock=clock, on_refused=metrics.stall_enquiries_refused.inc)
        self._apply_lock = asyncio.Lock()
        # A unique key: values of another exporter, or of an earlier process, must not be taken for ours.
        self._instance = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._heartbeats = HeartbeatRegistry(self._instance)
        self._monitored: dict[str, MonitoredTarget] = {}
        self._names: dict[str, str] = {}  # by address
        self.slow_reply: float | None = None
        self._wanted: Sequence[TargetSettings] = ()
        self._pending = PendingChanges(lambda step: metrics.apply_failures.labels(step).inc())
        self._make_backoff = make_backoff
        self._retry_backoff = make_backoff()
        self._retry_timer: asyncio.TimerHandle | None = None
        self._shutdown = TargetShutdown(self._pending, make_backoff)
        self._is_stopping = False

    def __iter__(self) -> Iterator[MonitoredTarget]:
        return iter(tuple(self._monitored.values()))

    def __len__(self) -> int:
        return len(self._monitored)

    def get(self, name: str) -> MonitoredTarget | None:
        """Return the target with this name, or None if there is no such target."""
        return self._monitored.get(name)

    @property
    def collectors(self) -> list[str]:
        """The names of all collectors, whether a target uses them or not."""
        return list(self._collectors)

    def name_at(self, address: str) -> str | None:
        """Return the name of the first target with this address, or None if there is no such target."""
        return self._names.get(address)

    @property
    def planner(self) -> PollPlanner:
        """What plans the polls before scrapes."""
        return self._scheduler.planner

    def wall(self) -> float:
        """Return the Unix time."""
        return self._wall_clock_monitor.wall() / 1e9

    @property
    def is_changing(self) -> bool:
        """Whether targets are being added, changed or removed."""
        return self._apply_lock.locked()

    @property
    def pending(self) -> list[PendingChange]:
        """The changes that failed and will be retried."""
        return list(self._pending)

    async def apply(self, targets: Sequence[TargetSettings]) -> TargetDiff:
        """Monitor exactly these targets. Unchanged targets are not disturbed. Return what was changed.

        A failure of one target affects no other, and is retried later. Old connections are closed in the background.
        """
        async with self._apply_lock:
            self._wanted = tuple(targets)
            return await self._apply()

    async def stop(self) -> None:
        """Close all connections. Samples and counters stay."""
        self._is_stopping = True
        if self._retry_timer is not None:
            self._retry_timer.cancel()
        await self._shutdown.stop(self)
        self.stall_log.flush()

    async def _apply(self) -> TargetDiff:
        wanted = {target.name for target in self._wanted}
        old_addresses = {monitored.target.address for monitored in self._monitored.values()}
        diff = difference({name: monitored.target for name, monitored in self._monitored.items()}, self._wanted)
        for pending in self._pending:
            if pending.target not in wanted:
                self._pending.done(pending.target, "open", "move")
        for name in diff.removed:
            if name not in wanted:
                self._remove(name)
        added: list[TargetSettings] = []
        try:
            for target in diff.added:
                if self._add_or_change(target):
                    added.append(target)
                await asyncio.sleep(0)  # a thousand targets take seconds, and pings are due meanwhile
        finally:
            in_order = [self._monitored[target.name] for target in self._wanted if target.name in self._monitored]
            self._monitored = {monitored.target.name: monitored for monitored in in_order}
            self._names = {monitored.target.address: monitored.target.name for monitored in reversed(in_order)}
            for address in old_addresses - self._names.keys():
                self._heartbeats.forget(address)
            self._schedule_retry()
        failed = {target.name for target in diff.added} - {target.name for target in added}
        return TargetDiff(tuple(name for name in diff.removed if name not in failed), tuple(added))

    def _add_or_change(self, target: TargetSettings) -> bool:
        """Monitor a target with these settings from now on. Return whether that worked."""
        name, running = target.name, self._monitored.get(target.name)
        try:
            if running is not None and only_labels_differ(running.target, target):
                running.metrics.set_info(_info_labels(target))
                self._monitored[name] = replace(running, target=target)
            else:
                self._monitored[name] = self._start(target, running)
        except Exception as error:  # noqa: BLE001  # a failure of one target must not affect the others
            self._pending.failed(name, "open" if running is None else "move", error)
            if running is None:
                self._remove_series(name)
            elif running.prober.is_replaced:  # the move failed half-way, so nothing pings the target any more
                self._remove(name)
            return False
        self._pending.done(name, "open", "move")
        return True

    def _schedule_retry(self) -> None:
        """Apply the same list again later if a part of it failed."""
        if not self._pending.has("open", "move"):
            self._retry_backoff.reset()
        elif self._retry_timer is None and not self._is_stopping:
            loop = asyncio.get_running_loop()
            self._retry_timer = loop.call_later(self._retry_backoff.next(), self._start_retry)

    def _start_retry(self) -> None:
        self._retry_timer = None
        self._shutdown.run_in_background(self._retry())

    async def _retry(self) -> None:
        async with self._apply_lock:
            await self._apply()

    def _remove(self, name: str) -> None:
        """Stop monitoring a target and remove its series at once. Its connections are closed in the background."""
        monitored = self._monitored.pop(name)
        self._shutdown.close(monitored, self._remove_series(name))

    def _remove_series(self, name: str) -> list[Run]:
        """Remove the jobs and series of a target. Return its runs, which are cancelled."""
        runs = []
        for kind in (PROBE, POLL, CANARY, COLD, SNAPSHOT, KEYS):
            try:
                runs.append(self._scheduler.remove(kind, name))
            except Exception as error:  # noqa: BLE001  # the rest is removed all the same
                self._pending.failed(name, "close", error)
        self._scheduler.planner.forget(name)
        self._store.forget(name)
        self.stalls.forget(name)
        self.statuses.forget(name)
        self._metrics.remove_target(name)
        return runs

    def _start(self, target: TargetSettings, before: MonitoredTarget | None) -> MonitoredTarget:
        """Monitor a target from now on. If ``before`` is given, its counters and its phases go on."""
        collectors = self._configured_collectors(target)
        metrics = self._target_metrics(target) if before is None else before.metrics
        status = self.statuses.watch(target.name, target.slo.latency)
        events = TargetEventLogger(
            target, metrics, status, self.slow_reply, clock=self._clock, stall_log=self.stall_log
        )
        breaker = CircuitBreaker(
            target.breaker,
            self._clock,
            on_change=events.breaker_changed,
            trial_interval=target.probe.trial_interval,
        )
        client = TargetClient(
            target,
            breaker,
            events,
            clock=self._clock,
            wall_clock=self._wall_clock_monitor.wall,
            connect_limiter=self.connect_limiter,
            tokens=self.tokens,
        )
        if before is not None:
            names = {configured.collector.name for configured in collectors}
            operations = {PING, CONNECT, *names, *_optional_operations(target)}
            metrics.address_changed(_info_labels(target), tuple(target.probe.buckets), operations)
            self._keep_samples(before.target, target, names)
        metrics.value(families.SLO_OBJECTIVE).set(target.slo.objective)
        show_token(client, metrics)
        metrics.open_seconds = breaker.seconds_not_closed
        events.stalls = stalls = make_stall_monitor(
            client, metrics, events, self.stalls, self._enquiry_slots, clock=self._clock, wall=self.wall
        )
        predecessor = None if before is None else before.prober
        prober = self._make_prober(client, breaker, metrics, events, predecessor=predecessor)
        status.has_connection = lambda: prober.connection is not None
        poller = self._make_poller(
            client, collectors, metrics=metrics, observer=events, ping_error=lambda: prober.last_failure
        )
        if stalls is not None:
            stalls.prober = prober
        keys = make_sampler(target, collectors, breaker, client, clock=self._clock, wall=self.wall)
        monitored = MonitoredTarget(target, breaker, client, prober, poller, metrics, stalls, keys)
        runs = list(self._schedule(monitored, events))
        if before is not None:
            if before.stalls is not None and before.target.endpoint != target.endpoint:
                before.stalls.target_moves()
            self._shutdown.drain(before, runs)
        return monitored

    def _schedule(self, monitored: MonitoredTarget, events: TargetEventLogger) -> Iterator[Run]:
        """Schedule pings, polls and optional probes. Yield the runs of their predecessors, which are cancelled."""
        target, prober, breaker = monitored.target, monitored.prober, monitored.breaker

        pings = (target.probe.interval, PROBE, target.name, prober.probe_due, prober.skipped)
        prober.schedule = self._scheduler.add_callback(*pings)
        yield schedule_poll(self._scheduler, POLL, monitored, partial(self._judge, monitored))
        monitored.metrics.callbacks[families.BREAKER_NEXT, ""] = lambda: breaker.seconds_until_attempt() or None
        yield self._schedule_canary(monitored, events)
        yield self._schedule_snapshots(monitored)
        yield self._schedule_cold_connect(monitored)
        yield schedule_sampler(self._scheduler, KEYS, target.name, monitored.keyspace)

    def _judge(self, monitored: MonitoredTarget) -> None:
        """Pass on what a poll has shown of a target to its state."""
        name, poller = monitored.target.name, monitored.poller
        samples = self._store.fresh(name, INFO)
        certificate = monitored.metrics.current(families.CERTIFICATE)
        if (status := self.statuses.get(name)) is not None:
            uptime = None if samples is None else samples.value("redis_uptime_in_seconds")
            status.on_server(poller.server.role, uptime)
            risks = find_risks(samples, self.wall(), certificate)
            status.on_polled(risks, limited=bool(poller.failing))

    def _schedule_canary(self, monitored: MonitoredTarget, events: TargetEventLogger) -> Run:
        target, poller = monitored.target, monitored.poller
        if not target.canary.enabled:
            return self._scheduler.remove(CANARY, target.name)
        canary = CanaryProbe(
            monitored.client,
            poller.server,
            monitored.metrics,
            events,
            self._heartbeats,
            instance=self._instance,
            clock=self._clock,
            is_server_known=lambda: poller.polled,
        )
        monitored.metrics.callbacks[families.REPLICATION_DELAY, target.address] = canary.delay
        return self._scheduler.add_async_job(
            target.canary.interval, CANARY, target.name, canary.run, lambda missed: canary.missed(*missed)
        )

    def _role_of(self, name: str) -> str:
        monitored = self._monitored.get(name)
        return "" if monitored is None else monitored.poller.server.role

    def _schedule_snapshots(self, monitored: MonitoredTarget) -> Run:
        target, stalls = monitored.target, monitored.stalls
        if stalls is None or not target.stalls.enquire:
            return self._scheduler.remove(SNAPSHOT, target.name)

        def snapshot(due: float) -> None:
            if not monitored.client.is_busy:  # a poll is short, and a second connection would stay open
                stalls.snapshot_due(due)

        interval = target.stalls.snapshot_interval
        take = snapshots_in_turn(snapshot, interval, self.__len__)
        self._scheduler.add_callback(interval, SNAPSHOT, target.name, take, lambda _count, _newest: None)
        return None

    def _schedule_cold_connect(self, monitored: MonitoredTarget) -> Run:
        target = monitored.target
        if target.probe.cold_connect is None:
            return self._scheduler.remove(COLD, target.name)
        cold_connect = ColdConnectProbe(monitored.client, monitored.metrics, clock=self._clock)
        return self._scheduler.add_async_job(
            target.probe.cold_connect,
            COLD,
            target.name,
            cold_connect.run,
            lambda missed: cold_connect.missed(*missed),
        )

    def _target_metrics(self, target: TargetSettings) -> TargetMetrics:
        return self._metrics.add_target(
            target.name,
            [PING, CONNECT],  # a collector adds its own at its first run, because many servers do not support it
            buckets=tuple(target.probe.buckets),
            address=target.address,
            labels=target.labels,
            clock=self._clock,
        )

    def _keep_samples(self, old: TargetSettings, new: TargetSettings, collectors: set[str]) -> None:
        """Serve samples of the same server until the next poll. Forget those of another server."""
        is_same_server = (old.endpoint, old.db) == (new.endpoint, new.db)
        kept = collectors if is_same_server else set()
        for name in self._collectors.keys() - kept:
            self._store.forget(new.name, name)

    def _configured_collectors(self, target: TargetSettings) -> list[ConfiguredCollector]:
        """Return the collectors of a target. The configuration loader has checked their names and options."""
        options = target.collectors
        if options is None:
            options = {name: {} for name, collector in self._collectors.items() if collector.default}
        return [
            ConfiguredCollector(collector.for_target(), self._shared_options.share(collector.options(**options[name])))
            for name, collector in self._collectors.items()
            if name in options
        ]
