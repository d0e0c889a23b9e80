"""Tests of the encoder of protobuf, read by a reader that shares no code with it."""

import math
import struct

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.exposition import protobuf
from redis_pulse.telemetry import NativeSnapshot
from tests import protobuf_reader as reader


def test_worked_example_of_the_docstring() -> None:
    labels = protobuf.label("target", "cart")
    encoded = protobuf.metric(labels, protobuf.scalar("gauge", 1.0))
    assert encoded == bytes.fromhex("221b 0a0e 0a06") + b"target" + b"\x12\x04cart" + bytes.fromhex(
        "1209 09 000000000000f03f"
    )


@given(st.integers(0, 2**64 - 1))
def test_number_of_any_size_is_read_back(number: int) -> None:
    assert reader.varint(protobuf.varint(number), 0) == (number, len(protobuf.varint(number)))


@given(st.lists(st.integers(0, 2**40), max_size=40), st.integers(-400, 400), st.integers(0, 9))
def test_native_buckets_are_read_back(counts: list[int], first: int, zeros: int) -> None:
    """Prometheus refuses the whole page if the count is not the sum of the buckets."""
    snapshot = NativeSnapshot(4, 2.0**-20, zeros, first, counts, 1.5, 1000.25, ())
    series = reader.Series(reader.message(_content(protobuf.metric(b"", protobuf.native_histogram(snapshot)))))
    assert series.native == {first + index: count for index, count in enumerate(counts) if count}
    assert series.number(1) == zeros + sum(counts)
    assert reader.signed(series.number(5)) == 4
    assert series.number(6) == 2.0**-20


def _content(field: bytes) -> bytes:
    [content] = reader.message(field)[4]
    assert isinstance(content, bytes)
    return content


def test_creation_time_has_seconds_and_nanoseconds() -> None:
    [created] = reader.message(_content(protobuf.metric(b"", protobuf.scalar("counter", 2, 1700000000.5))))[3]
    [time] = reader.message(created)[3]
    assert reader.message(time) == {1: [1_700_000_000], 2: [500_000_000]}


def test_help_text_has_no_control_characters_and_is_cut() -> None:
    family = reader.Family(
        reader.message(
            protobuf.family_start("x", "gauge", 'a\x00"b\\' + "c" * 2000) + protobuf.metric(b"", b"\x12\x00")
        )
    )
    assert family.help == ('a "b\\' + "c" * 2000)[:1000]


def test_values_that_are_no_numbers_are_kept() -> None:
    for value in (math.nan, math.inf, -math.inf, -0.0):
        assert protobuf.scalar("gauge", value).endswith(struct.pack("<d", value))
