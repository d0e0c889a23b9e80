"""The figures that the recovery bench computes from pages and times."""

from collections import Counter

import pytest

from bench.recovery_figures import HEAD, Recovery, connected, failed_pings, p99, recovery, row, ups

PAGE = """# HELP redis_up 1 if the newest ping succeeded before its deadline.
# TYPE redis_up gauge
redis_up{target="a"} 1
redis_up{target="b"} 0
redis_up{env="prod",target="c"} 1
"""

FAILURES = """# TYPE redis_operation_failures_total counter
redis_operation_failures_total{target="a",operation="ping",reason="refused"} 4
redis_operation_failures_total{target="a",operation="ping",reason="rejected"} 10
redis_operation_failures_total{target="a",operation="connect",reason="refused"} 100
"""


def test_redis_up_of_each_target_is_parsed() -> None:
    assert ups(PAGE) == {"a": True, "b": False, "c": True}


def test_connected_targets_are_read_from_the_health_page() -> None:
    health = """{"status": "degraded", "targets": {
        "a": {"redis": {"status": "connected", "latency_ms": 0.1}, "breaker": "closed"},
        "b": {"redis": {"status": "error: refused: no listener", "latency_ms": null}, "breaker": "open"}}}"""
    assert connected(health) == {"a": True, "b": False}


def test_failed_pings_are_counted_by_reason() -> None:
    assert failed_pings(FAILURES) == {"refused": 4, "rejected": 10}


def test_recovery_ends_when_redis_up_is_first_1_after_the_return() -> None:
    states = [(9.0, False), (10.5, False), (12.5, True), (13.0, True)]
    assert recovery(states, returned=10.0, invented=Counter(rejected=2)) == Recovery(2.5, 2.5, Counter(rejected=2), 0)


def test_recovery_before_the_client_takes_0_seconds() -> None:
    assert recovery([(9.0, False), (9.9, True)], returned=10.0).seconds == 0.0


def test_target_that_is_never_up_has_no_recovery_time() -> None:
    assert recovery([(9.0, False), (99.0, False)], returned=10.0) == Recovery(None, None, None, 0)


def test_each_change_from_up_to_down_after_the_return_is_a_flap() -> None:
    states = [(float(moment), is_up) for moment, is_up in enumerate([False, True, False, True, True, False])]
    assert recovery(states, returned=0.5) == Recovery(0.5, None, None, 2)


@pytest.mark.parametrize(("count", "expected"), [(3, 2.0), (99, 98.0), (101, 99.0)])
def test_p99_of_few_values_is_the_largest(count: int, expected: float) -> None:
    assert p99([float(value) for value in range(count)]) == expected


def test_target_is_steady_from_its_last_change_to_up() -> None:
    states = [(10.5, False), (11.0, True), (12.0, False), (15.0, True), (30.0, True)]
    assert recovery(states, returned=10.0) == Recovery(1.0, 5.0, None, 1)


def test_row_has_a_cell_for_each_column() -> None:
    cells = row(
        "10 s",
        [
            Recovery(1, 1, Counter(refused=1), 0),
            Recovery(2, 5, Counter(refused=0, rejected=3), 1),
            Recovery(6, 6, None, 0),
            Recovery(None, None, None, 0),
        ],
    )
    assert dict(zip(HEAD, cells, strict=True)) == {
        "outage": "10 s",
        "n": "4",
        "min s": "1.00",
        "median s": "2.00",
        "p99 s": "6.00",
        "max s": "6.00",
        "steady: median, max s": "5.00, 6.00",
        "failed pings after the return": "4 (2.0 a target, at most 3); rejected 3; refused 1",
        "flapped": "1",
        "never up": "1",
    }


def test_row_without_a_recovered_target_has_dashes() -> None:
    assert row("10 s", [Recovery(None, None, None, 0)]) == ["10 s", "1", *["-"] * 6, "0", "1"]
