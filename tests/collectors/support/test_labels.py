import pytest

from redis_pulse.collectors.support.labels import MAX_LABEL_LENGTH, label_value
from redis_pulse.errors import LoadingError, TargetError
from redis_pulse.parse.reply import as_map, command_word, reply_or_none


def test_a_key_becomes_a_label_whatever_bytes_it_has() -> None:
    assert label_value(b"user:1") == "user:1"
    assert label_value(b"\xff\x00") == "�\x00"
    assert label_value("schlüssel") == "schlüssel"


def test_a_long_name_is_cut_and_told_from_others() -> None:
    one, other = label_value(b"a" * 10_000 + b"1"), label_value(b"a" * 10_000 + b"2")
    assert one != other
    assert len(one) <= MAX_LABEL_LENGTH
    assert label_value(b"a" * MAX_LABEL_LENGTH) == "a" * MAX_LABEL_LENGTH
    assert label_value("ü" * MAX_LABEL_LENGTH) == "ü" * MAX_LABEL_LENGTH


def test_a_key_is_sent_as_it_is() -> None:
    assert command_word("ü".encode()) == "ü"
    assert command_word(b"\xff") == b"\xff"


def test_a_flat_list_is_read_by_names() -> None:
    assert as_map([b"a", 1, b"b", [b"c"]]) == {"a": 1, "b": [b"c"]}
    assert as_map([b"a", 1, b"b"]) == {"a": 1}
    assert as_map([3, 1, b"b", 2]) == {"b": 2}
    assert as_map(b"text") is None


def test_an_error_of_one_command_is_no_answer_and_one_of_the_server_is_raised() -> None:
    assert reply_or_none(7) == 7
    assert reply_or_none(TargetError("WRONGTYPE")) is None
    with pytest.raises(LoadingError):
        reply_or_none(LoadingError("loading"))
