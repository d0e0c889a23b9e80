"""The targets under watch: each with its breaker, client, prober and sampler; added, removed and changed at runtime."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.app.report import CONNECT, Report
from exporter.breaker import Breaker
from exporter.client import Client
from exporter.collectors import Collector
from exporter.instruments import Instruments
from exporter.prober import PING, Prober
from exporter.sampler import Part, Sampler
from exporter.schedule import Schedule
from exporter.store import Store
from exporter.targets import Target

POLL, PROBE = "poll", "probe"


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


@dataclass(frozen=True, slots=True)
class Watch:
    """One target under watch."""

    target: Target
    breaker: Breaker
    client: Client
    prober: Prober
    sampler: Sampler

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
    ) -> None:
        self._collectors = collectors
        self._store = store
        self._instruments = instruments
        self._schedule = schedule
        self._clock = clock
        self._watches: dict[str, Watch] = {}
        self.slow_reply: float | None = None

    def __iter__(self) -> Iterator[Watch]:
        return iter(tuple(self._watches.values()))

    async def apply(self, targets: Sequence[Target]) -> Difference:
        """Watch these targets and no others; those that did not change go on undisturbed."""
        change = difference({name: watch.target for name, watch in self._watches.items()}, targets)
        await asyncio.gather(*(self._drop(name) for name in change.gone))
        for target in change.come:
            self._watches[target.name] = self._watch(target)
        self._watches = {target.name: self._watches[target.name] for target in targets}
        return change

    async def stop(self) -> None:
        """Close every connection; the store and the counters stay as they are."""
        await asyncio.gather(*(watch.stop() for watch in self._watches.values()))

    async def _drop(self, name: str) -> None:
        watch = self._watches.pop(name)
        await self._schedule.cancel(POLL, name)
        await self._schedule.cancel(PROBE, name)
        await watch.stop()
        self._store.forget(name)
        self._instruments.forget(name)

    def _watch(self, target: Target) -> Watch:
        settings = target.settings
        parts = self._parts(target)
        instruments = self._instruments.watch(
            target.name,
            [PING, CONNECT, *(part.collector.name for part in parts)],
            buckets=tuple(settings.probe.buckets),
            address=target.address,
            labels=settings.labels,
        )
        report = Report(target, instruments, self.slow_reply)
        breaker = Breaker(settings.breaker, self._clock, on_change=report.breaker_changed)
        instruments.open_seconds = breaker.seconds_not_closed
        client = Client(target, breaker, report, clock=self._clock)
        prober = Prober(client, breaker, instruments, report, clock=self._clock)
        sampler = Sampler(client, parts, self._store, instruments, report, clock=self._clock)
        self._schedule.every(
            settings.probe.interval, PROBE, target.name, prober.slot, lambda missed: prober.skipped(sum(missed))
        )
        self._schedule.every(
            settings.poll.interval, POLL, target.name, sampler.poll, lambda missed: sampler.missed(*missed), now=True
        )
        return Watch(target, breaker, client, prober, sampler)

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
