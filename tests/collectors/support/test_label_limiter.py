"""A limit on label values that users choose must not make series appear and disappear."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.support.labels import LabelLimiter

WEIGHTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 9))


def test_all_values_below_the_limit_are_admitted() -> None:
    assert LabelLimiter[str]().admit({"a": 1, "b": 2}, limit=2) == {"a", "b"}


def test_heaviest_values_are_admitted_first() -> None:
    assert LabelLimiter[str]().admit({"a": 1, "b": 3, "c": 2}, limit=2) == {"b", "c"}


def test_admitted_value_stays_when_others_grow_heavier() -> None:
    limiter = LabelLimiter[str]()
    limiter.admit({"a": 2, "b": 1}, limit=1)
    assert limiter.admit({"a": 1, "b": 9}, limit=1) == {"a"}


def test_place_of_a_missing_value_is_kept_for_some_time() -> None:
    limiter = LabelLimiter[str](keep=60)
    limiter.admit({"a": 1}, limit=1, now=0)
    assert limiter.admit({"b": 1}, limit=1, now=60) == frozenset()
    assert limiter.admit({"a": 1, "b": 1}, limit=1, now=60) == {"a"}
    assert limiter.admit({"b": 1}, limit=1, now=121) == {"b"}


def test_kept_values_include_those_that_are_missing_now() -> None:
    limiter = LabelLimiter[str](keep=60)
    limiter.admit({"a": 1}, limit=2, now=0)
    limiter.admit({"b": 1}, limit=2, now=60)
    assert set(limiter.kept) == {"a", "b"}
    limiter.admit({}, limit=2, now=61)
    assert set(limiter.kept) == {"b"}


@given(st.lists(WEIGHTS), st.integers(1, 5))
def test_admitted_values_never_exceed_the_limit(rounds: list[dict[str, int]], limit: int) -> None:
    limiter = LabelLimiter[str](keep=2)
    within_keep: list[frozenset[str]] = []
    for now, weights in enumerate(rounds):
        admitted = limiter.admit(weights, limit, now)
        within_keep = [*within_keep[-2:], admitted]
        assert admitted <= weights.keys()
        assert len(frozenset().union(*within_keep)) <= limit
