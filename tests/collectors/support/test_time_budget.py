import pytest

from redis_pulse.collectors.support.time_budget import MIN_WORK_BEFORE_PAUSE, TimeBudget, TimeBudgetOptions
from tests.fake_keyspace import fake_sleep
from tests.fakes import ManualClock


@pytest.mark.parametrize(("share", "seconds"), [(0.5, 0.01), (0.75, 0.03), (0.0, 0.0)])
async def test_pause_is_its_share_of_the_time(share: float, seconds: float) -> None:
    clock, pauses = ManualClock(), list[float]()
    budget = TimeBudget(TimeBudgetOptions(pause=share), clock, fake_sleep(clock, pauses))
    clock.advance(0.01)
    await budget.pause()
    assert pauses == [pytest.approx(seconds)]


async def test_short_work_is_added_up_before_a_pause() -> None:
    clock, pauses = ManualClock(), list[float]()
    budget = TimeBudget(TimeBudgetOptions(), clock, fake_sleep(clock, pauses))
    for _ in range(3):
        clock.advance(MIN_WORK_BEFORE_PAUSE * 0.4)
        await budget.pause()
    assert pauses == [pytest.approx(MIN_WORK_BEFORE_PAUSE * 1.2)]


async def test_first_batch_starts_without_a_pause() -> None:
    clock, pauses = ManualClock(), list[float]()
    await TimeBudget(TimeBudgetOptions(), clock, fake_sleep(clock, pauses)).pause()
    assert pauses == []


async def test_next_part_has_its_own_share_and_pauses_for_the_part_before() -> None:
    clock, pauses = ManualClock(), list[float]()
    budget = TimeBudget(TimeBudgetOptions(budget=1.0), clock, fake_sleep(clock, pauses), share=0.5)
    clock.advance(0.6)
    assert budget.exhausted
    budget.extend(share=0.25)
    assert not budget.exhausted
    await budget.pause()
    assert (pauses, budget.exhausted) == ([pytest.approx(0.6)], True)


def test_budget_is_exhausted_when_its_share_is_used_up() -> None:
    clock = ManualClock()
    budget = TimeBudget(TimeBudgetOptions(budget=1.0), clock, fake_sleep(clock), share=0.5)
    assert not budget.exhausted
    clock.advance(0.5)
    assert budget.exhausted
