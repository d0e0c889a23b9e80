from typing import Any

import pytest

from redis_pulse.collectors.streams.reader import STREAM, StreamMetric, entry_milliseconds, id_milliseconds, seconds
from redis_pulse.metric import Sample, UnreadableField


@pytest.mark.parametrize(
    ("reply", "value"),
    [(b"1795380000010-3", 1795380000010), (b"0-0", 0), (b"5", None), (b"x-1", None), (None, None), (7, None)],
)
def test_first_part_of_an_id_is_read(reply: Any, value: float | None) -> None:
    assert id_milliseconds(reply) == value


@pytest.mark.parametrize(("reply", "value"), [([b"5-1", [b"f", b"v"]], 5), (None, 0), ([], None), (b"5-1", None)])
def test_id_of_an_entry_is_read(reply: Any, value: float | None) -> None:
    assert entry_milliseconds(reply) == value


def test_idle_time_is_converted_to_seconds() -> None:
    assert seconds(1500) == 1.5
    assert seconds(b"1500") is None


def samples(metric: StreamMetric, fields: dict[str, Any]) -> list[Sample | UnreadableField]:
    return list(metric.samples(fields, "db0", "s"))


def test_missing_or_unknown_field_has_no_sample() -> None:
    length, first = STREAM[0], next(metric for metric in STREAM if metric.metric.field == "first-entry")
    assert samples(length, {}) == samples(length, {"length": None}) == []
    assert [one.value for one in samples(first, {"first-entry": None}) if isinstance(one, Sample)] == [0]
    assert samples(length, {"length": b"x"}) == [UnreadableField("XINFO STREAM/length")]
