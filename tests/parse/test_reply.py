import doctest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.errors import LoadingError, TargetError
from redis_pulse.parse import reply as module
from redis_pulse.parse.reply import as_integer, as_list, as_map, as_text, command_word, parse_uint, reply_or_none


@pytest.mark.parametrize(
    ("reply", "text"), [(b"abc", "abc"), ("abc", "abc"), (b"\xff!", "\ufffd!"), (None, None), (1, None), ([b"a"], None)]
)
def test_only_strings_are_texts(reply: Any, text: str | None) -> None:
    assert as_text(reply) == text


@pytest.mark.parametrize(
    ("reply", "integer"),
    [
        (12, 12),
        (-(2**63), -(2**63)),
        (2**63, None),
        (10**400, None),
        (True, None),
        (1.5, None),
        (b"12", None),
        (None, None),
    ],
)
def test_only_integers_of_64_bits_are_integers(reply: Any, integer: int | None) -> None:
    assert as_integer(reply) == integer


@pytest.mark.parametrize(("reply", "items"), [([1], [1]), ([], []), (None, None), (b"a", None), ({}, None)])
def test_only_arrays_are_lists(reply: Any, items: list[Any] | None) -> None:
    assert as_list(reply) == items


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 19, 10**19 - 1),
        ("1" * 20, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1_000", None),
        (" 1", None),
        ("\u0663", None),
        ("\u00b2", None),
    ],
)
def test_only_short_ascii_digits_are_a_number(text: str, number: int | None) -> None:
    assert parse_uint(text) == number


@given(st.integers(0, 10**19 - 1))
def test_written_number_is_read_back(number: int) -> None:
    assert parse_uint(str(number)) == number


@given(st.text())
def test_any_text_is_no_number_or_at_least_zero(text: str) -> None:
    number = parse_uint(text)
    assert number is None or number >= 0


def test_flat_list_becomes_a_dict() -> None:
    assert as_map([b"a", 1, b"b", [b"c"]]) == {"a": 1, "b": [b"c"]}
    assert as_map([b"a", 1, b"b"]) == {"a": 1}
    assert as_map([3, 1, b"b", 2]) == {"b": 2}
    assert as_map([b"a", 1, b"a", 2]) == {"a": 2}
    assert as_map(b"text") is None


def test_key_is_sent_with_its_own_bytes() -> None:
    assert command_word("ü".encode()) == "ü"
    assert command_word(b"\xff") == b"\xff"


def test_error_of_one_command_is_none_and_error_of_the_server_is_raised() -> None:
    assert reply_or_none(7) == 7
    assert reply_or_none(TargetError("WRONGTYPE")) is None
    with pytest.raises(LoadingError):
        reply_or_none(LoadingError("loading"))


def test_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(module).failed == 0
