"""Entries of any server and of any version are read, without arguments and without addresses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.slow_log import SlowLogEntry, client_label, parse_entry


def test_entry_has_name_and_client_but_no_argument() -> None:
    reply = [41, 1795380000, 12_071, [b"GET", b"hunter2"], b"127.0.0.1:1", b"cart"]
    assert parse_entry(reply) == SlowLogEntry(41, 1795380000, 0.012071, "get", "cart")


def test_entry_before_redis_4_has_no_client() -> None:
    assert parse_entry([0, 1, 2_000_000, [b"KEYS", b"*"]]) == SlowLogEntry(0, 1, 2.0, "keys", "")


def test_unreadable_parts_do_not_affect_others() -> None:
    assert parse_entry([7, b"x", -5, None, None, 3, b"more"]) == SlowLogEntry(7, None, None, "other", "")
    assert [parse_entry(one) for one in ([None], [], [b"7"], [-1], [1])] == [None] * 4 + [
        SlowLogEntry(1, None, None, "other", "")
    ]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        (b"cart-worker", "cart-worker"),
        (b"app::worker", "app::worker"),
        (b"release-1.2.3", "release-1.2.3"),
        (b"10.1.2.3:6379", "other"),
        (b"worker@10.1.2.3", "other"),
        (b"[2001:db8::1]:6379", "other"),
        (b"2001:db8::1", "other"),
        (b"\xff\n\x1b[31m", "\N{REPLACEMENT CHARACTER}" * 3 + "[31m"),
        (b"x" * 65, "x" * 63 + "…"),
        (None, ""),
        ([b"x"], ""),
    ],
)
def test_client_name_is_short_printable_and_no_address(name: Any, label: str) -> None:
    assert client_label(name) == label


@given(st.binary(max_size=400) | st.text(max_size=100))
def test_label_of_any_client_name_is_valid(name: bytes | str) -> None:
    label = client_label(name)
    assert len(label) <= 64
    assert label == "" or label.isprintable()
