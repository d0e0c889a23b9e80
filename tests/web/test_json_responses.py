"""Bodies of the JSON pages, decided from views alone."""

import math
from dataclasses import replace

import pytest

from redis_pulse.web import TargetView, json_responses
from tests.web.fakes import DOWN, HALF, STATS, UP


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, None),
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.00K"),
        (1_100_000, "1.05M"),
        (1024**2 - 1, "1024.00K"),
        (3 * 1024**3, "3.00G"),
        (2**40, "1.00T"),
        (2**50, "1.00P"),
        (2**60, "1152921504606846976B"),
    ],
)
def test_bytes_read_as_redis_writes_them(count: int | None, text: str | None) -> None:
    """``used_memory_human`` of a real server: units change at powers of 1024, two digits after the point."""
    assert json_responses.format_bytes(count) == text


@pytest.mark.parametrize(
    ("hits", "misses", "rate"),
    [(2, 1, 66.67), (0, 5, 0.0), (5, 0, 100.0), (0, 0, None), (None, 1, None), (1, None, None)],
)
def test_the_hit_rate_is_a_percentage_or_null(hits: int | None, misses: int | None, rate: float | None) -> None:
    assert json_responses.hit_rate(replace(STATS, keyspace_hits=hits, keyspace_misses=misses)) == rate


@pytest.mark.parametrize(
    ("views", "loop_turns", "status"),
    [
        ([UP], True, "healthy"),
        ([UP, UP], True, "healthy"),
        ([UP, DOWN], True, "degraded"),
        ([UP, HALF], True, "degraded"),
        ([HALF], True, "degraded"),
        ([DOWN], True, "unhealthy"),
        ([], True, "unhealthy"),
        ([UP], False, "unhealthy"),
    ],
)
def test_health_is_the_sum_of_its_targets(views: list[TargetView], loop_turns: bool, status: str) -> None:
    assert json_responses.health_status(views, loop_turns=loop_turns) == status


def test_a_collector_that_fails_is_named_with_its_reason() -> None:
    assert json_responses.health_target(HALF)["failing"] == {
        "slowlog": {"reason": "timeout", "error": "no answer in time"},
        "clients": {"reason": "permission", "error": "NOPERM no", "user": "exporter", "commands": ["client|list"]},
    }


def test_a_target_without_an_answer_yet_says_so() -> None:
    waiting = replace(UP, up=False, latency_seconds=None, probe_age_seconds=None)
    assert json_responses.ping(waiting)[1]["message"] == "connected, and no answer yet"
    lost = replace(waiting, status="disconnected")
    assert json_responses.ping(lost)[1]["message"] == "disconnected"


def test_what_is_no_number_becomes_null() -> None:
    """JSON has no NaN, and a client must not meet one."""
    assert json_responses.milliseconds(math.nan) is None
    assert json_responses.rounded(math.inf) is None
    assert json_responses.milliseconds(0.000_123_45) == 0.123


def test_a_target_is_found_by_name_before_address() -> None:
    confusing = replace(UP, name="10.0.0.7:6379", address="elsewhere:1")
    assert json_responses.find_target([DOWN, confusing], "10.0.0.7:6379") is confusing
    assert json_responses.find_target([UP, DOWN], "10.0.0.7:6379") is DOWN


def test_an_unknown_target_is_answered_with_near_names() -> None:
    with pytest.raises(json_responses.UnknownTargetError) as raised:
        json_responses.find_target([UP, DOWN], "cashe")
    assert raised.value.status == 404
    assert raised.value.body["message"] == "no target is named 'cashe': did you mean cache?"
    assert raised.value.body["targets"] == ["cache"]


def test_a_target_like_no_other_is_answered_with_all_names() -> None:
    with pytest.raises(json_responses.UnknownTargetError) as raised:
        json_responses.find_target([UP, DOWN], "zzz" * 200)
    assert raised.value.body["targets"] == ["cache", "queue"]
    assert len(raised.value.body["message"]) < 250


def test_one_of_several_targets_must_be_named() -> None:
    with pytest.raises(json_responses.UnknownTargetError) as raised:
        json_responses.find_target([UP, DOWN], None)
    assert raised.value.status == 400
    assert "?target=cache" in raised.value.body["message"]


def test_no_target_at_all_is_not_the_clients_fault() -> None:
    with pytest.raises(json_responses.UnknownTargetError) as raised:
        json_responses.find_target([], None)
    assert raised.value.status == 503
