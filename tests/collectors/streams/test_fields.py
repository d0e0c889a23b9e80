from typing import Any

import pytest

from redis_pulse.collectors.streams.reader import STREAM, StreamMetric, entry, milliseconds, moment
from redis_pulse.metric import Sample, UnreadableField


@pytest.mark.parametrize(
    ("reply", "value"),
    [(b"1795380000010-3", 1795380000010), (b"0-0", 0), (b"5", None), (b"x-1", None), (None, None), (7, None)],
)
def test_the_first_part_of_an_id(reply: Any, value: float | None) -> None:
    assert moment(reply) == value


@pytest.mark.parametrize(("reply", "value"), [([b"5-1", [b"f", b"v"]], 5), (None, 0), ([], None), (b"5-1", None)])
def test_the_id_of_an_entry(reply: Any, value: float | None) -> None:
    assert entry(reply) == value


def test_idle_time_is_in_seconds() -> None:
    assert milliseconds(1500) == 1.5
    assert milliseconds(b"1500") is None


def found(row: StreamMetric, fields: dict[str, Any]) -> list[Sample | UnreadableField]:
    return list(row.found(fields, "db0", "s"))


def test_a_field_that_is_missing_or_not_known_has_no_sample() -> None:
    length, first = STREAM[0], next(row for row in STREAM if row.metric.field == "first-entry")
    assert found(length, {}) == found(length, {"length": None}) == []
    assert [one.value for one in found(first, {"first-entry": None}) if isinstance(one, Sample)] == [0]
    assert found(length, {"length": b"x"}) == [UnreadableField("XINFO STREAM/length")]
