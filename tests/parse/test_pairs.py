from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.reply import as_pairs

ODD = st.none() | st.integers() | st.floats() | st.binary(max_size=5) | st.text(max_size=5) | st.lists(st.none())


def test_names_and_values_become_a_dict_of_text() -> None:
    assert as_pairs([b"maxclients", b"10000", b"save", b""]) == ({"maxclients": "10000", "save": ""}, 0)


def test_empty_list_has_no_pairs_and_no_bad_parts() -> None:
    assert as_pairs([]) == ({}, 0)


def test_bad_pair_is_counted_and_affects_no_other() -> None:
    assert as_pairs([b"a", None, 7, b"b", b"c", b"1", b"half"]) == ({"c": "1"}, 3)


def test_last_value_of_a_repeated_name_counts() -> None:
    assert as_pairs([b"a", b"1", b"a", b"2"]).fields == {"a": "2"}


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert as_pairs([b"\xff", b"\xfe"]).fields == {"\ufffd": "\ufffd"}


@given(st.lists(ODD, max_size=12) | ODD)
def test_any_reply_raises_nothing(reply: Any) -> None:
    fields, bad = as_pairs(reply)
    assert all(type(text) is str for pair in fields.items() for text in pair)
    if isinstance(reply, list):
        assert len(fields) + bad <= (len(reply) + 1) // 2
        assert (bad == 0) <= (len(reply) % 2 == 0)
    else:
        assert (fields, bad) == ({}, 1)


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=9))
def test_complete_pairs_are_read_back(pairs: dict[str, str]) -> None:
    assert as_pairs([text.encode() for pair in pairs.items() for text in pair]) == (pairs, 0)
