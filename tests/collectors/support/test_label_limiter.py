"""A cap on label values that others choose must not make series come and go."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.support.labels import LabelLimiter

WEIGHTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 9))


def test_while_there_is_room_everybody_has_a_place() -> None:
    assert LabelLimiter[str]().admit({"a": 1, "b": 2}, most=2) == {"a", "b"}


def test_the_heaviest_come_first() -> None:
    assert LabelLimiter[str]().admit({"a": 1, "b": 3, "c": 2}, most=2) == {"b", "c"}


def test_a_place_is_kept_when_others_grow_heavier() -> None:
    places = LabelLimiter[str]()
    places.admit({"a": 2, "b": 1}, most=1)
    assert places.admit({"a": 1, "b": 9}, most=1) == {"a"}


def test_a_place_is_kept_for_a_while_after_its_holder_left() -> None:
    places = LabelLimiter[str](keep=60)
    places.admit({"a": 1}, most=1, now=0)
    assert places.admit({"b": 1}, most=1, now=60) == frozenset()
    assert places.admit({"a": 1, "b": 1}, most=1, now=60) == {"a"}
    assert places.admit({"b": 1}, most=1, now=121) == {"b"}


@given(st.lists(WEIGHTS), st.integers(1, 5))
def test_there_are_never_more_than_there_may_be(rounds: list[dict[str, int]], most: int) -> None:
    places = LabelLimiter[str](keep=2)
    seated_ever_within_keep: list[frozenset[str]] = []
    for now, weights in enumerate(rounds):
        seated = places.admit(weights, most, now)
        seated_ever_within_keep = [*seated_ever_within_keep[-2:], seated]
        assert seated <= weights.keys()
        assert len(frozenset().union(*seated_ever_within_keep)) <= most
