import pytest

from redis_pulse.collectors.support.time_budget import MIN_WORK_BEFORE_PAUSE, TimeBudget, TimeBudgetOptions
from tests.fake_keyspace import fake_sleep
from tests.fakes import ManualClock


@pytest.mark.parametrize(("pause", "rest"), [(0.5, 0.01), (0.75, 0.03), (0.0, 0.0)])
async def test_the_pause_is_its_share_of_the_time(pause: float, rest: float) -> None:
    clock, rests = ManualClock(), list[float]()
    pace = TimeBudget(TimeBudgetOptions(pause=pause), clock, fake_sleep(clock, rests))
    clock.advance(0.01)
    await pace.wait()
    assert rests == [pytest.approx(rest)]


async def test_a_short_stretch_of_work_waits_for_more_before_it_pauses() -> None:
    clock, rests = ManualClock(), list[float]()
    pace = TimeBudget(TimeBudgetOptions(), clock, fake_sleep(clock, rests))
    for _ in range(3):
        clock.advance(MIN_WORK_BEFORE_PAUSE * 0.4)
        await pace.wait()
    assert rests == [pytest.approx(MIN_WORK_BEFORE_PAUSE * 1.2)]


async def test_before_the_first_batch_there_is_nothing_to_rest_from() -> None:
    clock, rests = ManualClock(), list[float]()
    await TimeBudget(TimeBudgetOptions(), clock, fake_sleep(clock, rests)).wait()
    assert rests == []


async def test_another_part_of_a_run_has_its_own_share_and_rests_from_the_part_before() -> None:
    clock, rests = ManualClock(), list[float]()
    pace = TimeBudget(TimeBudgetOptions(budget=1.0), clock, fake_sleep(clock, rests), share=0.5)
    clock.advance(0.6)
    assert pace.exhausted
    pace.extend(share=0.25)
    assert not pace.exhausted
    await pace.wait()
    assert (rests, pace.exhausted) == ([pytest.approx(0.6)], True)


def test_it_is_over_when_its_share_of_the_budget_is_used_up() -> None:
    clock = ManualClock()
    pace = TimeBudget(TimeBudgetOptions(budget=1.0), clock, fake_sleep(clock), share=0.5)
    assert not pace.exhausted
    clock.advance(0.5)
    assert pace.exhausted
