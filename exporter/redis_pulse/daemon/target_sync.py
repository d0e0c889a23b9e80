"""Which targets there are: those that are declared and those that are found, handed to the fleet."""

import asyncio
from collections.abc import Callable, Sequence
from time import time

from redis_pulse.config import Loaded, Shard, SourceSettings, TargetSettings
from redis_pulse.config.sharding import is_ours
from redis_pulse.daemon.target_manager import Difference, Fleet
from redis_pulse.discovery import Discovery, Feeling, Surroundings
from redis_pulse.scheduling import Schedule
from redis_pulse.server_info import Target
from redis_pulse.telemetry import Instruments

DISCOVER = "discover"


class Finding:
    """Schedules the sources, and applies to the fleet what they find beside the declared targets."""

    def __init__(
        self,
        fleet: Fleet,
        instruments: Instruments,
        schedule: Schedule,
        *,
        clock: Callable[[], float],
        shard: Shard | None = None,
    ) -> None:
        self.fleet = fleet
        self._instruments = instruments.discovery
        self._schedule = schedule
        self._clock = clock
        self._declared: Sequence[TargetSettings] = ()
        self._sets: set[str] = set()
        self._shard = shard
        if shard is not None:
            self._instruments.shard.of(str(shard.index), str(shard.count)).set(1)
        self._applying = asyncio.Lock()
        self._discovery = Discovery(instruments.discovery, self._lend, changed=self._changed, wall=time)
        #: told of every change of the targets
        self.on_change: Callable[[Difference], None] = lambda _change: None

    @property
    def settled(self) -> bool:
        """Whether every source was asked once, whatever came of it."""
        return self._discovery.settled

    async def take(self, loaded: Loaded) -> Difference:
        """Take over a configuration: its targets at once, those that are to be found as soon as they are."""
        come, gone = await self._discovery.take(loaded.sources, loaded.settings.discovery)
        for key in gone:
            await self._schedule.cancel(DISCOVER, key)
        self._declared = loaded.targets
        self._sets = {source.name for source in loaded.sources if source.kind == "sentinel"}
        change = await self._apply()
        for source in come:
            self._follow(source)
        return change

    async def stop(self) -> None:
        """Close every source."""
        await self._discovery.stop()

    def _follow(self, source: SourceSettings) -> None:
        async def refresh(_due: float) -> None:
            await self._discovery.refresh(source.key)

        self._schedule.every(source.options.interval, DISCOVER, source.key, refresh, lambda _missed: None, now=True)

    async def _changed(self) -> None:
        await self._apply()

    async def _apply(self) -> Difference:
        async with self._applying:
            change = await self.fleet.apply(self._ours())
        if change.gone or change.come:
            self.on_change(change)
        return change

    def _ours(self) -> list[Target]:
        everything = self._discovery.targets(self._declared)
        return [Target.of(target) for target in everything if is_ours(self._whole(target), self._shard)]

    def _whole(self, target: TargetSettings) -> str:
        """Return the name by which a target goes to a shard: its own, or that of its Sentinel set.

        Who is ``queue/replica-2`` depends on what came and went since a shard first asked, so a set is not divided.
        """
        whose = target.labels.get("sentinel", "")
        return whose if whose in self._sets and target.name.startswith(f"{whose}/") else target.name

    def _lend(
        self, settings: SourceSettings, hint: Callable[[], None], refuse: Callable[[str, str], None]
    ) -> Surroundings:
        return Surroundings(
            self._instruments,
            self._clock,
            self.fleet.ramp,
            hint=hint,
            refuse=refuse,
            feeling=self._feeling,
            owner=is_ours(settings.name, self._shard),
        )

    def _feeling(self, name: str) -> Feeling | None:
        if (watch := self.fleet.get(name)) is None:
            return None
        prober = watch.prober
        return Feeling(
            watch.target.address,
            up=prober.last is not None and prober.last.error is None,
            role=watch.sampler.server.role,
            is_tried=prober.last is not None,
            answered=prober.silence.answered,
            silent_since=prober.silence.since(is_waiting=prober.in_flight > 0),
        )
