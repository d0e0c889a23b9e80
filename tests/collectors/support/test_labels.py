import pytest

from redis_pulse.collectors.support.labels import LONGEST, label
from redis_pulse.errors import LoadingError, TargetError
from redis_pulse.parse.reply import answer, fields, word


def test_a_key_becomes_a_label_whatever_bytes_it_has() -> None:
    assert label(b"user:1") == "user:1"
    assert label(b"\xff\x00") == "�\x00"
    assert label("schlüssel") == "schlüssel"


def test_a_long_name_is_cut_and_told_from_others() -> None:
    one, other = label(b"a" * 10_000 + b"1"), label(b"a" * 10_000 + b"2")
    assert one != other
    assert len(one) <= LONGEST
    assert label(b"a" * LONGEST) == "a" * LONGEST
    assert label("ü" * LONGEST) == "ü" * LONGEST


def test_a_key_is_sent_as_it_is() -> None:
    assert word("ü".encode()) == "ü"
    assert word(b"\xff") == b"\xff"


def test_a_flat_list_is_read_by_names() -> None:
    assert fields([b"a", 1, b"b", [b"c"]]) == {"a": 1, "b": [b"c"]}
    assert fields([b"a", 1, b"b"]) == {"a": 1}
    assert fields([3, 1, b"b", 2]) == {"b": 2}
    assert fields(b"text") is None


def test_an_error_of_one_command_is_no_answer_and_one_of_the_server_is_raised() -> None:
    assert answer(7) == 7
    assert answer(TargetError("WRONGTYPE")) is None
    with pytest.raises(LoadingError):
        answer(LoadingError("loading"))
