"""Ten lines whatever happened, and the limits of a machine."""

import json
from typing import Any

import pytest

from redis_pulse.calibrate.measure import ComparedPing, Measurement
from redis_pulse.calibrate.report import Quantiles, Report
from redis_pulse.client import SentPing
from redis_pulse.errors import OperationTimeoutError
from redis_pulse.probe import ProbeResult

US = 1e-6
GOOD = ComparedPing(
    error=7 * US,
    before=2 * US,
    after=5 * US,
    naive=100 * US,
    late=0.0005,
    held=0.0,
    send_by_kernel=True,
    reply_by_kernel=True,
    record_by_kernel=True,
)
FAILED = (1, ProbeResult(1, 2, None, OperationTimeoutError("no answer in time")))
PREEMPTED = (1, ProbeResult(1, 2, 0.1, None, sent=SentPing(1, 1, 0.1)))


def report(*pings: ComparedPing, **changes: Any) -> Report:
    values: dict[str, Any] = {"targets": 1, "seconds": 10.0, "due": 100, "skipped": 0, "results": (), "waited": 0.01}
    return Report(Measurement(**values | changes), pings or (GOOD,) * 100)


def test_good_machine_has_no_limit() -> None:
    lines = report().as_text().splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("1 target, 10 s:")
    assert lines[2].split() == ["error", "of", "a", "ping,", "µs", "7.0", "7.0", "7.0"]
    assert lines[7] == "timed by the kernel: 100% of sends, 100% of replies, 100% of the server's record"
    assert lines[8] == "pings: 100 due, 100 answered, 0 failed, 0 skipped, 0 sent at an uncertain time"
    assert lines[9] == "limited by: nothing was found"


@pytest.mark.parametrize(
    ("change", "changes", "expected"),
    [
        ({"reply_by_kernel": False}, {}, "does not time replies"),
        ({"send_by_kernel": False}, {}, "does not time sends"),
        ({"record_by_kernel": False}, {}, "the server's record is not by the kernel"),
        ({"late": 0.02}, {}, "pings leave late"),
        ({}, {"waited": 0.3}, "contended: this program waited 30% of the time"),
        ({}, {"skipped": 3}, "pings were skipped"),
        ({}, {"results": (FAILED,)}, "pings failed (1 timeout)"),
        ({}, {"results": (PREEMPTED,)}, "some sends were preempted"),
    ],
)
def test_limit_is_named_in_one_line(change: dict[str, Any], changes: dict[str, Any], expected: str) -> None:
    lines = report(*[GOOD._replace(**change)] * 100, **changes).as_text().splitlines()
    assert len(lines) == 10
    assert expected in lines[9]


def test_few_pings_without_timestamp_are_shown_and_are_no_limit() -> None:
    mostly = report(*[GOOD] * 999, GOOD._replace(send_by_kernel=False))
    assert "99.9% of sends, 100% of replies" in mostly.as_text()
    assert mostly.limits() == []


def test_waiting_is_no_limit_where_the_system_does_not_tell_it() -> None:
    unknown = report(waited=None)
    assert unknown.limits() == []
    assert json.loads(unknown.as_json())["waited_for_core_ratio"] is None


def test_quantiles_are_observed_values() -> None:
    assert Quantiles.of([5.0]) == (5, 5, 5)
    assert Quantiles.of(range(200, 0, -1)) == (100, 198, 200)


def test_json_has_seconds_and_the_error_by_length_of_a_round_trip() -> None:
    slow = GOOD._replace(held=0.02, error=-9 * US)
    content = json.loads(report(GOOD, slow, results=(FAILED,)).as_json())
    assert content["error_seconds"] == {"p50": 7e-06, "p99": 9e-06, "max": 9e-06}
    assert content["error_by_held_back_seconds"]["0.02"]["p50"] == 9e-06
    assert set(content["error_by_held_back_seconds"]) == {"0", "0.02"}
    assert content["pings"] == {"due": 100, "answered": 2, "failed": {"timeout": 1}, "skipped": 0, "uncertain_sends": 0}
    assert content["limits"] == ["pings failed (1 timeout)"]
