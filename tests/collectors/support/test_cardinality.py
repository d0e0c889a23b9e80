import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.support.cardinality import DistinctCounter


@given(st.lists(st.binary(max_size=2)))
def test_few_items_are_counted_exactly(items: list[bytes]) -> None:
    counter = DistinctCounter()
    counter.add(items)
    assert (counter.count, counter.seen) == (len(set(items)), len(items))


def test_many_items_without_duplicates_are_counted_exactly_from_a_sample() -> None:
    counter = DistinctCounter(limit=100)
    counter.add(b"%d" % number for number in range(50_000))
    assert counter.count == 50_000
    assert len(counter._sample) <= 100


@pytest.mark.parametrize("duplicates", [500, 5_000, 20_000])
def test_duplicates_among_many_items_are_estimated_in_bounded_memory(duplicates: int) -> None:
    items = [b"%d" % number for number in range(20_000)]
    dice = random.Random(7)
    stream = items + dice.sample(items, duplicates)
    dice.shuffle(stream)
    counter = DistinctCounter(limit=2000)
    counter.add(stream)
    assert counter.count == pytest.approx(20_000, rel=0.06)
    assert len(counter._sample) <= 2000


def test_empty_counter_counts_zero() -> None:
    assert DistinctCounter().count == 0
