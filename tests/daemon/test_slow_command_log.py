"""Each slow command is one line, but a flood is a few lines and one summary."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from redis_pulse import log
from redis_pulse.daemon.slow_command_log import MAX_LINES, MAX_LINES_PER_MINUTE, WINDOW, SlowCommandLog
from redis_pulse.metric import SlowCommand, SlowCommands
from tests.fakes import ManualClock


class LoggedCommands:
    """The log of the slow commands of one target."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.clock = ManualClock()
        self.log = SlowCommandLog(log.get("target").bind(target="t"), self.clock)

    def record(self, *seconds: float | None, unread: int = 0) -> None:
        self.log.record(SlowCommands(tuple(SlowCommand("keys", one, "cart") for one in seconds), unread))

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def logged() -> Iterator[LoggedCommands]:
    yield LoggedCommands()
    log.setup()


def test_slow_command_is_one_line(logged: LoggedCommands) -> None:
    logged.record(0.83)
    (line,) = logged.lines
    assert {name: line[name] for name in ("event", "level", "target", "command", "seconds", "client")} == {
        "event": "slow command",
        "level": "info",
        "target": "t",
        "command": "keys",
        "seconds": 0.83,
        "client": "cart",
    }


def test_flood_is_a_few_lines_and_one_summary(logged: LoggedCommands) -> None:
    logged.record(*(number / 1000 for number in range(128)), unread=10_000)
    assert logged.events == ["slow command"] * MAX_LINES + ["more slow commands"]
    assert [line["seconds"] for line in logged.lines[:MAX_LINES]] == [0.123, 0.124, 0.125, 0.126, 0.127], "the slowest"
    summary = logged.lines[-1]
    assert (summary["left_out"], summary["unread"]) == (10_000 + 128 - MAX_LINES, 10_000)
    assert summary["seconds"] == sum(range(123)) / 1000


def test_flood_of_polls_is_bounded_within_a_minute(logged: LoggedCommands) -> None:
    for _ in range(60):
        logged.record(*[0.01] * 100)
        logged.clock.advance(1)
    assert logged.events.count("slow command") == MAX_LINES_PER_MINUTE
    assert logged.events.count("more slow commands") == 1
    logged.clock.advance(WINDOW)
    logged.log.tick()
    assert sum(line.get("left_out", 1) for line in logged.lines) == 6000, "nothing is lost"
    logged.record(0.5)
    assert logged.events[-1] == "slow command", "a minute later lines are written again"


def test_unreadable_duration_is_logged_without_seconds(logged: LoggedCommands) -> None:
    logged.record(None)
    assert logged.lines[0]["seconds"] is None


def test_nothing_is_logged_without_slow_commands(logged: LoggedCommands) -> None:
    logged.record()
    logged.log.tick()
    assert not logged.lines
