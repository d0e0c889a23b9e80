import pytest

from redis_pulse.collectors.support.time_budget import STRETCH, Pace, PaceOptions
from tests.fake_keyspace import resting
from tests.fakes import HandClock


@pytest.mark.parametrize(("pause", "rest"), [(0.5, 0.01), (0.75, 0.03), (0.0, 0.0)])
async def test_the_pause_is_its_share_of_the_time(pause: float, rest: float) -> None:
    clock, rests = HandClock(), list[float]()
    pace = Pace(PaceOptions(pause=pause), clock, resting(clock, rests))
    clock.advance(0.01)
    await pace.breathe()
    assert rests == [pytest.approx(rest)]


async def test_a_short_stretch_of_work_waits_for_more_before_it_pauses() -> None:
    clock, rests = HandClock(), list[float]()
    pace = Pace(PaceOptions(), clock, resting(clock, rests))
    for _ in range(3):
        clock.advance(STRETCH * 0.4)
        await pace.breathe()
    assert rests == [pytest.approx(STRETCH * 1.2)]


async def test_before_the_first_batch_there_is_nothing_to_rest_from() -> None:
    clock, rests = HandClock(), list[float]()
    await Pace(PaceOptions(), clock, resting(clock, rests)).breathe()
    assert rests == []


async def test_another_part_of_a_run_has_its_own_share_and_rests_from_the_part_before() -> None:
    clock, rests = HandClock(), list[float]()
    pace = Pace(PaceOptions(budget=1.0), clock, resting(clock, rests), share=0.5)
    clock.advance(0.6)
    assert pace.over
    pace.another(share=0.25)
    assert not pace.over
    await pace.breathe()
    assert (rests, pace.over) == ([pytest.approx(0.6)], True)


def test_it_is_over_when_its_share_of_the_budget_is_used_up() -> None:
    clock = HandClock()
    pace = Pace(PaceOptions(budget=1.0), clock, resting(clock), share=0.5)
    assert not pace.over
    clock.advance(0.5)
    assert pace.over
