"""What is said of a target whose pings fail, in the words of what was seen."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from redis_pulse import errors, log
from redis_pulse.daemon.log_limiter import LogLimiter
from redis_pulse.daemon.target_events import HOLDS, OutageLog
from redis_pulse.probe import ProbeResult
from tests.fakes import ManualClock

UP = 0.001
SILENT = errors.OperationTimeoutError("no answer in time")
REFUSED = errors.ConnectionRefusedByTargetError("refused")
RESET = errors.ConnectionResetByTargetError("closed by the server")
LOADING = errors.LoadingError("LOADING the dataset")
AUTH = errors.AuthError("WRONGPASS invalid username-password pair")


class Seen:
    """A target that is pinged once a second."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.clock = ManualClock()
        self.trouble = OutageLog(LogLimiter(log.get("target"), self.clock))

    def pings(self, *results: float | errors.TargetError) -> None:
        for result in results:
            at = self.clock.advance(1)
            error = result if isinstance(result, errors.TargetError) else None
            seconds = None if isinstance(result, errors.TargetError) else result
            if error is None:
                self.trouble.was_connected = True
            self.trouble.on_probe(ProbeResult(at, at, seconds, error))

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(line["event"], line.get("reason", "")) for line in self.lines]


@pytest.fixture
def seen() -> Iterator[Seen]:
    yield Seen()
    log.setup()


def test_a_target_that_comes_and_goes_gives_a_line_a_change(seen: Seen) -> None:
    seen.pings(UP, UP, REFUSED, REFUSED, UP, UP)
    assert seen.said == [("connected", ""), ("lost", "refused"), ("connected", "")]
    assert seen.lines[2]["seconds"] == 2.0


def test_a_stall_on_a_connection_that_holds_is_not_called_a_loss(seen: Seen) -> None:
    seen.pings(UP, *[SILENT] * 6, UP)
    assert seen.said == [("connected", ""), ("not answering", "timeout"), ("answering again", "")]
    assert seen.lines[2]["seconds"] == 6.0
    assert not seen.trouble.is_told


def test_a_stall_after_which_the_connection_broke_ends_with_connected(seen: Seen) -> None:
    seen.pings(UP, SILENT, SILENT, RESET, UP)
    assert seen.said == [("connected", ""), ("not answering", "timeout"), ("connected", "")]


def test_a_target_that_was_never_reached_is_not_called_lost(seen: Seen) -> None:
    seen.pings(*[REFUSED] * 10)
    assert seen.said == [("cannot connect", "refused")]
    seen.pings(UP)
    assert seen.said[1:] == [("connected", "")]


def test_a_target_that_could_never_be_connected_to_in_time_cannot_be_connected_to(seen: Seen) -> None:
    seen.pings(SILENT)
    assert seen.said == [("cannot connect", "timeout")]


def test_a_wrong_password_is_one_line_with_the_code_of_the_server(seen: Seen) -> None:
    seen.pings(*[AUTH] * 30)
    assert seen.said == [("cannot connect", "auth")]
    assert seen.lines[0]["error"].startswith("WRONGPASS")


def test_errors_that_a_server_answers_are_not_called_a_loss(seen: Seen) -> None:
    seen.pings(UP, LOADING, LOADING, UP)
    assert seen.said == [("connected", ""), ("answering with errors", "loading"), ("answering again", "")]


def test_a_server_that_restarts_is_two_lines_and_not_one_for_each_reason(seen: Seen) -> None:
    seen.pings(UP, RESET, REFUSED, REFUSED, LOADING, UP)
    assert seen.said == [("connected", ""), ("lost", "reset"), ("connected", "")]


def test_a_further_reason_that_holds_is_told_once(seen: Seen) -> None:
    seen.pings(UP, RESET, *[REFUSED] * int(HOLDS + 10), RESET, *[REFUSED] * int(HOLDS + 10))
    assert seen.said == [("connected", ""), ("lost", "reset"), ("lost", "refused")]


def test_an_open_breaker_is_no_news(seen: Seen) -> None:
    seen.pings(errors.RejectedError("x"))
    assert not seen.said
    seen.pings(UP, errors.RejectedError("x"), UP)
    assert seen.said == [("connected", "")]


def test_a_server_that_answers_every_second_ping_gets_a_few_lines(seen: Seen) -> None:
    for _ in range(300):
        seen.pings(UP, LOADING)
    assert len(seen.lines) < 10
    assert seen.said[-1][0] == "flapping"
