"""One line for a cause, however many collectors it hits; none where the target's own line tells it."""

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

SEVERAL = [f"collector{number}" for number in range(100)]


class Seen:
    """The collectors of a target, and what was logged of them."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.causes = FailureCauses(LogLimiter(log.get("target"), ManualClock()), "exporter")

    def poll(self, error: Exception | None, *collectors: str, is_away: bool = False) -> None:
        for collector in collectors:
            if error is None:
                self.causes.worked(collector)
            else:
                self.causes.failed(collector, error, is_away=is_away)
        self.causes.tell()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def seen() -> Iterator[Seen]:
    yield Seen()
    log.setup()


def test_a_hundred_collectors_that_fail_for_one_cause_are_one_line(seen: Seen) -> None:
    for _ in range(3):
        seen.poll(errors.TargetError("ERR no"), *SEVERAL)
    assert seen.events == ["collector fails"]
    assert seen.lines[0]["collector"].split(",") == SEVERAL
    assert seen.lines[0]["error"] == "ERR no"
    seen.poll(None, *SEVERAL)
    seen.poll(None, *SEVERAL)
    assert seen.events == ["collector fails", "collector works again"]


def test_two_causes_are_two_lines(seen: Seen) -> None:
    seen.poll(errors.TargetError("ERR no"), "a", "b")
    seen.poll(errors.ClusterDownError("CLUSTERDOWN"), "c", "a")
    assert [(line["reason"], line["collector"]) for line in seen.lines] == [("other", "a,b"), ("clusterdown", "c,a")]


def test_a_text_that_varies_is_no_further_cause(seen: Seen) -> None:
    for number in range(5):
        seen.poll(errors.TargetError(f"ERR no {number}"), "a")
    assert seen.events == ["collector fails"]


@pytest.mark.parametrize("error", [errors.ConnectionResetByTargetError("x"), errors.AuthError("WRONGPASS x")])
def test_what_the_next_ping_meets_too_is_told_by_the_ping_alone(seen: Seen, error: errors.TargetError) -> None:
    seen.poll(error, *SEVERAL)
    seen.causes.on_probe(is_up=False)
    seen.poll(error, *SEVERAL, is_away=True)
    seen.poll(None, *SEVERAL)
    seen.causes.on_probe(is_up=True)
    assert not seen.lines


def test_what_the_next_ping_does_not_meet_is_one_line(seen: Seen) -> None:
    """A rotated password shows at the next connection, and the prober has one that it keeps."""
    seen.poll(errors.AuthError("WRONGPASS x"), *SEVERAL)
    assert not seen.lines
    seen.causes.on_probe(is_up=True)
    assert seen.events == ["collector fails"]
    assert seen.lines[0]["error"] == "WRONGPASS x"


def test_a_collector_that_works_again_before_the_next_ping_is_not_mentioned(seen: Seen) -> None:
    seen.poll(errors.OperationTimeoutError("x"), "a")
    seen.poll(None, "a")
    seen.causes.on_probe(is_up=True)
    assert not seen.lines


def test_an_open_breaker_is_no_news(seen: Seen) -> None:
    seen.poll(errors.RejectedError("x"), "a")
    seen.causes.on_probe(is_up=True)
    assert not seen.lines


def test_what_is_denied_is_one_line_with_the_user_and_the_words_to_grant(seen: Seen) -> None:
    for _ in range(3):
        seen.causes.denied("clients", ["client|list"], worked=False)
        seen.causes.denied("config", ["config|get"], worked=False)
        seen.causes.tell()
    assert seen.events == ["not permitted"]
    assert seen.lines[0]["user"] == "exporter"
    assert seen.lines[0]["missing"] == "+client|list +config|get"
    assert seen.lines[0]["collector"] == "clients,config"
    seen.poll(None, "clients")
    assert seen.events[1:] == ["collector works again"]
    seen.causes.denied("clients", ["client|list"], worked=False)
    seen.causes.tell()
    assert seen.events[2:] == ["not permitted"]


def test_what_a_server_lacks_is_told_once(seen: Seen) -> None:
    for _ in range(3):
        seen.causes.unsupported("latency", errors.UnknownCommandError("unknown command"))
    assert seen.events == ["not supported by this server"]


def test_a_fault_of_a_collector_is_told_once_with_its_trace(seen: Seen) -> None:
    for _ in range(3):
        seen.poll(KeyError("x"), "a")
    assert seen.events == ["collector is at fault"]
    assert seen.lines[0]["level"] == "error"
    assert "KeyError" in seen.lines[0]["exception"]
    seen.poll(None, "a")
    assert seen.events[1:] == ["collector works again"]


def test_a_script_that_fails_is_told_once_for_each_cause(seen: Seen) -> None:
    for _ in range(3):
        seen.causes.parts(
            "scripts",
            [CollectorFault("a.lua", "other", "ERR user_script:1: no"), CollectorFault("b.lua", "timeout", "x")],
        )
    assert [(line["part"], line["reason"]) for line in seen.lines] == [("a.lua", "other"), ("b.lua", "timeout")]
    assert seen.lines[0]["error"] == "ERR user_script:1: no"
    seen.causes.parts("scripts", [CollectorFault("b.lua", "other", "y")])
    assert seen.events[2:] == ["part of a collector fails", "part of a collector works again"]


def test_collectors_that_work_again_for_one_reason_are_one_line(seen: Seen) -> None:
    """An ACL that was given back: five lines told that five collectors worked again."""
    for collector in SEVERAL[:5]:
        seen.causes.denied(collector, ["info"], worked=False)
    seen.causes.tell()
    seen.poll(None, *SEVERAL[:5])
    assert seen.events == ["not permitted", "collector works again"]
    assert seen.lines[1]["collector"] == ",".join(SEVERAL[:5])


def test_a_collector_that_can_do_without_what_is_denied_tells_that_it_works_again(seen: Seen) -> None:
    for _ in range(2):
        seen.poll(errors.TargetError("ERR it broke"), "acl_log")
        seen.causes.denied("acl_log", ["acl|log"], worked=True)
        seen.causes.tell()
    assert seen.events == [
        *("collector fails", "not permitted", "collector works again"),
        *("collector fails", "collector works again"),
    ]


def test_a_collector_that_is_not_run_any_more_is_forgotten_without_a_line(seen: Seen) -> None:
    seen.poll(errors.TargetError("ERR it broke"), "keys", "streams")
    seen.causes.denied("keys", ["scan"], worked=False)
    seen.causes.tell()
    seen.causes.rests("keys")
    seen.causes.rests("streams")
    seen.poll(None, "keys", "streams")
    assert seen.events == ["collector fails", "not permitted"]


def test_a_collector_that_fails_for_another_reason_does_not_work_again(seen: Seen) -> None:
    seen.poll(errors.ProtocolError("one"), "info")
    seen.poll(errors.OutOfMemoryError("two"), "info")
    assert seen.events == ["collector fails", "collector fails"]


def test_a_collector_that_comes_and_goes_stands_once_in_a_line(seen: Seen) -> None:
    for _ in range(100):
        seen.poll(errors.ProtocolError("x"), "a", "b")
        seen.poll(None, "b")
    seen.poll(None, "a")
    assert seen.lines[-1]["collector"] == "a,b"
