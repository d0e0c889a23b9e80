"""A target that changes all the time gets few lines. The log ends with its current state."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from redis_pulse import log
from redis_pulse.daemon.log_limiter import MAX_KINDS, MAX_REPEATS, WINDOW, LogLimiter
from tests.fakes import ManualClock


class LimitedLog:
    """A limited log, and the lines that were limited."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.clock = ManualClock()
        self.limiter = LogLimiter(log.get("target").bind(target="t"), self.clock)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def limited() -> Iterator[LimitedLog]:
    yield LimitedLog()
    log.setup()


def test_first_line_of_each_kind_is_always_written(limited: LimitedLog) -> None:
    for kind in range(50):
        limited.limiter.log(kind, "warning", f"event {kind}")
    assert len(limited.lines) == 50


def test_quiet_kinds_are_forgotten(limited: LimitedLog) -> None:
    """A server names parts of collectors, so there is no end of kinds."""
    for number in range(20 * MAX_KINDS):
        limited.limiter.log(("part", number), "warning", "part of a collector fails")
        limited.clock.advance(WINDOW / 10)
    assert len(limited.lines) == 20 * MAX_KINDS
    assert len(limited.limiter._written_at) <= MAX_KINDS


def test_repeated_lines_are_suppressed_beyond_the_limit(limited: LimitedLog) -> None:
    for number in range(100):
        limited.limiter.log("probe", "info", "up" if number % 2 else "down")
    assert limited.events[:-1] == ["down", "up"] * (MAX_REPEATS // 2) + ["down"]
    assert limited.events[-1] == "flapping"


def test_flapping_for_an_hour_is_one_line_a_minute_with_a_count(limited: LimitedLog) -> None:
    for second in range(3600):
        limited.limiter.log("probe", "info", "up" if second % 2 else "down")
        limited.limiter.tick()
        limited.clock.advance(1)
    assert len(limited.lines) <= 1 + MAX_REPEATS + 1 + 60
    assert set(limited.events[MAX_REPEATS + 2 :]) == {"still flapping"}
    assert limited.lines[-1]["left_out"] == WINDOW


def test_last_suppressed_line_is_written_when_its_kind_is_quiet(limited: LimitedLog) -> None:
    for number in range(20):
        limited.limiter.log("probe", "info", "up" if number % 2 else "down", number=number)
    for _ in range(int(WINDOW)):
        limited.clock.advance(1)
        limited.limiter.tick()
    last = limited.lines[-1]
    assert (last["event"], last["number"], last["left_out"]) == ("up", 19, 20 - 1 - MAX_REPEATS - 1)
    count = len(limited.lines)
    limited.clock.advance(WINDOW)
    limited.limiter.tick()
    assert len(limited.lines) == count
    limited.limiter.log("probe", "info", "down")
    assert limited.events[-1] == "down"


def test_rare_changes_are_all_written(limited: LimitedLog) -> None:
    for number in range(100):
        limited.limiter.log("probe", "info", "up" if number % 2 else "down")
        limited.clock.advance(WINDOW / MAX_REPEATS + 0.1)
    assert "flapping" not in limited.events
    assert len(limited.lines) == 100
