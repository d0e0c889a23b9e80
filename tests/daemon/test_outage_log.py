"""Each outage of the pings is logged when it begins and when it ends. The event names what was observed."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from redis_pulse import errors, log
from redis_pulse.daemon.log_limiter import LogLimiter
from redis_pulse.daemon.target_events import MIN_REASON_DURATION, OutageLog
from redis_pulse.probe import ProbeResult
from tests.fakes import ManualClock

UP = 0.001
SILENT = errors.OperationTimeoutError("no answer in time")
REFUSED = errors.ConnectionRefusedByTargetError("refused")
RESET = errors.ConnectionResetByTargetError("closed by the server")
LOADING = errors.LoadingError("LOADING the dataset")
AUTH = errors.AuthError("WRONGPASS invalid username-password pair")


class LoggedOutages:
    """The pings of one target, one a second, and the lines about them."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.clock = ManualClock()
        self.outage_log = OutageLog(LogLimiter(log.get("target"), self.clock))

    def pings(self, *results: float | errors.TargetError) -> None:
        for result in results:
            at = self.clock.advance(1)
            error = result if isinstance(result, errors.TargetError) else None
            seconds = None if isinstance(result, errors.TargetError) else result
            if error is None:
                self.outage_log.was_connected = True
            self.outage_log.on_probe(ProbeResult(at, at, seconds, error))

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(line["event"], line.get("reason", "")) for line in self.lines]


@pytest.fixture
def logged() -> Iterator[LoggedOutages]:
    yield LoggedOutages()
    log.setup()


def test_each_change_of_a_target_is_one_line(logged: LoggedOutages) -> None:
    logged.pings(UP, UP, REFUSED, REFUSED, UP, UP)
    assert logged.events == [("connected", ""), ("lost", "refused"), ("connected", "")]
    assert logged.lines[2]["seconds"] == 2.0


def test_stall_on_an_open_connection_is_not_called_lost(logged: LoggedOutages) -> None:
    logged.pings(UP, *[SILENT] * 6, UP)
    assert logged.events == [("connected", ""), ("not answering", "timeout"), ("answering again", "")]
    assert logged.lines[2]["seconds"] == 6.0
    assert not logged.outage_log.is_reported


def test_stall_with_a_lost_connection_ends_with_connected(logged: LoggedOutages) -> None:
    logged.pings(UP, SILENT, SILENT, RESET, UP)
    assert logged.events == [("connected", ""), ("not answering", "timeout"), ("connected", "")]


def test_target_that_was_never_reached_is_not_called_lost(logged: LoggedOutages) -> None:
    logged.pings(*[REFUSED] * 10)
    assert logged.events == [("cannot connect", "refused")]
    logged.pings(UP)
    assert logged.events[1:] == [("connected", "")]


def test_timeout_before_the_first_connection_is_cannot_connect(logged: LoggedOutages) -> None:
    logged.pings(SILENT)
    assert logged.events == [("cannot connect", "timeout")]


def test_wrong_password_is_one_line_with_the_error_code(logged: LoggedOutages) -> None:
    logged.pings(*[AUTH] * 30)
    assert logged.events == [("cannot connect", "auth")]
    assert logged.lines[0]["error"].startswith("WRONGPASS")


def test_error_replies_are_not_called_lost(logged: LoggedOutages) -> None:
    logged.pings(UP, LOADING, LOADING, UP)
    assert logged.events == [("connected", ""), ("answering with errors", "loading"), ("answering again", "")]


def test_restart_is_two_lines_and_not_one_for_each_reason(logged: LoggedOutages) -> None:
    logged.pings(UP, RESET, REFUSED, REFUSED, LOADING, UP)
    assert logged.events == [("connected", ""), ("lost", "reset"), ("connected", "")]


def test_another_reason_that_lasts_is_logged_once(logged: LoggedOutages) -> None:
    logged.pings(
        UP, RESET, *[REFUSED] * int(MIN_REASON_DURATION + 10), RESET, *[REFUSED] * int(MIN_REASON_DURATION + 10)
    )
    assert logged.events == [("connected", ""), ("lost", "reset"), ("lost", "refused")]


def test_rejection_by_the_open_breaker_is_not_logged(logged: LoggedOutages) -> None:
    logged.pings(errors.RejectedError("x"))
    assert not logged.events
    logged.pings(UP, errors.RejectedError("x"), UP)
    assert logged.events == [("connected", "")]


def test_target_that_answers_every_second_ping_gets_few_lines(logged: LoggedOutages) -> None:
    for _ in range(300):
        logged.pings(UP, LOADING)
    assert len(logged.lines) < 10
    assert logged.events[-1][0] == "flapping"
