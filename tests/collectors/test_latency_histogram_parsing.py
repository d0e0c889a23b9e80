"""An inconsistent histogram is rejected."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.latency_histogram import LatencyHistograms, merge_histograms, parse_latencies

ODD = st.recursive(
    st.none()
    | st.integers(-2, 2**70)
    | st.floats()
    | st.binary(max_size=5)
    | st.sampled_from([b"calls", b"histogram_usec"]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)


def histogram(calls: Any, *numbers: Any) -> list[Any]:
    return [b"calls", calls, b"histogram_usec", list(numbers)]


def test_cumulative_counts_become_counts_per_bucket() -> None:
    read = parse_latencies(histogram(7, 16, 3, 66, 7), "calls=7,usec=230,usec_per_call=32.86")
    assert read == LatencyHistograms({16: 3, 66: 4}, 7, 230)


def test_sum_is_unknown_without_commandstats() -> None:
    assert parse_latencies(histogram(1, 16, 1)) == LatencyHistograms({16: 1}, 1, None)
    assert parse_latencies(histogram(1, 16, 1), "calls=1,usec=many") == LatencyHistograms({16: 1}, 1, None)


def test_calls_above_the_last_edge_are_in_no_bucket() -> None:
    assert parse_latencies(histogram(9, 16, 3)) == LatencyHistograms({16: 3}, 9, None)


@pytest.mark.parametrize(
    "reply",
    [
        histogram(3, 16, 3, 8, 3),  # edges fall
        histogram(3, 16, 3, 16, 3),  # an edge twice
        histogram(3, 16, 3, 33, 2),  # counts fall
        histogram(3, 16, 4),  # more than were called
        histogram(3, 16),  # an edge without a count
        histogram(3, b"16", 3),
        histogram(3, 16, -1),
        histogram(3, -16, 3),
        histogram(-3),
        histogram(b"3", 16, 3),
        [b"histogram_usec", [16, 3]],
        [],
        None,
        b"OK",
    ],
)
def test_inconsistent_histogram_is_none(reply: Any) -> None:
    assert parse_latencies(reply) is None


def test_histograms_are_summed_per_bucket() -> None:
    assert merge_histograms(
        [LatencyHistograms({16: 3, 66: 1}, 4, 100), LatencyHistograms({16: 1, 33: 1}, 2, 20)]
    ) == LatencyHistograms({16: 4, 33: 1, 66: 1}, 6, 120)
    assert merge_histograms([LatencyHistograms({}, 1, 5), LatencyHistograms({}, 1, None)]).usec is None


@given(ODD, st.text(max_size=20))
def test_any_reply_raises_nothing(reply: Any, stats: str) -> None:
    read = parse_latencies(reply, stats)
    assert read is None or 0 <= sum(read.buckets.values()) <= read.calls
