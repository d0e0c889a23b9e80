"""Commands out, one-line replies in: whole, in pieces, or not at all."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.client.probe_connection import LONGEST, RespLineReader, encode_command, parse_error
from redis_pulse.errors import ProtocolError


def test_a_command_is_an_array_of_bulk_strings_whatever_is_in_its_words() -> None:
    assert encode_command("PING") == b"*1\r\n$4\r\nPING\r\n"
    assert encode_command("AUTH", "pä\r\nss") == b"*2\r\n$4\r\nAUTH\r\n$7\r\np\xc3\xa4\r\nss\r\n"


@given(
    st.lists(st.sampled_from([b"+PONG", b"-LOADING x", b"-ERR a\rb", b"", b"$000123", b"$", b"-ERR $6"]), max_size=8),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_lines_are_the_same_in_whatever_pieces_they_arrive(replies: list[bytes], cuts: list[int]) -> None:
    data = b"".join((b"$%d\r\n" % (len(one) - 1) + one[1:] if one[:1] == b"$" else one) + b"\r\n" for one in replies)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    lines = RespLineReader()
    found = [line for start, end in pairwise(edges) for line in lines.feed(data[start:end])]
    assert found == replies


def test_a_line_that_never_ends_is_refused() -> None:
    lines = RespLineReader()
    lines.feed(b"x" * LONGEST)
    with pytest.raises(ProtocolError):
        lines.feed(b"x")


@pytest.mark.parametrize("data", [b"$5\r\n000123\r\n", b"$-1\r\n\r\n", b"$x\r\nx\r\n", b"+PONG\r\n$2\r\n1\r\n"])
def test_a_string_that_is_not_as_long_as_it_says_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="not as long"):
        RespLineReader().feed(data)


def test_an_error_is_told_from_what_was_expected_and_from_all_else() -> None:
    assert parse_error(b"+OK", b"+OK") is None
    assert parse_error(b"-ERR no", b"+OK") == "ERR no"
    for line in (b"", b":1", b"$5", b"+PONG", b"HTTP/1.1 400 Bad Request"):
        with pytest.raises(ProtocolError):
            parse_error(line, b"+OK")


def test_a_string_that_is_announced_too_long_is_refused_before_it_comes() -> None:
    with pytest.raises(ProtocolError, match="more than"):
        RespLineReader().feed(b"$1999999999\r\n")
