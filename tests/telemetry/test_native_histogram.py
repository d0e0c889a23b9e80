"""Tests of native histograms: their error, their size, and what happens when there are too many buckets.

``tests/recordings/pings.txt`` has the durations of 4000 pings to a real Valkey on a busy machine, in nanoseconds.
"""

import math
from array import array
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.telemetry import DualHistogram, NativeHistogram, NativeSnapshot
from redis_pulse.telemetry.families import DURATION
from redis_pulse.telemetry.native_histogram import MAX_BUCKETS, SCHEMA, ZERO_THRESHOLD
from redis_pulse.telemetry.series import FamilySeries

PINGS = [int(line) / 1e9 for line in (Path(__file__).parents[1] / "recordings" / "pings.txt").read_text().split()]


def make(values: list[float]) -> NativeSnapshot:
    histogram = NativeHistogram(1000.0)
    for value in values:
        histogram.observe(value)
    return histogram.snapshot()


def quantile(snapshot: NativeSnapshot, share: float) -> float:
    """Return a quantile as Prometheus 3 computes it: it interpolates exponentially within a bucket."""
    rank = share * (snapshot.zero_count + sum(snapshot.counts)) - snapshot.zero_count
    for index, count in enumerate(snapshot.counts, start=snapshot.first):
        if rank <= count:
            return float(2.0 ** ((index - 1 + max(rank, 0) / count) / 2**snapshot.schema))
        rank -= count
    raise AssertionError("no observations")


def bucket(value: float, schema: int) -> int:
    """Return the index of the bucket of a value by its definition. Rounding may choose a neighbour."""
    return math.ceil(math.log2(value) * float(2**schema))


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_quantile_of_recorded_pings_has_an_error_below_5_percent(share: float) -> None:
    exact = sorted(PINGS)[math.ceil(share * len(PINGS)) - 1]
    assert quantile(make(PINGS), share) == pytest.approx(exact, rel=0.05)


def test_recorded_pings_fit_into_the_buckets_at_full_resolution() -> None:
    snapshot = make(PINGS)
    assert snapshot.schema == SCHEMA
    assert sum(snapshot.counts) + snapshot.zero_count == len(PINGS)
    assert snapshot.total == pytest.approx(sum(PINGS))
    assert sum(map(bool, snapshot.counts)) < MAX_BUCKETS


@given(st.lists(st.floats(1e-9, 1e5), min_size=1, max_size=400))
def test_buckets_are_those_of_the_definition(values: list[float]) -> None:
    """This includes histograms with too many buckets, whose neighbours were merged."""
    snapshot = make(values)
    expected = Counter(bucket(value, snapshot.schema) for value in values if value > ZERO_THRESHOLD)
    found = {snapshot.first + place: count for place, count in enumerate(snapshot.counts) if count}
    assert snapshot.zero_count == sum(value <= ZERO_THRESHOLD for value in values)
    assert found == expected
    assert len(found) <= MAX_BUCKETS


@pytest.mark.parametrize("others", [[], [1e-5 * 1.02**step for step in range(1200)]], ids=["schema-4", "merged"])
def test_bound_of_a_bucket_belongs_to_it(others: list[float]) -> None:
    """As ``le`` of a classic histogram, the upper bound is part of the bucket."""
    alone, more = make(others), make([*others, 1.0, 0.5, 0.25])
    for value in (1.0, 0.5, 0.25):
        index = int(math.log2(value)) * 2**more.schema
        assert count_of(more, index) == count_of(alone, index) + 1


def count_of(snapshot: NativeSnapshot, index: int) -> int:
    """Return the count of a bucket by its index."""
    place = index - snapshot.first
    return snapshot.counts[place] if 0 <= place < len(snapshot.counts) else 0


def test_too_many_buckets_are_merged_and_no_observation_is_lost() -> None:
    values = [1e-5 * 1.03**step for step in range(700)]
    snapshot = make(values)
    assert snapshot.schema < SCHEMA
    assert sum(snapshot.counts) == len(values)
    exact = sorted(values)[math.ceil(0.999 * len(values)) - 1]
    assert quantile(snapshot, 0.999) == pytest.approx(exact, rel=2.0 ** (0.5**snapshot.schema) - 1)


def test_durations_of_zero_and_below_have_a_bucket() -> None:
    """A wall clock that is set back may yield them."""
    snapshot = make([0.0, -1.0, ZERO_THRESHOLD])
    assert (snapshot.zero_count, list(snapshot.counts)) == (3, [])


def test_both_histograms_have_the_same_observations() -> None:
    series = FamilySeries('target="a"')
    both = DualHistogram(series, DURATION, ("ping",), (0.001, 0.1), now=lambda: 1000.0)
    for value in PINGS[:100]:
        both.observe(value)
    assert both.native is not None
    native, classic = both.native.snapshot(), both.classic()
    assert sum(native.counts) + native.zero_count == sum(classic.counts) == 100
    assert native.total == classic.total
    assert (native.created, both.created) == (1000.0, 1000.0)


def test_newest_five_exemplars_are_kept() -> None:
    both = DualHistogram(FamilySeries('target="a"'), DURATION, ("ping",), (0.001, 0.1))
    both.observe(0.5)
    before = both.version
    for stall in range(7):
        both.set_exemplar(f'stall_id="{stall}"', 0.5, 1000.0 + stall)
    assert both.native is not None
    exemplars = both.native.snapshot().exemplars
    assert [labels for labels, _, _ in exemplars] == [(("stall_id", str(stall)),) for stall in range(2, 7)]
    assert both.version != before


def test_operator_may_have_no_native_histograms() -> None:
    both = DualHistogram(FamilySeries('target="a"'), DURATION, ("ping",), (0.001, 0.1), is_native=False)
    both.observe(0.5)
    both.set_exemplar('stall_id="1"', 0.5, 1000.0)
    assert both.native is None
    assert list(both.classic().counts) == [0, 0, 1]


@pytest.mark.parametrize("count", [2**16 - 1, 2**32 - 1])
def test_bucket_that_outgrows_its_bytes_gets_more(count: int) -> None:
    """A bucket has two bytes at first, because most of them stay small. It has four, then eight, when it needs them."""
    native = NativeHistogram(0.0)
    native.observe(0.001)
    native._counts = array(native._counts.typecode if count < 2**16 else "I", [count])
    native.observe(0.001)
    native.observe(0.004)
    snapshot = native.snapshot()
    assert [one for one in snapshot.counts if one] == [count + 1, 1]


def test_large_counts_are_merged_without_a_loss() -> None:
    native = NativeHistogram(0.0)
    for step in range(MAX_BUCKETS):
        native.observe(0.0001 * 2 ** (step / 16))
    native._counts = array("H", [2**16 - 1] * MAX_BUCKETS)
    native.observe(1e6)
    assert sum(native.snapshot().counts) == (2**16 - 1) * MAX_BUCKETS + 1
