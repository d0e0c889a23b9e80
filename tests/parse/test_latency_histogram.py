"""A histogram that contradicts itself is no histogram."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.latency_histogram import LatencyHistograms, merge_histograms, parse_latencies

ODD = st.recursive(
    st.none()
    | st.integers(-2, 2**70)
    | st.floats()
    | st.binary(max_size=5)
    | st.sampled_from([b"calls", b"histogram_usec"]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)


def said(calls: Any, *numbers: Any) -> list[Any]:
    return [b"calls", calls, b"histogram_usec", list(numbers)]


def test_counts_come_cumulative_and_leave_by_bucket() -> None:
    read = parse_latencies(said(7, 16, 3, 66, 7), "calls=7,usec=230,usec_per_call=32.86")
    assert read == LatencyHistograms({16: 3, 66: 4}, 7, 230)


def test_without_commandstats_there_is_no_sum() -> None:
    assert parse_latencies(said(1, 16, 1)) == LatencyHistograms({16: 1}, 1, None)
    assert parse_latencies(said(1, 16, 1), "calls=1,usec=many") == LatencyHistograms({16: 1}, 1, None)


def test_more_calls_than_the_buckets_hold_are_above_the_last_edge() -> None:
    assert parse_latencies(said(9, 16, 3)) == LatencyHistograms({16: 3}, 9, None)


@pytest.mark.parametrize(
    "reply",
    [
        said(3, 16, 3, 8, 3),  # edges fall
        said(3, 16, 3, 16, 3),  # an edge twice
        said(3, 16, 3, 33, 2),  # counts fall
        said(3, 16, 4),  # more than were called
        said(3, 16),  # an edge without a count
        said(3, b"16", 3),
        said(3, 16, -1),
        said(3, -16, 3),
        said(-3),
        said(b"3", 16, 3),
        [b"histogram_usec", [16, 3]],
        [],
        None,
        b"OK",
    ],
)
def test_what_contradicts_itself_is_refused(reply: Any) -> None:
    assert parse_latencies(reply) is None


def test_several_are_added_up_bucket_by_bucket() -> None:
    assert merge_histograms(
        [LatencyHistograms({16: 3, 66: 1}, 4, 100), LatencyHistograms({16: 1, 33: 1}, 2, 20)]
    ) == LatencyHistograms({16: 4, 33: 1, 66: 1}, 6, 120)
    assert merge_histograms([LatencyHistograms({}, 1, 5), LatencyHistograms({}, 1, None)]).usec is None


@given(ODD, st.text(max_size=20))
def test_no_reply_breaks_it(reply: Any, stats: str) -> None:
    read = parse_latencies(reply, stats)
    assert read is None or 0 <= sum(read.buckets.values()) <= read.calls
