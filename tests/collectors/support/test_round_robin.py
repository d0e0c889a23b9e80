from collections.abc import Iterable

from redis_pulse.collectors.support.round_robin import RoundRobin
from redis_pulse.collectors.support.time_budget import TimeBudgetOptions
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField, gauge
from tests.fake_keyspace import time_budget
from tests.fakes import ManualClock

ROW = gauge("Test", "thing", "thing", "A thing.", labels=("name",))


class Watch:
    """Looks at things, which takes a second a batch, and tells which it looked at."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.rota: RoundRobin[str] = RoundRobin(self.clock)
        self.looked: list[str] = []

    async def look(self, batch: list[str]) -> dict[str, list[CollectorItem]]:
        self.looked.append("".join(batch))
        self.clock.advance(1)
        return {
            name: [ROW.sample(len(self.looked), name), UnreadableField(name), OverflowCount(name, 1)] for name in batch
        }

    async def run(self, things: Iterable[str], budget: float = 60.0, batch: int = 2) -> list[str]:
        self.looked = []
        options = TimeBudgetOptions(budget=budget, pause=0)
        await self.rota.run(things, time_budget(self.clock, options), batch, self.look, alike=str.isupper)
        return self.looked


async def test_with_time_enough_each_is_looked_at_once_and_only_those_that_are_alike_together() -> None:
    watch = Watch()
    assert await watch.run("abCdE") == ["ab", "CE", "d"]


async def test_the_next_run_goes_on_where_the_budget_ended() -> None:
    watch = Watch()
    assert await watch.run("abcdef", budget=2) == ["ab", "cd"]
    assert await watch.run("abcdef", budget=2) == ["ef", "ab"]
    assert await watch.run("abcdef", budget=1) == ["cd"]
    assert watch.rota.age() == 2  # a and b were looked at last, before c and d


async def test_what_was_found_of_the_others_stands_and_complaints_are_told_once() -> None:
    watch = Watch()
    await watch.run("abcd", budget=1)
    assert len(list(watch.rota.results())) == 6
    await watch.run("abcd", budget=1)
    found = list(watch.rota.results())
    assert sorted(one.labels[0] for one in found if isinstance(one, Sample)) == list("abcd")
    assert sorted(one.location for one in found if isinstance(one, UnreadableField)) == ["c", "d"]


async def test_newcomers_come_first_and_what_is_gone_is_forgotten() -> None:
    watch = Watch()
    await watch.run("abcd")
    assert await watch.run("abxy", budget=1) == ["xy"]
    assert sorted(one.labels[0] for one in watch.rota.results() if isinstance(one, Sample)) == list("abxy")
    await watch.run("")
    assert list(watch.rota.results()) == []
    assert watch.rota.age() == 0
