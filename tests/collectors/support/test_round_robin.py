from collections.abc import Iterable

from redis_pulse.collectors.support.round_robin import Rota
from redis_pulse.collectors.support.time_budget import PaceOptions
from redis_pulse.metric import Found, Overflow, Sample, Unreadable, gauge
from tests.fake_keyspace import paced
from tests.fakes import HandClock

ROW = gauge("Test", "thing", "thing", "A thing.", labels=("name",))


class Watch:
    """Looks at things, which takes a second a batch, and tells which it looked at."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.rota: Rota[str] = Rota(self.clock)
        self.looked: list[str] = []

    async def look(self, batch: list[str]) -> dict[str, list[Found]]:
        self.looked.append("".join(batch))
        self.clock.advance(1)
        return {name: [ROW.sample(len(self.looked), name), Unreadable(name), Overflow(name, 1)] for name in batch}

    async def run(self, things: Iterable[str], budget: float = 60.0, batch: int = 2) -> list[str]:
        self.looked = []
        options = PaceOptions(budget=budget, pause=0)
        await self.rota.go_on(things, paced(self.clock, options), batch, self.look, alike=str.isupper)
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
    assert len(list(watch.rota.found())) == 6
    await watch.run("abcd", budget=1)
    found = list(watch.rota.found())
    assert sorted(one.labels[0] for one in found if isinstance(one, Sample)) == list("abcd")
    assert sorted(one.place for one in found if isinstance(one, Unreadable)) == ["c", "d"]


async def test_newcomers_come_first_and_what_is_gone_is_forgotten() -> None:
    watch = Watch()
    await watch.run("abcd")
    assert await watch.run("abxy", budget=1) == ["xy"]
    assert sorted(one.labels[0] for one in watch.rota.found() if isinstance(one, Sample)) == list("abxy")
    await watch.run("")
    assert list(watch.rota.found()) == []
    assert watch.rota.age() == 0
