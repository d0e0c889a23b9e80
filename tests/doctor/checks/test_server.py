"""Numbers, bytes and versions of a server are read from any text."""

import pytest

from redis_pulse.doctor.checks.server import human_bytes, number
from redis_pulse.server_info import version_numbers


@pytest.mark.parametrize(
    ("text", "value"), [("7", 7), ("-1", -1), ("", None), ("x", None), ("9" * 30, None), ("1.5", None)]
)
def test_number_is_read_or_none(text: str, value: int | None) -> None:
    assert number({"a": text}, "a") == value


@pytest.mark.parametrize(
    ("text", "version"), [("7.0.15", (7, 0)), ("255.255.255", (255, 255)), ("", (0, 0)), ("x.y", (0, 0))]
)
def test_version_has_two_numbers(text: str, version: tuple[int, int]) -> None:
    assert version_numbers(text) == version


def test_bytes_have_a_unit() -> None:
    assert [human_bytes(count) for count in (5, 2048, 3 << 20, 5 << 40)] == ["5 B", "2.0 KiB", "3.0 MiB", "5.0 TiB"]
