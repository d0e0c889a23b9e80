"""Tests of the bodies of the JSON pages."""

import math
from collections.abc import Sequence
from dataclasses import replace

import httpx
import pytest

from redis_pulse.web import TargetView, json_responses
from tests.web.fakes import DEGRADED, DOWN, STATS, UP, FakeDaemon, client


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
def test_bytes_have_the_format_of_redis(count: int | None, text: str | None) -> None:
    """In ``used_memory_human`` of a real server the units change at powers of 1024, with two decimals."""
    assert json_responses.format_bytes(count) == text


@pytest.mark.parametrize(
    ("hits", "misses", "rate"),
    [(2, 1, 66.67), (0, 5, 0.0), (5, 0, 100.0), (0, 0, None), (None, 1, None), (1, None, None)],
)
def test_hit_rate_is_a_percentage_or_null(hits: int | None, misses: int | None, rate: float | None) -> None:
    assert json_responses.hit_rate(replace(STATS, keyspace_hits=hits, keyspace_misses=misses)) == rate


@pytest.mark.parametrize(
    ("views", "is_loop_healthy", "status"),
    [
        ([UP], True, "healthy"),
        ([UP, UP], True, "healthy"),
        ([UP, DOWN], True, "degraded"),
        ([UP, DEGRADED], True, "degraded"),
        ([DEGRADED], True, "degraded"),
        ([DOWN], True, "unhealthy"),
        ([], True, "unhealthy"),
        ([UP], False, "unhealthy"),
    ],
)
def test_health_status_follows_all_targets(views: list[TargetView], is_loop_healthy: bool, status: str) -> None:
    assert json_responses.health_status(views, is_loop_healthy=is_loop_healthy) == status


def test_failing_collector_is_shown_with_its_reason() -> None:
    assert json_responses.health_target(DEGRADED)["failing"] == {
        "slowlog": {"reason": "timeout", "error": "no answer in time"},
        "clients": {"reason": "permission", "error": "NOPERM no", "user": "exporter", "commands": ["client|list"]},
    }


def test_target_without_a_reply_yet_is_described() -> None:
    waiting = replace(UP, up=False, latency_seconds=None, probe_age_seconds=None)
    assert json_responses.ping(waiting)[1]["message"] == "connected, no reply yet"
    lost = replace(waiting, status="disconnected")
    assert json_responses.ping(lost)[1]["message"] == "disconnected"


def test_value_that_is_not_finite_becomes_null() -> None:
    """JSON has no NaN and no infinity."""
    assert json_responses.milliseconds(math.nan) is None
    assert json_responses.rounded(math.inf) is None
    assert json_responses.milliseconds(0.000_123_45) == 0.123


async def get(query: str, *views: TargetView) -> httpx.Response:
    async with client(FakeDaemon(views=views)) as http:
        return await http.get(f"/redis/ping{query}")


async def test_unknown_target_is_answered_with_similar_names() -> None:
    response = await get("?target=cashe", UP, DOWN)
    assert response.status_code == 404
    assert response.json() == {
        "status": "error",
        "message": "no target has the name or address 'cashe': did you mean cache?",
        "targets": ["cache"],
    }


async def test_unknown_target_without_similar_name_is_answered_with_all_names() -> None:
    response = await get(f"?target={'zzz' * 200}", UP, DOWN)
    assert response.status_code == 404
    assert response.json()["targets"] == ["cache", "queue"]
    assert len(response.json()["message"]) < 300


async def test_listed_names_are_limited() -> None:
    names = [f"t{number}" for number in range(30)]
    response = await get("", *(replace(UP, name=name) for name in names))
    assert response.json()["targets"] == names[:20]


async def test_query_without_target_is_refused_if_there_are_several() -> None:
    response = await get("", UP, DOWN)
    assert response.status_code == 400
    assert "?target=cache" in response.json()["message"]


async def test_query_without_any_configured_target_gets_503() -> None:
    """It is not the fault of the client."""
    response = await get("")
    assert response.status_code == 503
    assert response.json() == {"status": "error", "message": "no target is configured"}


async def test_query_for_one_target_reads_only_that_target() -> None:
    """A page of one target must not build the views of a thousand others."""

    class DaemonWithoutViews(FakeDaemon):
        def targets(self) -> Sequence[TargetView]:
            raise AssertionError("the views of all targets are expensive")

    async with client(DaemonWithoutViews(views=[UP, DOWN])) as http:
        assert (await http.get("/redis/stats?target=cache")).status_code == 200
