"""Examine Prometheus: whether it scrapes us, the labels, the rules, and series that are stale."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from redis_pulse.doctor.findings import Findings
from redis_pulse.doctor.http import HttpClient, HttpProblem

#: The groups of ``deploy/prometheus/`` begin with this.
GROUP_PREFIX = "redis-pulse-"
#: The groups that dashboards and alerts need.
GROUPS = (
    *("redis-pulse-reachable", "redis-pulse-exporter", "redis-pulse-slo", "redis-pulse-slo-long"),
    *("redis-pulse-records", "redis-pulse-capacity", "redis-pulse-replication", "redis-pulse-durability"),
)
#: Labels that dashboards and rules use on each series of a target.
LABELS = ("target", "job", "instance")
#: Seconds after which the newest sample is stale.
STALE_SECONDS = 120
_MAX_NAMED = 10
Series = Mapping[str, Any]


async def examine_prometheus(client: HttpClient, targets: Sequence[str], alertmanager: str | None) -> Findings:
    """Return what is wrong between the exporter and Prometheus. ``targets`` are names that must have series."""
    findings = Findings("Prometheus", client.url, {"url": client.url})
    findings.check = "prometheus"
    try:
        up = await _query(client, "redis_up")
        scrapes = await _active_targets(client)
    except HttpProblem as error:
        findings.add("prometheus.unreachable", problem=str(error))
        findings.skipped.append("prometheus")
        return findings
    try:
        is_scraped = _scraped(findings, up, scrapes)
        if is_scraped:
            _labels(findings, up)
            _missing(findings, up, targets)
            await _stale(client, findings)
        rules = await _rules(client, findings)
        if alertmanager is not None:
            await _alertmanagers(client, findings, alertmanager)
        if is_scraped:
            names = {_label(series, "target") for series in up}
            instances = {_label(series, "instance") for series in up}
            findings.add("prometheus.facts", instances=len(instances), targets=len(names), rules=rules)
    except HttpProblem as error:
        findings.add("prometheus.unreachable", problem=str(error))
    findings.done.append("prometheus")
    return findings


async def _query(client: HttpClient, expression: str) -> list[Series]:
    body = await client.get_json("/api/v1/query", query=expression)
    result = _path(body, "data", "result")
    if not isinstance(result, list):
        raise HttpProblem("the response is not that of Prometheus")
    return [series for series in result if isinstance(series, dict)]


async def _active_targets(client: HttpClient) -> list[Series]:
    found = _path(await client.get_json("/api/v1/targets", state="active"), "data", "activeTargets")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _scraped(findings: Findings, up: Sequence[Series], scrapes: Sequence[Series]) -> bool:
    """Report scrapes that fail, and return whether there is any series of a target."""
    failing = [one for one in scrapes if one.get("health") == "down" and "redis" in str(one.get("scrapePool", ""))]
    for one in failing[:_MAX_NAMED]:
        instance = str(_path(one, "labels", "instance") or "?")
        findings.add("prometheus.scrape_fails", instance=instance, problem=str(one.get("lastError", ""))[:200])
    if not up and not failing:
        findings.add("prometheus.not_scraped")
    return bool(up)


def _labels(findings: Findings, up: Sequence[Series]) -> None:
    for label in LABELS:
        if any(not _label(series, label) for series in up):
            findings.add("prometheus.labels", label=label)
    if any(_label(series, "exported_target") for series in up):
        findings.add("prometheus.labels", label="target")


def _missing(findings: Findings, up: Sequence[Series], targets: Sequence[str]) -> None:
    known = {_label(series, "target") for series in up}
    for name in [name for name in targets if name not in known][:_MAX_NAMED]:
        findings.add("prometheus.target_missing", target=name)


async def _stale(client: HttpClient, findings: Findings) -> None:
    newest = await _query(client, "max by (target) (timestamp(redis_up))")
    now = time.time()
    for series in newest:
        value = series.get("value")
        at = float(value[1]) if isinstance(value, list) and len(value) == 2 else math.nan
        if now - at > STALE_SECONDS:
            findings.add("prometheus.stale", series=f"redis_up of {_label(series, 'target')}", seconds=round(now - at))
    recent = "present_over_time(redis_up[30m]) unless redis_up"
    for series in (await _query(client, recent))[:_MAX_NAMED]:
        findings.add("prometheus.stale", series=f"redis_up of {_label(series, 'target')}", seconds="more than 300")


async def _rules(client: HttpClient, findings: Findings) -> int:
    """Report groups that are missing and rules that fail. Return how many our rules there are."""
    groups = _path(await client.get_json("/api/v1/rules"), "data", "groups")
    ours = [one for one in groups or () if isinstance(one, dict) and str(one.get("name")).startswith(GROUP_PREFIX)]
    missing = [name for name in GROUPS if name not in {one.get("name") for one in ours}]
    if missing:
        findings.add("prometheus.rules_missing", groups=", ".join(missing))
    rules = [rule for group in ours for rule in group.get("rules", ()) if isinstance(rule, dict)]
    failing = [rule for rule in rules if rule.get("health") == "err"]
    for rule in failing[:_MAX_NAMED]:
        findings.add(
            "prometheus.rules_failing", rule=str(rule.get("name")), problem=str(rule.get("lastError", ""))[:200]
        )
    return len(rules)


async def _alertmanagers(client: HttpClient, findings: Findings, alertmanager: str) -> None:
    active = _path(await client.get_json("/api/v1/alertmanagers"), "data", "activeAlertmanagers")
    urls = [str(one.get("url", "")) for one in active or () if isinstance(one, dict)]
    if not any(url.startswith(alertmanager) for url in urls):
        findings.add("alertmanager.not_connected", alertmanager=alertmanager)


def _label(series: Series, name: str) -> str:
    return str(_path(series, "metric", name) or "")


def _path(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
