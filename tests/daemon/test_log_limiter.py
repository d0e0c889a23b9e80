"""A target that changes all the time gets a few lines a minute, and the log ends with what is true."""

import io
import json
from typing import Any

import pytest

from redis_pulse import log
from redis_pulse.daemon.log_limiter import MOST, WINDOW, LogLimiter
from tests.fakes import ManualClock


class Written:
    """Lines, and what they wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.clock = ManualClock()
        self.lines = LogLimiter(log.get("target").bind(target="t"), self.clock)

    @property
    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.read]


@pytest.fixture
def written() -> Any:
    yield Written()
    log.setup()


def test_the_first_line_of_each_kind_is_always_written(written: Written) -> None:
    for kind in range(50):
        written.lines.tell(kind, "warning", f"event {kind}")
    assert len(written.read) == 50


def test_repeated_lines_are_left_out_after_some(written: Written) -> None:
    for number in range(100):
        written.lines.tell("probe", "info", "up" if number % 2 else "down")
    assert written.events[:-1] == ["down", "up"] * (MOST // 2) + ["down"]
    assert written.events[-1] == "flapping"


def test_a_target_that_flaps_for_an_hour_gets_a_line_a_minute_which_counts_the_others(written: Written) -> None:
    told = 0
    for second in range(3600):
        written.lines.tell("probe", "info", "up" if second % 2 else "down")
        written.lines.tick()
        told += 1
        written.clock.advance(1)
    assert len(written.read) <= 1 + MOST + 1 + 60
    assert set(written.events[MOST + 2 :]) == {"still flapping"}
    assert written.read[-1]["left_out"] == WINDOW
    assert told == 3600


def test_the_last_line_that_was_left_out_is_written_when_all_is_quiet(written: Written) -> None:
    for number in range(20):
        written.lines.tell("probe", "info", "up" if number % 2 else "down", number=number)
    for _ in range(int(WINDOW)):
        written.clock.advance(1)
        written.lines.tick()
    last = written.read[-1]
    assert (last["event"], last["number"], last["left_out"]) == ("up", 19, 20 - 1 - MOST - 1)
    count = len(written.read)
    written.clock.advance(WINDOW)
    written.lines.tick()
    assert len(written.read) == count
    written.lines.tell("probe", "info", "down")
    assert written.events[-1] == "down"


def test_changes_that_are_far_apart_are_all_written(written: Written) -> None:
    for number in range(100):
        written.lines.tell("probe", "info", "up" if number % 2 else "down")
        written.clock.advance(WINDOW / MOST + 0.1)
    assert "flapping" not in written.events
    assert len(written.read) == 100
