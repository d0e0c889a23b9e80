"""What varies in names of keys becomes ``*``, and no separator is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.keyspace.names import MAX_NAME, MAX_SEGMENT, MAX_SEGMENTS, segments_of


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("user:17:profile", "user:*:profile"),
        ("session:9f86d081884c7d65", "session:*"),
        ("session:550e8400-e29b-41d4-a716-446655440000", "session:*"),
        ("report:2026-11-29:daily", "report:*:daily"),
        ("report/2026/11/29/daily", "report/*/daily"),
        ("log:2026-11-29T02:15:00Z", "log:*"),
        ("mail:ann.smith@example.org:inbox", "mail:*:inbox"),
        ("rate:192.168.0.17", "rate:*"),
        ("cart_12345", "cart_*"),
        ("com.example.cache.12", "com.example.cache.*"),
        ("{user17}.following", "{user*}.following"),
        ("item12345", "item*"),
        ("job:aZ3kQ9xL2m", "job:*"),
        ("my-app:user-profile", "my-app:user-profile"),
        ("price:12.50", "price:*"),
        ("config", "config"),
        ("", "*"),
    ],
)
def test_variable_parts_become_stars(name: str, pattern: str) -> None:
    assert "".join(segments_of(name.encode())) == pattern


def test_segment_of_binary_bytes_becomes_a_star() -> None:
    assert segments_of(b"blob:\xff\xfe\x00\x01") == ("blob:", "*")
    assert segments_of(b"a\nb:x") == ("*:", "x")


def test_long_name_costs_no_more_than_a_short_one() -> None:
    segments = segments_of(b"a:" * 1_000_000)
    assert len(segments) == MAX_SEGMENTS
    assert segments[-1] == "*"


@given(st.binary(max_size=600))
def test_any_name_has_few_short_printable_segments(name: bytes) -> None:
    segments = segments_of(name)
    assert 1 <= len(segments) <= MAX_SEGMENTS
    assert all(segment and segment.isprintable() and len(segment) <= MAX_SEGMENT + 1 for segment in segments)


@given(st.text(alphabet="0123456789", min_size=1, max_size=MAX_NAME))
def test_number_of_any_length_becomes_a_star(digits: str) -> None:
    assert segments_of(f"user:{digits}".encode())[1] == "*"
