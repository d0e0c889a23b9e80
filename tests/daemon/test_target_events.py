"""A change is logged once; a probe is never."""

import io
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from redis_pulse import errors, log
from redis_pulse.daemon.target_events import TargetEventLogger
from redis_pulse.metric import CollectorFault
from redis_pulse.probe import ProbeResult
from redis_pulse.server_info import Target
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock
from tests.harness import metric_value, target_settings


class Told:
    """A report, and the lines that it logged."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.instruments = ExporterMetrics("x")
        of_target = self.instruments.add_target("t", [], buckets=(1.0,), address="a", labels={})
        self.clock = ManualClock()
        self.report = TargetEventLogger(Target.of(target_settings()), of_target, 0.1, clock=self.clock)

    def on_probe(self, result: float | errors.TargetError) -> None:
        seconds, error = (None, result) if isinstance(result, errors.TargetError) else (result, None)
        self.report.on_probe(ProbeResult(0, 0, seconds, error))

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


def test_slow_replies_are_told_when_they_begin_and_when_they_end(told: Told) -> None:
    for seconds in (0.01, 0.2, 0.3, 0.01):
        told.on_probe(seconds)
    assert told.events == ["connected", "slow reply", "replies are fast again"]
    assert told.lines[1]["level"] == "warning"


def test_a_target_that_is_away_costs_one_line_not_one_for_each_collector(told: Told) -> None:
    refused = errors.ConnectionRefusedByTargetError("x")
    for collector in ("info", "slowlog", "latency"):
        told.report.on_collector(collector, refused)
    told.report.polled()
    told.on_probe(refused)
    told.report.breaker_changed("closed", "open")
    for collector in ("info", "slowlog", "latency"):
        told.report.on_collector(collector, refused)
    told.report.polled()
    told.on_probe(0.01)
    told.report.breaker_changed("half_open", "closed")
    assert [line["event"] for line in told.lines if line["level"] != "debug"] == ["cannot connect", "connected"]


def test_a_collector_that_fails_while_the_target_is_up_is_told_of(told: Told) -> None:
    told.on_probe(0.01)
    for error in (errors.OperationTimeoutError("x"), errors.OperationTimeoutError("x"), None):
        told.report.on_collector("slowlog", error)
        told.report.polled()
        told.on_probe(0.01)
    assert told.events == ["connected", "collector fails", "collector works again"]


def test_what_is_denied_lacking_or_failing_in_part_is_told(told: Told) -> None:
    told.report.denied("clients", ["client|list"], worked=False)
    told.report.unsupported("latency", errors.UnknownCommandError("x"))
    told.report.parts("scripts", [CollectorFault("a.lua", "other", "x")])
    told.report.polled()
    assert set(told.events) == {"not permitted", "not supported by this server", "part of a collector fails"}
    denied = next(line for line in told.lines if line["event"] == "not permitted")
    assert (denied["user"], denied["missing"], denied["target"]) == ("default", "+client|list", "t")


def test_the_trials_of_an_open_breaker_are_no_news(told: Told) -> None:
    steps = ["closed", "open", "half_open", "open", "half_open", "closed"]
    for old, new in pairwise(steps):
        told.report.breaker_changed(old, new)  # type: ignore[arg-type]
    assert told.events == ["circuit breaker opened", "circuit breaker closed"]
    assert metric_value(told.instruments, "redis_circuit_breaker_transitions_total", from_state="half_open") == 1


def test_attempts_to_connect_and_repeated_reads_are_counted(told: Told) -> None:
    told.report.connected(0.01, None)
    told.report.connected(0.01, errors.NameResolutionError("x"))
    told.report.connected(5, errors.OperationTimeoutError("x"))
    told.report.retried("info")
    assert metric_value(told.instruments, "redis_operations_total", operation="connect") == 3
    assert metric_value(told.instruments, "redis_operation_failures_total", operation="connect", reason="dns") == 1
    assert metric_value(told.instruments, "redis_operation_duration_seconds_count", operation="connect") == 2
    assert metric_value(told.instruments, "redis_operation_retries_total", operation="info") == 1
