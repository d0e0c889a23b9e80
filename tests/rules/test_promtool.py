"""promtool tests the rules: in every case exactly the expected alerts fire.

The cases about burn rates use only the rules about burn rates, and the other cases use all other rules. All rules in
all cases would take minutes.
"""

import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from grafana.rules import (
    availability,
    capacity,
    durability,
    exporters,
    keyspace,
    page,
    records,
    replication,
    slo,
    stalls,
    topology,
)
from grafana.rules.rule import Alert, Group
from grafana.rules.settings import Settings
from tests.integration.requirements import need
from tests.rules import (
    cases_availability,
    cases_capacity,
    cases_durability,
    cases_exporters,
    cases_keyspace,
    cases_replication,
    cases_slo,
    cases_stalls,
    cases_topology,
)
from tests.rules.case import Case
from tests.rules.cases_stalls import TextCase

pytestmark = pytest.mark.slow

SETTINGS = Settings()
Groups = tuple[Group, ...]


class Topic(NamedTuple):
    """Cases, and the rules that they test."""

    cases: list[Case]
    alerts: Callable[[Settings], Groups]
    records: Callable[[Settings], Groups] = lambda _: ()


TOPICS = {
    "availability": Topic(cases_availability.CASES, lambda settings: (availability.alerts(settings),)),
    "exporters": Topic(cases_exporters.CASES, lambda settings: (exporters.alerts(settings),)),
    "slo": Topic(cases_slo.CASES, lambda settings: (slo.alerts(settings),), slo.records),
    "stalls": Topic(cases_stalls.CASES, lambda settings: (stalls.alerts(settings),)),
    "capacity": Topic(cases_capacity.CASES, lambda settings: (capacity.alerts(settings),)),
    "keyspace": Topic(cases_keyspace.CASES, lambda settings: (keyspace.alerts(settings),)),
    "replication": Topic(
        cases_replication.CASES,
        lambda settings: (replication.alerts(settings),),
        lambda settings: (replication.records(settings),),
    ),
    "durability": Topic(cases_durability.CASES, durability.alerts),
    "topology": Topic(cases_topology.CASES, lambda settings: (topology.alerts(settings),)),
}
CASES = [case for topic in TOPICS.values() for case in topic.cases]
#: For a topic: thresholds at which alerts fire too early, and the alerts that the cases must detect then.
EAGER_SETTINGS: dict[str, tuple[dict[str, object], set[str]]] = {
    "availability": ({"failure_ratio": 0.0001}, {"RedisProbeFailureRateHigh"}),
    "slo": (
        {"least_failures": 1, "latency_objective": 0.99999},
        {"RedisErrorBudgetBurnFast", "RedisLatencyBudgetBurnFast", "RedisLatencyBudgetBurnSlow"},
    ),
    "stalls": ({"stalls": 2}, {"RedisStalls"}),
    "capacity": (
        {"memory": 0.3, "connections": 0.5, "cpu": 0.5, "error_replies": 0.001},
        {"RedisMemoryNearMaxmemory", "RedisConnectionsNearLimit", "RedisMainThreadSaturated", "RedisErrorReplies"},
    ),
    "keyspace": (
        {"fill_days": 40.0, "key_share": 0.02, "slot_cpu": 0.05},
        {"RedisKeyPatternFillsMemory", "RedisKeyTooLarge", "RedisSlotHot"},
    ),
    "replication": (
        {"lag_bytes": 1000, "lag_seconds": 0.5},
        {"RedisReplicationLagBytes", "RedisReplicationLagSeconds"},
    ),
    "durability": ({"backup_age": "10m"}, {"RedisBackupStale"}),
}


@pytest.fixture
def promtool() -> str:
    return need("promtool", "prometheus")


def promtool_failures(
    promtool: str, folder: Path, cases: Iterable[Case | TextCase], recording: Groups, alerting: Groups
) -> str:
    """Let promtool run these cases with these rules, and return its messages about failures."""
    for file, groups in (("recording.yaml", recording), ("alerts.yaml", alerting)):
        (folder / file).write_text(page.yaml(groups, SETTINGS, "-"), encoding="utf-8")
    failures = ""
    for step, cases_with_step in groupby(sorted(cases, key=lambda case: case.step), key=lambda case: case.step):
        test = {
            "rule_files": ["recording.yaml", "alerts.yaml"],
            "evaluation_interval": step,
            "tests": [case.to_promtool() for case in cases_with_step],
        }
        (folder / "test.yaml").write_text(yaml.safe_dump(test, allow_unicode=True, width=1000), encoding="utf-8")
        command = [promtool, "test", "rules", "test.yaml"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        failures += result.stdout + result.stderr if result.returncode else ""
    return failures


@pytest.mark.parametrize("name", TOPICS)
def test_expected_alerts_fire_and_no_other(promtool: str, tmp_path: Path, name: str) -> None:
    topic = TOPICS[name]
    if name == "slo":
        recording, alerting = topic.records(SETTINGS), topic.alerts(SETTINGS)
    else:
        recording = (records.records(SETTINGS), replication.records(SETTINGS))
        alerting = tuple(group for group in page.alerting(SETTINGS) if group not in TOPICS["slo"].alerts(SETTINGS))
    failures = promtool_failures(promtool, tmp_path, topic.cases, recording, alerting)
    assert not failures, failures


def test_texts_name_the_main_cause_of_the_stalls(promtool: str, tmp_path: Path) -> None:
    alerting = (stalls.alerts(SETTINGS), slo.alerts(SETTINGS))
    failures = promtool_failures(promtool, tmp_path, cases_stalls.TEXTS, slo.records(SETTINGS), alerting)
    assert not failures, failures


def unexpected_alerts(
    promtool: str, folder: Path, cases: Iterable[Case], recording: Groups, alerting: Groups
) -> set[str]:
    """Return the alerts that fire in these cases unexpectedly."""
    failures = promtool_failures(promtool, folder, cases, recording, alerting)
    got = [line for line in failures.splitlines() if line.strip().startswith("got:")]
    return set(re.findall(r'alertname="(\w+)"', " ".join(got)))


@pytest.mark.parametrize("name", TOPICS)
def test_cases_detect_an_alert_that_does_not_wait(promtool: str, tmp_path: Path, name: str) -> None:
    topic = TOPICS[name]
    groups_without_waits, waiting = [], set()
    for group in topic.alerts(SETTINGS):
        alerts = [rule for rule in group.rules if isinstance(rule, Alert)]
        groups_without_waits.append(replace(group, rules=tuple(replace(alert, wait=None) for alert in alerts)))
        waiting |= {alert.name for alert in alerts if alert.wait}
    short = [case for case in topic.cases if case.alert_names() and "8h" not in case.fires]
    detected = unexpected_alerts(promtool, tmp_path, short, topic.records(SETTINGS), tuple(groups_without_waits))
    assert detected >= waiting, f"no case detects that these do not wait: {waiting - detected}"


@pytest.mark.parametrize("name", EAGER_SETTINGS)
def test_cases_detect_a_changed_threshold(promtool: str, tmp_path: Path, name: str) -> None:
    topic, (thresholds, alerts) = TOPICS[name], EAGER_SETTINGS[name]
    settings = replace(SETTINGS, **thresholds)  # type: ignore[arg-type]
    detected = unexpected_alerts(promtool, tmp_path, topic.cases, topic.records(settings), topic.alerts(settings))
    assert detected >= alerts, f"no case detects that {thresholds} fires too early: {alerts - detected}"


@pytest.mark.parametrize("name", sorted({alert.name for alert in page.alerts(SETTINGS)}))
def test_each_alert_has_a_case_with_it_and_one_without_it(name: str) -> None:
    """Both cases belong to the same topic."""
    topics = [topic.cases for topic in TOPICS.values() if any(name in case.alert_names() for case in topic.cases)]
    assert topics, f"{name} fires in no case"
    assert any(name not in case.alert_names() for case in topics[0]), f"{name} fires in every case of its topic"


def test_every_severity_of_an_alert_has_a_case() -> None:
    lines = [line.split() for case in CASES for text in case.fires.values() for line in text.split(",") if line.strip()]
    assert {(alert.name, alert.severity) for alert in page.alerts(SETTINGS)} <= {(one[0], one[-1]) for one in lines}


def test_case_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
