"""A change is logged once; a probe is never."""

import io
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from exporter import errors, log
from exporter.app.report import Report
from exporter.instruments import Instruments
from exporter.prober import Outcome
from exporter.targets import Target
from tests.watching import settings, value


class Told:
    """A report, and the lines that it logged."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.instruments = Instruments("x")
        of_target = self.instruments.watch("t", [], buckets=(1.0,), address="a", labels={})
        self.report = Report(Target.of(settings()), of_target, 0.1)

    def probed(self, result: float | errors.TargetError) -> None:
        seconds, error = (None, result) if isinstance(result, errors.TargetError) else (result, None)
        self.report.probed(Outcome(0, 0, seconds, error))

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def told() -> Iterator[Told]:
    yield Told()
    log.setup()


def test_a_target_that_comes_and_goes_gives_a_line_a_change(told: Told) -> None:
    for result in (0.01, 0.02, errors.OperationTimeoutError("x"), errors.OperationTimeoutError("x"), 0.01):
        told.probed(result)
    assert told.events == ["connected", "lost", "connected"]
    assert told.lines[1]["reason"] == "timeout"
    assert told.lines[0]["target"] == "t"


def test_another_reason_is_another_line_and_a_rejected_slot_is_none(told: Told) -> None:
    told.probed(errors.ConnectionRefusedByTargetError("x"))
    told.probed(errors.RejectedError("x"))
    told.probed(errors.LoadingError("x"))
    assert [line["reason"] for line in told.lines] == ["refused", "loading"]


def test_slow_replies_are_told_when_they_begin_and_when_they_end(told: Told) -> None:
    for seconds in (0.01, 0.2, 0.3, 0.01):
        told.probed(seconds)
    assert told.events == ["connected", "slow reply", "replies are fast again"]
    assert told.lines[1]["level"] == "warning"


def test_a_collector_is_told_of_when_it_fails_and_when_it_works_again(told: Told) -> None:
    for error in (None, errors.LoadingError("x"), errors.LoadingError("x"), errors.RejectedError("x"), None, None):
        told.report.collected("info", error)
    assert told.events == ["collector fails", "collector works again"]


def test_a_target_that_is_away_costs_one_line_not_one_for_each_collector(told: Told) -> None:
    for collector in ("info", "slowlog", "latency"):
        told.report.collected(collector, errors.ConnectionRefusedByTargetError("x"))
    for collector in ("info", "slowlog", "latency"):
        told.report.collected(collector, None)
    told.report.collected("slowlog", errors.OperationTimeoutError("x"))
    assert [(line["event"], line["collector"]) for line in told.lines] == [
        ("collector fails", "info"),
        ("collector works again", "info"),
        ("collector fails", "slowlog"),
    ]


def test_a_fault_of_a_collector_is_told_with_its_trace(told: Told) -> None:
    told.report.collected("info", KeyError("x"))
    assert told.lines[0]["level"] == "error"
    assert "KeyError" in told.lines[0]["exception"]


def test_a_missing_capability_is_told_once(told: Told) -> None:
    for _ in range(3):
        told.report.unsupported("latency", errors.UnknownCommandError("unknown command"))
    assert told.events == ["not supported by this server"]


def test_the_trials_of_an_open_breaker_are_no_news(told: Told) -> None:
    steps = ["closed", "open", "half_open", "open", "half_open", "closed"]
    for old, new in pairwise(steps):
        told.report.breaker_changed(old, new)  # type: ignore[arg-type]
    assert told.events == ["circuit breaker opened", "circuit breaker closed"]
    assert value(told.instruments, "redis_circuit_breaker_transitions_total", from_state="half_open") == 1


def test_attempts_to_connect_and_repeated_reads_are_counted(told: Told) -> None:
    told.report.connected(0.01, None)
    told.report.connected(0.01, errors.NameResolutionError("x"))
    told.report.connected(5, errors.OperationTimeoutError("x"))
    told.report.retried("info")
    assert value(told.instruments, "redis_operations_total", operation="connect") == 3
    assert value(told.instruments, "redis_operation_failures_total", operation="connect", reason="dns") == 1
    assert value(told.instruments, "redis_operation_duration_seconds_count", operation="connect") == 2
    assert value(told.instruments, "redis_operation_retries_total", operation="info") == 1
