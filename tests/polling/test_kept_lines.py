"""A collector with nothing new keeps its lines. Their age, and what is counted about the run, are those of the run."""

from collections.abc import AsyncIterator, Iterable
from typing import Any, ClassVar

import pytest

from redis_pulse.collectors.base import Stateless
from redis_pulse.collectors.config import COLLECTOR as CONFIG
from redis_pulse.collectors.slowlog import COLLECTOR as SLOWLOG
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.exposition import render_steps
from redis_pulse.metric import CollectorItem, KeptItems, MetricSpec, UnreadableField, gauge
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.sample_store import SampleStore
from redis_pulse.server_info import Server
from redis_pulse.slices import SharedTurns
from tests.fakes import FakeCommands, FakeServer
from tests.harness import TargetHarness, end_first_zeros, metric_value

SPEC = gauge("S", "f", "x", "X.")


class Keeping(Stateless):
    """Returns whatever the test wants."""

    name: ClassVar[str] = "probe"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (SPEC,)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = ("memory|doctor",)

    def __init__(self) -> None:
        self.items: Iterable[CollectorItem] = ()

    def applies(self, server: Server) -> bool:
        return True

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[CollectorItem]:
        await commands.execute("MEMORY", "DOCTOR")
        return self.items


class Polled(TargetHarness):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.collector = Keeping()
        self.store = SampleStore(render_steps, self.clock)
        self.poller = TargetPoller(
            self.client,
            [ConfiguredCollector(self.collector, Options())],
            self.store,
            self.target_metrics,
            self.observer,
            ping_error=lambda: None,
            turns=SharedTurns(),
            clock=self.clock,
        )

    async def poll(self, items: Iterable[CollectorItem]) -> Any:
        self.collector.items = items
        self.clock.advance(10.0)
        await self.poller.poll(0.0)
        return self.store.fresh_by_collector("t").get("probe")


@pytest.fixture
async def polled() -> AsyncIterator[Polled]:
    async with FakeServer() as server:
        one = Polled(server.url)
        yield one
        await one.close()


async def test_lines_of_the_same_items_are_kept(polled: Polled) -> None:
    items = KeptItems([SPEC.sample(1.0), UnreadableField("a")])
    first = await polled.poll(items)
    assert await polled.poll(items) is first
    assert polled.store.age("t", "probe") == 0
    assert polled.total("probe") == 2
    end_first_zeros(polled.metrics, polled.pages)
    assert metric_value(polled.metrics, "redis_exporter_unreadable_fields_total", collector="probe") == 2


async def test_other_items_are_rendered(polled: Polled) -> None:
    items = KeptItems([SPEC.sample(1.0)])
    await polled.poll(items)
    other = await polled.poll(KeptItems([SPEC.sample(2.0)]))
    assert other.value(SPEC.full_name) == 2
    assert (await polled.poll(items)).value(SPEC.full_name) == 1
    assert (await polled.poll([SPEC.sample(3.0)])).value(SPEC.full_name) == 3
    assert (await polled.poll(items)).value(SPEC.full_name) == 1


async def test_kept_lines_return_after_they_were_dropped(polled: Polled) -> None:
    items = KeptItems([SPEC.sample(1.0)])
    await polled.poll(items)
    polled.store.forget("t")
    assert (await polled.poll(items)).value(SPEC.full_name) == 1


async def test_settings_that_stay_are_the_same_items() -> None:
    replies: dict[Any, Any] = {
        f"CONFIG GET {name}": [name.encode(), b"7"] for name in ("maxclients", "io-threads", "repl-backlog-size")
    }
    replies |= {"CONFIG GET maxmemory": [b"maxmemory", b"0"], "CONFIG GET client-output-buffer-limit": []}
    options = CONFIG.options()
    first, second = [await CONFIG.for_target().collect(Server(), FakeCommands(replies), options) for _ in range(2)]
    assert first is second
    changed = FakeCommands(replies | {"CONFIG GET maxmemory": [b"maxmemory", b"5"]})
    assert await CONFIG.for_target().collect(Server(), changed, options) != first


async def test_slow_log_that_stays_has_the_same_items() -> None:
    entry = [1, 1_700_000_000, 20_000, [b"KEYS", b"*"], b"127.0.0.1:5", b""]
    collector, options = SLOWLOG.for_target(), SLOWLOG.options()
    idle = FakeCommands({"SLOWLOG LEN": 1, ("SLOWLOG", "GET", 1): [entry]})
    first, second = [await collector.collect(Server(), idle, options) for _ in range(2)]
    assert first is second
    newer = [2, *entry[1:]]
    busy = FakeCommands({"SLOWLOG LEN": 2, ("SLOWLOG", "GET", 1): [newer]})
    assert await collector.collect(Server(), busy, options) != first
