"""The targets under watch: each with its breaker, client, prober and sampler; added, removed and changed at runtime."""

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import time_ns
from typing import NamedTuple

from redis_pulse.backoff import Backoff
from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import ConnectLimiter, TargetClient
from redis_pulse.collectors import Collector
from redis_pulse.config import TargetSettings
from redis_pulse.daemon.pending_changes import PendingChanges
from redis_pulse.daemon.target_events import CONNECT, TargetEventLogger
from redis_pulse.daemon.target_shutdown import MonitoredTarget, Run, TargetShutdown
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.probe import PING, ProbeCsvLog, Prober, WallClockMonitor
from redis_pulse.probe.canary import READ, WRITE, CanaryProbe
from redis_pulse.probe.cold_connect import ColdConnectProbe
from redis_pulse.probe.replication_delay import HeartbeatRegistry
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import Scheduler
from redis_pulse.server_info import Target
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics, families
from redis_pulse.web import PendingChange

__all__ = ["MonitoredTarget", "TargetDiff", "TargetManager", "difference"]

POLL, PROBE, CANARY, COLD = "poll", "probe", "canary", "cold_connect"
#: Seconds: the first and the longest wait before a change that failed is tried again.
RETRY_BASE, RETRY_CAP = 1.0, 60.0


class TargetDiff(NamedTuple):
    """What a new list of targets changes: names that go, and targets that come (a changed one does both)."""

    removed: tuple[str, ...]
    added: tuple[Target, ...]


def difference(running: Mapping[str, Target], wanted: Sequence[Target]) -> TargetDiff:
    """Compare by value: an unchanged target keeps its connections, its breaker and its counters."""
    by_name = {target.name: target for target in wanted}
    gone = tuple(name for name, target in running.items() if by_name.get(name) != target)
    come = tuple(target for target in wanted if running.get(target.name) != target)
    return TargetDiff(gone, come)


def _only_relabelled(old: Target, new: Target) -> bool:
    """Whether a target is the same but for its labels."""
    return new.settings.model_copy(update={"labels": old.settings.labels}) == old.settings


def _info(target: Target) -> dict[str, str]:
    return {"address": target.address, **target.settings.labels}


def _operations(settings: TargetSettings) -> tuple[str, ...]:
    """Return what is timed of a target only when its settings ask for it."""
    of_canary = (WRITE, READ) if settings.canary.enabled else ()
    return of_canary if settings.probe.cold_connect is None else (*of_canary, COLD)


class TargetManager:
    """Every target under watch, in the order of the configuration."""

    def __init__(
        self,
        collectors: Mapping[str, Collector],
        store: SampleStore,
        instruments: ExporterMetrics,
        schedule: Scheduler,
        *,
        clock: Callable[[], float],
        wall: Callable[[], int] = time_ns,
        probe_log: ProbeCsvLog | None = None,
        make_backoff: Callable[[], Backoff] = lambda: Backoff(RETRY_BASE, RETRY_CAP, floor=RETRY_BASE),
    ) -> None:
        self._collectors = collectors
        self._store = store
        self._metrics = instruments
        self._scheduler = schedule
        self._clock = clock
        self._wall_clock_monitor = WallClockMonitor(clock, wall)
        #: everybody who connects waits for a turn of it
        self.connect_limiter = ConnectLimiter()
        self._probe_log = probe_log
        self._changing = asyncio.Lock()
        # A key of our own: another exporter, or an earlier life of this one, must not be read for us.
        self._instance = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._heartbeats = HeartbeatRegistry(self._instance)
        self._monitored: dict[str, MonitoredTarget] = {}
        self._names: dict[str, str] = {}  # by address
        self.slow_reply: float | None = None
        self._wanted: Sequence[Target] = ()
        self._pending = PendingChanges(lambda step: instruments.apply_failures.labels(step).inc())
        self._make_backoff = make_backoff
        self._retry = make_backoff()
        self._timer: asyncio.TimerHandle | None = None
        self._leaving = TargetShutdown(self._pending, make_backoff)
        self._is_stopping = False

    def __iter__(self) -> Iterator[MonitoredTarget]:
        return iter(tuple(self._monitored.values()))

    def __len__(self) -> int:
        return len(self._monitored)

    def get(self, name: str) -> MonitoredTarget | None:
        """Return the target of that name, if it is watched."""
        return self._monitored.get(name)

    @property
    def collectors(self) -> list[str]:
        """The names of all collectors, whether a target has them or not."""
        return list(self._collectors)

    def name_at(self, address: str) -> str | None:
        """Return the name of the first target at an address."""
        return self._names.get(address)

    @property
    def is_changing(self) -> bool:
        """Whether targets are just being added and removed."""
        return self._changing.locked()

    @property
    def pending(self) -> list[PendingChange]:
        """The changes that failed and are tried again."""
        return list(self._pending)

    async def apply(self, targets: Sequence[Target]) -> TargetDiff:
        """Watch these targets and no others; those that did not change go on undisturbed.

        Each target is for itself: what fails for one is tried again later. What is closed is closed beside, so nobody
        waits for it. Returns what was changed.
        """
        async with self._changing:
            self._wanted = tuple(targets)
            return await self._apply()

    async def stop(self) -> None:
        """Close every connection; the store and the counters stay as they are."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        await self._leaving.stop(self)

    async def _apply(self) -> TargetDiff:
        wanted = {target.name for target in self._wanted}
        addresses = {watch.target.address for watch in self._monitored.values()}
        change = difference({name: watch.target for name, watch in self._monitored.items()}, self._wanted)
        for one in self._pending:
            if one.target not in wanted:
                self._pending.done(one.target, "open", "move")
        for name in change.removed:
            if name not in wanted:
                self._drop(name)
        come = []
        try:
            for target in change.added:
                if self._take(target):
                    come.append(target)
                await asyncio.sleep(0)  # a thousand targets take seconds, and pings are due meanwhile
        finally:
            watches = [self._monitored[one.name] for one in self._wanted if one.name in self._monitored]
            self._monitored = {watch.target.name: watch for watch in watches}
            self._names = {watch.target.address: watch.target.name for watch in reversed(watches)}
            for address in addresses - self._names.keys():
                self._heartbeats.forget(address)
            self._plan_retry()
        failed = {target.name for target in change.added} - {target.name for target in come}
        return TargetDiff(tuple(name for name in change.removed if name not in failed), tuple(come))

    def _take(self, target: Target) -> bool:
        """Begin to watch a target, or go on with it as it is now; return whether that worked."""
        name, running = target.name, self._monitored.get(target.name)
        try:
            if running is not None and _only_relabelled(running.target, target):
                running.metrics.relabelled(_info(target))
                self._monitored[name] = replace(running, target=target)
            else:
                self._monitored[name] = self._start(target, running)
        except Exception as error:  # noqa: BLE001  # whatever befalls one target, the others go on
            self._pending.failed(name, "open" if running is None else "move", error)
            if running is None:
                self._forget(name)
            elif running.prober.is_replaced:  # it failed half way: nothing pings it any more
                self._drop(name)
            return False
        self._pending.done(name, "open", "move")
        return True

    def _plan_retry(self) -> None:
        """Apply the same list once more, later, when a part of it failed."""
        if not self._pending.has("open", "move"):
            self._retry.reset()
        elif self._timer is None and not self._is_stopping:
            self._timer = asyncio.get_running_loop().call_later(self._retry.next(), self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        self._leaving.beside(self._apply_again())

    async def _apply_again(self) -> None:
        async with self._changing:
            await self._apply()

    def _drop(self, name: str) -> None:
        """Stop watching a target and forget its series at once; its connections are closed beside."""
        watch = self._monitored.pop(name)
        self._leaving.close(watch, self._forget(name))

    def _forget(self, name: str) -> list[Run]:
        """Schedule nothing any more for a target, and drop its series; return its runs, which are cancelled."""
        runs = []
        for kind in (PROBE, POLL, CANARY, COLD):
            try:
                runs.append(self._scheduler.remove(kind, name))
            except Exception as error:  # noqa: BLE001  # the rest is dropped all the same
                self._pending.failed(name, "close", error)
        self._store.forget(name)
        self._metrics.remove_target(name)
        return runs

    def _start(self, target: Target, before: MonitoredTarget | None) -> MonitoredTarget:
        """Watch a target from now on; one that was watched ``before`` keeps its counters and its phases."""
        settings = target.settings
        parts = self._parts(target)
        instruments = self._target_metrics(target) if before is None else before.metrics
        report = TargetEventLogger(target, instruments, self.slow_reply, clock=self._clock)
        breaker = CircuitBreaker(
            settings.breaker,
            self._clock,
            on_change=report.breaker_changed,
            trial_interval=settings.probe.trial_interval,
        )
        client = TargetClient(
            target,
            breaker,
            report,
            clock=self._clock,
            wall=self._wall_clock_monitor.wall,
            connect_limiter=self.connect_limiter,
        )
        if before is not None:
            had = {PING, CONNECT, *(part.collector.name for part in parts), *_operations(settings)}
            instruments.address_changed(_info(target), tuple(settings.probe.buckets), had)
            self._keep_samples(before.target, target, parts)
        instruments.value(families.SLO_OBJECTIVE).set(settings.slo.objective)
        instruments.open_seconds = breaker.seconds_not_closed
        prober = Prober(
            client,
            breaker,
            instruments,
            report,
            clocks=self._wall_clock_monitor,
            log=self._probe_log,
            before=None if before is None else before.prober,
        )
        sampler = TargetPoller(
            client, parts, self._store, instruments, report, trouble=lambda: prober.last_failure, clock=self._clock
        )
        self._scheduler.add_callback(settings.probe.interval, PROBE, target.name, prober.probe_due, prober.skipped)
        run = self._scheduler.add_async_job(
            settings.poll.interval, POLL, target.name, sampler.poll, lambda missed: sampler.missed(*missed), now=True
        )
        instruments.callbacks[families.BREAKER_NEXT, ""] = breaker.seconds_until_attempt
        watch = MonitoredTarget(target, breaker, client, prober, sampler, instruments)
        runs = [run, *self._start_optional_probes(watch, instruments, report)]
        if before is not None:
            self._leaving.drain(before, runs)
        return watch

    def _target_metrics(self, target: Target) -> TargetMetrics:
        return self._metrics.add_target(
            target.name,
            [PING, CONNECT],  # those of collectors come with their first run: many servers are not of their kind
            buckets=tuple(target.settings.probe.buckets),
            address=target.address,
            labels=target.settings.labels,
        )

    def _keep_samples(self, old: Target, new: Target, parts: Sequence[ConfiguredCollector]) -> None:
        """Serve what was found on this server until the next poll; not what another server said."""
        kept = {part.collector.name for part in parts}
        if (old.settings.endpoint, old.settings.db) != (new.settings.endpoint, new.settings.db):
            kept.clear()
        for name in self._collectors.keys() - kept:
            self._store.forget(new.name, name)

    def _start_optional_probes(
        self, watch: MonitoredTarget, instruments: TargetMetrics, report: TargetEventLogger
    ) -> Iterator[Run]:
        """Schedule what a target has only when its settings ask for it; yield the runs that are cancelled for it."""
        name, settings, client = watch.target.name, watch.target.settings, watch.client
        if settings.canary.enabled:
            canary = CanaryProbe(
                client,
                watch.poller.server,
                instruments,
                report,
                self._heartbeats,
                instance=self._instance,
                clock=self._clock,
                known=lambda: watch.poller.polled,
            )
            instruments.callbacks[families.REPLICATION_DELAY, watch.target.address] = canary.delay
            yield self._scheduler.add_async_job(
                settings.canary.interval, CANARY, name, canary.run, lambda missed: canary.missed(*missed)
            )
        else:
            yield self._scheduler.remove(CANARY, name)
        if settings.probe.cold_connect is not None:
            cold = ColdConnectProbe(client, watch.breaker, instruments, clock=self._clock)
            yield self._scheduler.add_async_job(
                settings.probe.cold_connect, COLD, name, cold.run, lambda missed: cold.missed(*missed)
            )
        else:
            yield self._scheduler.remove(COLD, name)

    def _parts(self, target: Target) -> list[ConfiguredCollector]:
        """Return the collectors of a target; names and options were checked when the configuration was read."""
        wanted = target.settings.collectors
        if wanted is None:
            wanted = {name: {} for name, collector in self._collectors.items() if collector.default}
        return [
            ConfiguredCollector(collector.for_target(), collector.options(**wanted[name]))
            for name, collector in self._collectors.items()
            if name in wanted
        ]
