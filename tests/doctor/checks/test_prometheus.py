"""What doctor reads from Prometheus, on states that a real one reaches slowly."""

import time
from typing import Any

import pytest

from redis_pulse.doctor.checks.prometheus import GROUPS, examine_prometheus
from redis_pulse.doctor.http import HttpClient
from tests.doctor.apis import api

UP: dict[str, Any] = {"metric": {"target": "cart", "job": "redis-pulse", "instance": "a:9121"}, "value": [0, "1"]}
STALE = "present_over_time(redis_up[30m]) unless redis_up"
NEWEST = "max by (target) (timestamp(redis_up))"


def vector(*series: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"result": list(series)}}


def answers(**changes: Any) -> dict[str, Any]:
    """Return the answers of a Prometheus in which all is well."""
    rule = {"name": "RedisTargetDown", "health": "ok"}
    return {
        "redis_up": vector(UP),
        NEWEST: vector({"metric": {"target": "cart"}, "value": [0, str(time.time())]}),
        STALE: vector(),
        "/api/v1/targets": {"data": {"activeTargets": []}},
        "/api/v1/rules": {"data": {"groups": [{"name": name, "rules": [rule]} for name in GROUPS]}},
        "/api/v1/alertmanagers": {"data": {"activeAlertmanagers": [{"url": "http://am:9093/api/v2/alerts"}]}},
        **changes,
    }


async def codes(**changes: Any) -> list[str]:
    with api(answers(**changes)) as url:
        found = await examine_prometheus(HttpClient.from_url(url), ["cart"], "http://am:9093")
    return [finding.advice.code for finding in found if finding.advice.severity != "note"]


async def test_healthy_prometheus_has_no_warning() -> None:
    assert await codes() == []


@pytest.mark.parametrize("label", ["target", "job", "instance"])
async def test_missing_label_is_named(label: str) -> None:
    metric = {name: value for name, value in UP["metric"].items() if name != label}
    found = await codes(redis_up=vector({"metric": metric, "value": [0, "1"]}))
    assert found[0] == "RP904"


async def test_rule_that_fails_is_named() -> None:
    groups = [{"name": name, "rules": [{"name": "x", "health": "err", "lastError": "bad"}]} for name in GROUPS]
    assert set(await codes(**{"/api/v1/rules": {"data": {"groups": groups}}})) == {"RP907"}


async def test_stale_series_is_named() -> None:
    old = vector({"metric": {"target": "cart"}, "value": [0, str(time.time() - 900)]})
    assert await codes(**{NEWEST: old}) == ["RP908"]
    assert await codes(**{STALE: vector(UP)}) == ["RP908"]


async def test_other_alertmanager_is_named() -> None:
    assert await codes(**{"/api/v1/alertmanagers": {"data": {"activeAlertmanagers": []}}}) == ["RP916"]


@pytest.mark.parametrize("answer", [[], {"data": None}, {"data": {"result": "x"}}, 500])
async def test_answer_of_another_program_is_named(answer: Any) -> None:
    assert await codes(redis_up=answer) == ["RP901"]
