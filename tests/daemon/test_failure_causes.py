"""One line for each cause, however many collectors it affects, and none if the pings log it."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from redis_pulse import errors, log
from redis_pulse.daemon.failure_causes import FailureCauses
from redis_pulse.daemon.log_limiter import LogLimiter
from redis_pulse.metric import CollectorFault
from tests.fakes import ManualClock

MANY = [f"collector{number}" for number in range(100)]


class LoggedCauses:
    """The collectors of one target, and the lines about them."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.causes = FailureCauses(LogLimiter(log.get("target"), ManualClock()), "exporter")

    def poll(self, error: Exception | None, *collectors: str, is_unavailable: bool = False) -> None:
        for collector in collectors:
            if error is None:
                self.causes.record_success(collector)
            else:
                self.causes.record_failure(collector, error, is_unavailable=is_unavailable)
        self.causes.log_new()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def logged() -> Iterator[LoggedCauses]:
    yield LoggedCauses()
    log.setup()


def test_hundred_collectors_that_fail_for_one_cause_are_one_line(logged: LoggedCauses) -> None:
    for _ in range(3):
        logged.poll(errors.TargetError("ERR no"), *MANY)
    assert logged.events == ["collector fails"]
    assert logged.lines[0]["collector"].split(",") == MANY
    assert logged.lines[0]["error"] == "ERR no"
    logged.poll(None, *MANY)
    logged.poll(None, *MANY)
    assert logged.events == ["collector fails", "collector works again"]


def test_two_causes_are_two_lines(logged: LoggedCauses) -> None:
    logged.poll(errors.TargetError("ERR no"), "a", "b")
    logged.poll(errors.ClusterDownError("CLUSTERDOWN"), "c", "a")
    assert [(line["reason"], line["collector"]) for line in logged.lines] == [("other", "a,b"), ("clusterdown", "c,a")]


def test_same_reason_with_another_text_is_no_new_cause(logged: LoggedCauses) -> None:
    for number in range(5):
        logged.poll(errors.TargetError(f"ERR no {number}"), "a")
    assert logged.events == ["collector fails"]


@pytest.mark.parametrize("error", [errors.ConnectionResetByTargetError("x"), errors.AuthError("WRONGPASS x")])
def test_failure_that_the_next_ping_meets_too_is_not_logged(logged: LoggedCauses, error: errors.TargetError) -> None:
    logged.poll(error, *MANY)
    logged.causes.on_probe(is_up=False)
    logged.poll(error, *MANY, is_unavailable=True)
    logged.poll(None, *MANY)
    logged.causes.on_probe(is_up=True)
    assert not logged.lines


def test_failure_that_the_next_ping_does_not_meet_is_one_line(logged: LoggedCauses) -> None:
    """A changed password fails the next connection of the poller, but the prober keeps its connection."""
    logged.poll(errors.AuthError("WRONGPASS x"), *MANY)
    assert not logged.lines
    logged.causes.on_probe(is_up=True)
    assert logged.events == ["collector fails"]
    assert logged.lines[0]["error"] == "WRONGPASS x"


def test_collector_that_recovers_before_the_next_ping_is_not_logged(logged: LoggedCauses) -> None:
    logged.poll(errors.OperationTimeoutError("x"), "a")
    logged.poll(None, "a")
    logged.causes.on_probe(is_up=True)
    assert not logged.lines


def test_rejection_by_the_open_breaker_is_not_logged(logged: LoggedCauses) -> None:
    logged.poll(errors.RejectedError("x"), "a")
    logged.causes.on_probe(is_up=True)
    assert not logged.lines


def test_denied_commands_are_one_line_with_user_and_permissions(logged: LoggedCauses) -> None:
    for _ in range(3):
        logged.causes.record_denied("clients", ["client|list"], worked=False)
        logged.causes.record_denied("config", ["config|get"], worked=False)
        logged.causes.log_new()
    assert logged.events == ["not permitted"]
    assert logged.lines[0]["user"] == "exporter"
    assert logged.lines[0]["missing"] == "+client|list +config|get"
    assert logged.lines[0]["collector"] == "clients,config"
    logged.poll(None, "clients")
    assert logged.events[1:] == ["collector works again"]
    logged.causes.record_denied("clients", ["client|list"], worked=False)
    logged.causes.log_new()
    assert logged.events[2:] == ["not permitted"]


def test_unsupported_collector_is_logged_once(logged: LoggedCauses) -> None:
    for _ in range(3):
        logged.causes.record_unsupported("latency", errors.UnknownCommandError("unknown command"))
    assert logged.events == ["not supported by this server"]


def test_refusal_on_purpose_is_logged_once_and_is_no_warning(logged: LoggedCauses) -> None:
    for _ in range(3):
        logged.causes.record_unsupported("config", errors.NotOfferedError("Amazon ElastiCache does not offer CONFIG"))
    [line] = logged.lines
    assert (line["event"], line["level"]) == ("not offered here", "info")


def test_bug_of_a_collector_is_logged_once_with_its_traceback(logged: LoggedCauses) -> None:
    for _ in range(3):
        logged.poll(KeyError("x"), "a")
    assert logged.events == ["collector is at fault"]
    assert logged.lines[0]["level"] == "error"
    assert "KeyError" in logged.lines[0]["exception"]
    logged.poll(None, "a")
    assert logged.events[1:] == ["collector works again"]


def test_failing_script_is_logged_once_for_each_cause(logged: LoggedCauses) -> None:
    for _ in range(3):
        logged.causes.record_parts(
            "scripts",
            [CollectorFault("a.lua", "other", "ERR user_script:1: no"), CollectorFault("b.lua", "timeout", "x")],
        )
    assert [(line["part"], line["reason"]) for line in logged.lines] == [("a.lua", "other"), ("b.lua", "timeout")]
    assert logged.lines[0]["error"] == "ERR user_script:1: no"
    logged.causes.record_parts("scripts", [CollectorFault("b.lua", "other", "y")])
    assert logged.events[2:] == ["part of a collector fails", "part of a collector works again"]


def test_collectors_that_recover_from_one_reason_are_one_line(logged: LoggedCauses) -> None:
    """A permission was granted again, which five collectors need."""
    for collector in MANY[:5]:
        logged.causes.record_denied(collector, ["info"], worked=False)
    logged.causes.log_new()
    logged.poll(None, *MANY[:5])
    assert logged.events == ["not permitted", "collector works again"]
    assert logged.lines[1]["collector"] == ",".join(MANY[:5])


def test_collector_that_works_without_a_permission_has_recovered(logged: LoggedCauses) -> None:
    for _ in range(2):
        logged.poll(errors.TargetError("ERR it broke"), "acl_log")
        logged.causes.record_denied("acl_log", ["acl|log"], worked=True)
        logged.causes.log_new()
    assert logged.events == [
        *("collector fails", "not permitted", "collector works again"),
        *("collector fails", "collector works again"),
    ]


def test_collector_that_does_not_run_any_more_is_forgotten(logged: LoggedCauses) -> None:
    logged.poll(errors.TargetError("ERR it broke"), "keys", "streams")
    logged.causes.record_denied("keys", ["scan"], worked=False)
    logged.causes.log_new()
    logged.causes.forget("keys")
    logged.causes.forget("streams")
    logged.poll(None, "keys", "streams")
    assert logged.events == ["collector fails", "not permitted"]


def test_collector_that_fails_for_another_reason_has_not_recovered(logged: LoggedCauses) -> None:
    logged.poll(errors.ProtocolError("one"), "info")
    logged.poll(errors.OutOfMemoryError("two"), "info")
    assert logged.events == ["collector fails", "collector fails"]


def test_collector_is_named_once_in_a_line_of_recovered_ones(logged: LoggedCauses) -> None:
    for _ in range(100):
        logged.poll(errors.ProtocolError("x"), "a", "b")
        logged.poll(None, "b")
    logged.poll(None, "a")
    assert logged.lines[-1]["collector"] == "a,b"
