"""The scheduler of chaos: a seed decides everything, and a burst never hits one thing twice."""

from itertools import islice

from chaos.events import KINDS as DONE
from chaos.plan import KINDS, SPREAD, Burst, Plan

SEEDS = range(200)


def bursts(seed: int, count: int = 6) -> list[Burst]:
    return list(islice(Plan(seed).bursts(), count))


def test_the_same_seed_gives_the_same_events_at_the_same_times() -> None:
    for seed in SEEDS:
        assert bursts(seed) == bursts(seed)
        assert Plan(seed).settings == Plan(seed).settings


def test_more_bursts_leave_the_first_as_they_are() -> None:
    """A violation in burst 2 is repeated by two bursts."""
    assert bursts(7, 6)[:2] == bursts(7, 2)


def test_other_seeds_give_other_events() -> None:
    assert len({tuple(bursts(seed, 2)) for seed in SEEDS}) == len(SEEDS)


def test_a_burst_has_two_to_four_events_on_as_many_things() -> None:
    for seed in SEEDS:
        for burst in bursts(seed):
            assert 2 <= len(burst.steps) <= 4
            assert len({step.on for step in burst.steps}) == len(burst.steps)
            assert all(0 <= step.at <= SPREAD for step in burst.steps)


def test_what_stays_is_left_alone_by_the_next_burst() -> None:
    """Its undoing belongs to the end of that burst, and would disturb another event on the same server."""
    for seed in SEEDS:
        before: set[str] = set()
        for burst in bursts(seed):
            assert before.isdisjoint(step.on for step in burst.steps)
            before = {step.on for step in burst.steps if step.stays}


def test_the_clock_is_stepped_only_in_rounds_under_libfaketime() -> None:
    for seed in SEEDS:
        if not Plan(seed).settings.faketime:
            assert all(step.kind != "clock" for burst in bursts(seed) for step in burst.steps)


def test_every_kind_of_event_comes_and_can_be_done() -> None:
    seen = {step.kind for seed in SEEDS for burst in bursts(seed) for step in burst.steps}
    assert seen == {kind.name for kind in KINDS}
    assert seen - {"restart daemon"} == set(DONE)


def test_a_burst_undoes_each_event_after_it_began_but_for_those_that_stay() -> None:
    for seed in SEEDS:
        for burst in bursts(seed):
            moments = burst.moments()
            assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)
            for step in burst.steps:
                order = [moment.undo for moment in moments if moment.step is step]
                assert order == ([False] if step.stays else [False, True])
