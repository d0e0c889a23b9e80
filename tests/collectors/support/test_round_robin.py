from collections.abc import Iterable

from redis_pulse.collectors.support.round_robin import RoundRobin
from redis_pulse.collectors.support.time_budget import TimeBudgetOptions
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField, gauge
from tests.fake_keyspace import time_budget
from tests.fakes import ManualClock

METRIC = gauge("Test", "thing", "thing", "A thing.", labels=("name",))


class RoundRobinHarness:
    """Reads items, which takes a second per batch, and lists the batches."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.round_robin: RoundRobin[str] = RoundRobin(self.clock)
        self.batches: list[str] = []

    async def read_batch(self, batch: list[str]) -> dict[str, list[CollectorItem]]:
        self.batches.append("".join(batch))
        self.clock.advance(1)
        return {
            name: [METRIC.sample(len(self.batches), name), UnreadableField(name), OverflowCount(name, 1)]
            for name in batch
        }

    async def run(self, items: Iterable[str], budget: float = 60.0, batch_size: int = 2) -> list[str]:
        """Run once with letters as items. Upper and lower case do not share a batch."""
        self.batches = []
        options = TimeBudgetOptions(budget=budget, pause=0)
        await self.round_robin.run(
            items, time_budget(self.clock, options), batch_size, self.read_batch, batch_key=str.isupper
        )
        return self.batches

    def names(self) -> list[str]:
        """Return the items with samples in the results."""
        return sorted(one.labels[0] for one in self.round_robin.results() if isinstance(one, Sample))


async def test_run_reads_each_item_once_in_batches_with_the_same_key() -> None:
    harness = RoundRobinHarness()
    assert await harness.run("abCdE") == ["ab", "CE", "d"]


async def test_next_run_continues_where_the_budget_ended() -> None:
    harness = RoundRobinHarness()
    assert await harness.run("abcdef", budget=2) == ["ab", "cd"]
    assert await harness.run("abcdef", budget=2) == ["ef", "ab"]
    assert await harness.run("abcdef", budget=1) == ["cd"]
    assert harness.round_robin.age() == 2  # a and b were read last, before c and d


async def test_older_samples_stay_and_problems_are_reported_once() -> None:
    harness = RoundRobinHarness()
    await harness.run("abcd", budget=1)
    assert len(list(harness.round_robin.results())) == 6
    await harness.run("abcd", budget=1)
    results = list(harness.round_robin.results())
    assert sorted(one.labels[0] for one in results if isinstance(one, Sample)) == list("abcd")
    assert sorted(one.location for one in results if isinstance(one, UnreadableField)) == ["c", "d"]


async def test_new_items_come_first_and_removed_items_are_forgotten() -> None:
    harness = RoundRobinHarness()
    await harness.run("abcd")
    assert await harness.run("abxy", budget=1) == ["xy"]
    assert harness.names() == list("abxy")
    await harness.run("")
    assert list(harness.round_robin.results()) == []
    assert harness.round_robin.age() == 0
