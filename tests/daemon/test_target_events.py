"""Each change of a target is logged once, and probes are never logged."""

import io
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from redis_pulse import errors, log
from redis_pulse.daemon.target_events import TargetEventLogger
from redis_pulse.metric import CollectorFault, SlowCommand, SlowCommands
from redis_pulse.probe import ProbeResult
from redis_pulse.stalls import PingOutcome, StallMonitor
from redis_pulse.status import StatusRegistry
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock
from tests.harness import end_first_zeros, metric_value, target_settings


class LoggedEvents:
    """The event logger of one target, and the lines that it wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        log.setup("debug", "json", self.stream)
        self.metrics = ExporterMetrics("x")
        self.clock = ManualClock()
        target_metrics = self.metrics.add_target("t", [], buckets=(1.0,), address="a", labels={}, clock=self.clock)
        status = StatusRegistry(lambda: 6000.0).watch("t", 0.01)
        self.logger = TargetEventLogger(target_settings(), target_metrics, status, 0.1, clock=self.clock)

    def on_probe(self, result: float | errors.TargetError) -> None:
        seconds, error = (None, result) if isinstance(result, errors.TargetError) else (result, None)
        self.logger.on_probe(ProbeResult(0, 0, seconds, error))

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def logged() -> Iterator[LoggedEvents]:
    yield LoggedEvents()
    log.setup()


def test_slow_replies_are_logged_when_they_begin_and_end(logged: LoggedEvents) -> None:
    for seconds in (0.01, 0.2, 0.3, 0.01):
        logged.on_probe(seconds)
    assert logged.events == ["connected", "slow reply", "replies are fast again"]
    assert logged.lines[1]["level"] == "warning"


def test_unavailable_target_is_one_line_and_not_one_per_collector(logged: LoggedEvents) -> None:
    refused = errors.ConnectionRefusedByTargetError("x")
    for collector in ("info", "slowlog", "latency"):
        logged.logger.on_collector(collector, refused)
    logged.logger.polled()
    logged.on_probe(refused)
    logged.logger.breaker_changed("closed", "open")
    for collector in ("info", "slowlog", "latency"):
        logged.logger.on_collector(collector, refused)
    logged.logger.polled()
    logged.on_probe(0.01)
    logged.logger.breaker_changed("half_open", "closed")
    assert [line["event"] for line in logged.lines if line["level"] != "debug"] == ["cannot connect", "connected"]


def test_collector_that_fails_while_the_target_is_up_is_logged(logged: LoggedEvents) -> None:
    logged.on_probe(0.01)
    for error in (errors.OperationTimeoutError("x"), errors.OperationTimeoutError("x"), None):
        logged.logger.on_collector("slowlog", error)
        logged.logger.polled()
        logged.on_probe(0.01)
    assert logged.events == ["connected", "collector fails", "collector works again"]


def test_denied_unsupported_and_partial_failures_are_logged(logged: LoggedEvents) -> None:
    logged.logger.denied("clients", ["client|list"], worked=False)
    logged.logger.unsupported("latency", errors.UnknownCommandError("x"))
    logged.logger.partial_failures("scripts", [CollectorFault("a.lua", "other", "x")])
    logged.logger.polled()
    assert set(logged.events) == {"not permitted", "not supported by this server", "part of a collector fails"}
    denied = next(line for line in logged.lines if line["event"] == "not permitted")
    assert (denied["user"], denied["missing"], denied["target"]) == ("default", "+client|list", "t")


def test_slow_commands_are_logged_and_the_rest_is_summarized(logged: LoggedEvents) -> None:
    slow = SlowCommand("keys", 0.83, "cart-worker")
    for _ in range(4):
        logged.logger.slow_commands(SlowCommands((slow,) * 4, unread=0))
    assert logged.events == ["slow command"] * 10 + ["more slow commands"]
    assert (logged.lines[0]["target"], logged.lines[0]["client"]) == ("t", "cart-worker")
    logged.clock.advance(60)
    logged.logger.polled()
    assert logged.lines[-1]["left_out"] == 4


def test_trials_of_an_open_breaker_are_not_logged(logged: LoggedEvents) -> None:
    states = ["closed", "open", "half_open", "open", "half_open", "closed"]
    for old, new in pairwise(states):
        logged.logger.breaker_changed(old, new)  # type: ignore[arg-type]
    assert logged.events == ["circuit breaker opened", "circuit breaker closed"]
    assert metric_value(logged.metrics, "redis_circuit_breaker_transitions_total", from_state="half_open") == 1


def test_connects_and_retries_are_counted(logged: LoggedEvents) -> None:
    logged.logger.connected(0.01, None)
    logged.logger.connected(0.01, errors.NameResolutionError("x"))
    logged.logger.connected(5, errors.OperationTimeoutError("x"))
    logged.logger.retried("info")
    end_first_zeros(logged.metrics, logged.clock)
    assert metric_value(logged.metrics, "redis_operations_total", operation="connect") == 3
    assert metric_value(logged.metrics, "redis_operation_failures_total", operation="connect", reason="dns") == 1
    assert metric_value(logged.metrics, "redis_operation_duration_seconds_count", operation="connect") == 2
    assert metric_value(logged.metrics, "redis_operation_retries_total", operation="info") == 1


class BrokenStallMonitor(StallMonitor):
    """Raises for every ping, as a bug would."""

    def __init__(self) -> None:
        pass

    def on_outcome(self, outcome: PingOutcome) -> None:
        raise RuntimeError(outcome)


def test_bug_in_the_stalls_is_logged_once_and_costs_no_ping(logged: LoggedEvents) -> None:
    logged.logger.stalls = BrokenStallMonitor()
    logged.on_probe(0.01)
    logged.on_probe(0.01)
    assert sorted(logged.events) == ["connected", "stalls are no longer recorded"]
    assert logged.logger.stalls is None
