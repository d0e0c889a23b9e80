import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.support.cardinality import DistinctCounter


@given(st.lists(st.binary(max_size=2)))
def test_a_few_are_counted_exactly(items: list[bytes]) -> None:
    distinct = DistinctCounter()
    distinct.add(items)
    assert (distinct.count, distinct.seen, distinct.exact) == (len(set(items)), len(items), True)


def test_many_are_counted_exactly_when_none_comes_twice() -> None:
    distinct = DistinctCounter(limit=100)
    distinct.add(b"%d" % number for number in range(50_000))
    assert (distinct.count, distinct.exact) == (50_000, False)


@pytest.mark.parametrize("doubles", [500, 5_000, 20_000])
def test_doubles_among_many_are_estimated_in_bounded_memory(doubles: int) -> None:
    items = [b"%d" % number for number in range(20_000)]
    dice = random.Random(7)
    stream = items + dice.sample(items, doubles)
    dice.shuffle(stream)
    distinct = DistinctCounter(limit=2000)
    distinct.add(stream)
    assert distinct.count == pytest.approx(20_000, rel=0.06)
    assert len(distinct._sample) <= 2000


def test_nothing_is_nothing() -> None:
    assert DistinctCounter().count == 0
