"""The targets under watch: each with its breaker, client, prober and sampler; added, removed and changed at runtime."""

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import time_ns
from typing import NamedTuple

from exporter.app.report import CONNECT, Report
from exporter.breaker import Breaker
from exporter.canary import Canary
from exporter.client import Client, Ramp
from exporter.cold import ColdConnect
from exporter.collectors import Collector
from exporter.heartbeat import Heartbeats
from exporter.instruments import Instruments, TargetInstruments, families
from exporter.prober import PING, Clocks, ProbeLog, Prober
from exporter.sampler import Part, Sampler
from exporter.schedule import Schedule
from exporter.store import Store
from exporter.targets import Target

POLL, PROBE, CANARY, COLD = "poll", "probe", "canary", "cold_connect"


class Difference(NamedTuple):
    """What a new list of targets changes: names that go, and targets that come (a changed one does both)."""

    gone: tuple[str, ...]
    come: tuple[Target, ...]


def difference(running: Mapping[str, Target], wanted: Sequence[Target]) -> Difference:
    """Compare by value: an unchanged target keeps its connections, its breaker and its counters."""
    by_name = {target.name: target for target in wanted}
    gone = tuple(name for name, target in running.items() if by_name.get(name) != target)
    come = tuple(target for target in wanted if running.get(target.name) != target)
    return Difference(gone, come)


def _only_moved(old: Target, new: Target) -> bool:
    """Whether a target is the same but for where it is, and for labels: its counters go on, for it keeps its name."""
    return (
        new.settings.model_copy(update={"endpoint": old.settings.endpoint, "labels": old.settings.labels})
        == old.settings
    )


@dataclass(frozen=True, slots=True)
class Watch:
    """One target under watch."""

    target: Target
    breaker: Breaker
    client: Client
    prober: Prober
    sampler: Sampler
    instruments: TargetInstruments

    async def stop(self) -> None:
        """Close what is open."""
        await self.prober.stop()
        await self.client.aclose()


class Fleet:
    """Every target under watch, in the order of the configuration."""

    def __init__(
        self,
        collectors: Mapping[str, Collector],
        store: Store,
        instruments: Instruments,
        schedule: Schedule,
        *,
        clock: Callable[[], float],
        wall: Callable[[], int] = time_ns,
        probe_log: ProbeLog | None = None,
    ) -> None:
        self._collectors = collectors
        self._store = store
        self._instruments = instruments
        self._schedule = schedule
        self._clock = clock
        self._clocks = Clocks(clock, wall)
        #: everybody who connects waits for a turn of it
        self.ramp = Ramp()
        self._probe_log = probe_log
        self._changing = asyncio.Lock()
        # A key of our own: another exporter, or an earlier life of this one, must not be read for us.
        self._instance = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._heartbeats = Heartbeats(self._instance)
        self._watches: dict[str, Watch] = {}
        self._names: dict[str, str] = {}  # by address
        self.slow_reply: float | None = None

    def __iter__(self) -> Iterator[Watch]:
        return iter(tuple(self._watches.values()))

    def __len__(self) -> int:
        return len(self._watches)

    def get(self, name: str) -> Watch | None:
        """Return the target of that name, if it is watched."""
        return self._watches.get(name)

    @property
    def collectors(self) -> list[str]:
        """The names of all collectors, whether a target has them or not."""
        return list(self._collectors)

    def at(self, address: str) -> str | None:
        """Return the name of the first target at an address."""
        return self._names.get(address)

    @property
    def is_changing(self) -> bool:
        """Whether targets are just being added and removed."""
        return self._changing.locked()

    async def apply(self, targets: Sequence[Target]) -> Difference:
        """Watch these targets and no others; those that did not change go on undisturbed."""
        async with self._changing:
            change = difference({name: watch.target for name, watch in self._watches.items()}, targets)
            moved = {
                target.name: self._watches[target.name].instruments
                for target in change.come
                if target.name in self._watches and _only_moved(self._watches[target.name].target, target)
            }
            await asyncio.gather(*(self._drop(name, keep=name in moved) for name in change.gone))
            for target in change.come:
                self._watches[target.name] = self._watch(target, moved.get(target.name))
                await asyncio.sleep(0)  # a thousand targets take seconds, and pings are due meanwhile
            self._watches = {target.name: self._watches[target.name] for target in targets}
            self._names = {target.address: target.name for target in reversed(targets)}
        return change

    async def stop(self) -> None:
        """Close every connection; the store and the counters stay as they are."""
        await asyncio.gather(*(watch.stop() for watch in self._watches.values()))

    async def _drop(self, name: str, *, keep: bool) -> None:
        """Stop watching a target; ``keep`` its counters when it only moves to another address."""
        watch = self._watches.pop(name)
        for kind in (POLL, PROBE, CANARY, COLD):
            await self._schedule.cancel(kind, name)
        await watch.stop()
        self._heartbeats.forget(watch.target.address)
        self._store.forget(name)
        if not keep:
            self._instruments.forget(name)

    def _watch(self, target: Target, known: TargetInstruments | None = None) -> Watch:
        settings = target.settings
        parts = self._parts(target)
        if known is not None:
            known.moved({"address": target.address, **settings.labels})
        instruments = known or self._instruments.watch(
            target.name,
            [PING, CONNECT],  # those of collectors come with their first run: many servers are not of their kind
            buckets=tuple(settings.probe.buckets),
            address=target.address,
            labels=settings.labels,
        )
        instruments.cell(families.SLO_OBJECTIVE).set(settings.slo.objective)
        report = Report(target, instruments, self.slow_reply)
        breaker = Breaker(
            settings.breaker,
            self._clock,
            on_change=report.breaker_changed,
            trial_interval=settings.probe.trial_interval,
        )
        instruments.open_seconds = breaker.seconds_not_closed
        client = Client(target, breaker, report, clock=self._clock, wall=self._clocks.wall, ramp=self.ramp)
        prober = Prober(client, breaker, instruments, report, clocks=self._clocks, log=self._probe_log)
        sampler = Sampler(client, parts, self._store, instruments, report, clock=self._clock)
        self._schedule.each(settings.probe.interval, PROBE, target.name, prober.slot, prober.skipped)
        self._schedule.every(
            settings.poll.interval, POLL, target.name, sampler.poll, lambda missed: sampler.missed(*missed), now=True
        )
        instruments.at_render[families.BREAKER_NEXT, ""] = breaker.seconds_until_attempt
        watch = Watch(target, breaker, client, prober, sampler, instruments)
        self._watch_more(watch, instruments, report)
        return watch

    def _watch_more(self, watch: Watch, instruments: TargetInstruments, report: Report) -> None:
        """Schedule what a target has only when its settings ask for it."""
        name, settings, client = watch.target.name, watch.target.settings, watch.client
        if settings.canary.enabled:
            canary = Canary(
                client,
                watch.sampler.server,
                instruments,
                report,
                self._heartbeats,
                instance=self._instance,
                clock=self._clock,
                known=lambda: watch.sampler.polled,
            )
            instruments.at_render[families.REPLICATION_DELAY, watch.target.address] = canary.delay
            self._schedule.every(
                settings.canary.interval, CANARY, name, canary.run, lambda missed: canary.missed(*missed)
            )
        if settings.probe.cold_connect is not None:
            cold = ColdConnect(client, watch.breaker, instruments, clock=self._clock)
            self._schedule.every(settings.probe.cold_connect, COLD, name, cold.run, lambda missed: cold.missed(*missed))

    def _parts(self, target: Target) -> list[Part]:
        """Return the collectors of a target; names and options were checked when the configuration was read."""
        wanted = target.settings.collectors
        if wanted is None:
            wanted = {name: {} for name, collector in self._collectors.items() if collector.default}
        return [
            Part(collector.for_target(), collector.options(**wanted[name]))
            for name, collector in self._collectors.items()
            if name in wanted
        ]
