"""The plan of chaos: the seed decides everything, and the events of a burst have different subjects."""

from itertools import islice

from chaos.events import EVENTS
from chaos.plan import KINDS, SPREAD, Burst, Plan

SEEDS = range(200)


def bursts(seed: int, count: int = 6) -> list[Burst]:
    return list(islice(Plan(seed).bursts(), count))


def test_same_seed_gives_the_same_events_at_the_same_times() -> None:
    for seed in SEEDS:
        assert bursts(seed) == bursts(seed)
        assert Plan(seed).settings == Plan(seed).settings


def test_more_bursts_do_not_change_the_first_ones() -> None:
    """So ``--bursts 2`` repeats a violation in burst 2."""
    assert bursts(7, 6)[:2] == bursts(7, 2)


def test_different_seeds_give_different_events() -> None:
    assert len({tuple(bursts(seed, 2)) for seed in SEEDS}) == len(SEEDS)


def test_burst_has_two_to_four_events_with_different_subjects() -> None:
    for seed in SEEDS:
        for burst in bursts(seed):
            assert 2 <= len(burst.steps) <= 4
            assert len({step.subject for step in burst.steps}) == len(burst.steps)
            assert all(0 <= step.at <= SPREAD for step in burst.steps)


def test_subject_of_a_staying_event_is_not_in_the_next_burst() -> None:
    """The event is undone at the end of the next burst. That would disturb another event on the same server."""
    for seed in SEEDS:
        before: set[str] = set()
        for burst in bursts(seed):
            assert before.isdisjoint(step.subject for step in burst.steps)
            before = {step.subject for step in burst.steps if step.stays}


def test_clock_is_stepped_only_in_rounds_with_libfaketime() -> None:
    for seed in SEEDS:
        if not Plan(seed).settings.faketime:
            assert all(step.kind != "clock" for burst in bursts(seed) for step in burst.steps)


def test_every_kind_of_event_occurs_and_has_a_function() -> None:
    planned = {step.kind for seed in SEEDS for burst in bursts(seed) for step in burst.steps}
    assert planned == {kind.name for kind in KINDS}
    assert planned - {"restart daemon"} == set(EVENTS)


def test_burst_undoes_each_event_after_its_beginning_except_staying_ones() -> None:
    for seed in SEEDS:
        for burst in bursts(seed):
            moments = burst.moments()
            assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)
            for step in burst.steps:
                order = [moment.undo for moment in moments if moment.step is step]
                assert order == ([False] if step.stays else [False, True])
