import pytest

from redis_pulse.collectors.support.labels import MAX_LABEL_LENGTH, label_value, unreadable_database
from redis_pulse.errors import LoadingError, NoDatabaseError, TargetError
from redis_pulse.metric import UnreadableField


def test_name_of_any_bytes_becomes_a_label_value() -> None:
    assert label_value(b"user:1") == "user:1"
    assert label_value(b"\xff\x00") == "�\x00"
    assert label_value("schlüssel") == "schlüssel"


def test_long_names_are_cut_and_stay_different() -> None:
    one, other = label_value(b"a" * 10_000 + b"1"), label_value(b"a" * 10_000 + b"2")
    assert one != other
    assert len(one) <= MAX_LABEL_LENGTH
    assert label_value(b"a" * MAX_LABEL_LENGTH) == "a" * MAX_LABEL_LENGTH
    assert label_value("ü" * MAX_LABEL_LENGTH) == "ü" * MAX_LABEL_LENGTH


def test_error_of_one_database_is_an_unreadable_field_and_others_are_raised() -> None:
    assert unreadable_database(NoDatabaseError("no"), 3, "SCAN") == UnreadableField("SELECT/db3")
    assert unreadable_database(TargetError("no"), 3, "SCAN") == UnreadableField("SCAN")
    with pytest.raises(LoadingError):
        unreadable_database(LoadingError("loading"), 3, "SCAN")
