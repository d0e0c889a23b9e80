"""promtool judges the rules: each alert fires where it should, and in every case no other one does.

The cases of burn rates have the rules of burn rates alone, and the others have all others: everything everywhere would
take minutes.
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

from grafana.rules import capacity, durability, exporters, page, reachable, records, replication, slo, topology
from grafana.rules.rule import Alert, Group
from grafana.rules.settings import Settings
from tests.integration.requirements import need
from tests.rules import (
    cases_capacity,
    cases_durability,
    cases_exporters,
    cases_reachable,
    cases_replication,
    cases_slo,
    cases_topology,
)
from tests.rules.case import Case

OURS = Settings()
Groups = tuple[Group, ...]


class Topic(NamedTuple):
    """Cases, and the rules that are theirs."""

    cases: list[Case]
    alerts: Callable[[Settings], Groups]
    records: Callable[[Settings], Groups] = lambda _: ()


TOPICS = {
    "reachable": Topic(cases_reachable.CASES, lambda settings: (reachable.alerts(settings),)),
    "exporters": Topic(cases_exporters.CASES, lambda settings: (exporters.alerts(settings),)),
    "slo": Topic(cases_slo.CASES, lambda settings: (slo.alerts(settings),), slo.records),
    "capacity": Topic(cases_capacity.CASES, lambda settings: (capacity.alerts(settings),)),
    "replication": Topic(
        cases_replication.CASES,
        lambda settings: (replication.alerts(settings),),
        lambda settings: (replication.records(settings),),
    ),
    "durability": Topic(cases_durability.CASES, durability.alerts),
    "topology": Topic(cases_topology.CASES, lambda settings: (topology.alerts(settings),)),
}
CASES = [case for topic in TOPICS.values() for case in topic.cases]
#: Thresholds moved to where they are too eager, all of a topic at once, and the alerts that must be noticed by it.
EAGER: dict[str, tuple[dict[str, object], set[str]]] = {
    "reachable": ({"failure_ratio": 0.0001}, {"RedisProbeFailureRateHigh"}),
    "slo": (
        {"least_failures": 1, "latency_objective": 0.99999},
        {"RedisErrorBudgetBurnFast", "RedisLatencyBudgetBurnFast", "RedisLatencyBudgetBurnSlow"},
    ),
    "capacity": (
        {"memory": 0.3, "connections": 0.5, "cpu": 0.5, "error_replies": 0.001},
        {"RedisMemoryNearMaxmemory", "RedisConnectionsNearLimit", "RedisMainThreadSaturated", "RedisErrorReplies"},
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


def judge(promtool: str, folder: Path, cases: Iterable[Case], recording: Groups, alerting: Groups) -> str:
    """Let promtool run these cases on these rules; return what does not come out as it should."""
    for file, groups in (("recording.yaml", recording), ("alerts.yaml", alerting)):
        (folder / file).write_text(page.yaml(groups, OURS, "-"), encoding="utf-8")
    failed = ""
    for step, together in groupby(sorted(cases, key=lambda case: case.step), key=lambda case: case.step):
        test = {
            "rule_files": ["recording.yaml", "alerts.yaml"],
            "evaluation_interval": step,
            "tests": [case.test() for case in together],
        }
        (folder / "test.yaml").write_text(yaml.safe_dump(test, allow_unicode=True, width=1000), encoding="utf-8")
        command = [promtool, "test", "rules", "test.yaml"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        failed += done.stdout + done.stderr if done.returncode else ""
    return failed


@pytest.mark.parametrize("name", TOPICS)
def test_the_alerts_that_should_fire_do_and_no_other(promtool: str, tmp_path: Path, name: str) -> None:
    topic = TOPICS[name]
    if name == "slo":
        recording, alerting = topic.records(OURS), topic.alerts(OURS)
    else:
        recording = (records.records(OURS), replication.records(OURS))
        alerting = tuple(group for group in page.alerting(OURS) if group not in TOPICS["slo"].alerts(OURS))
    failed = judge(promtool, tmp_path, topic.cases, recording, alerting)
    assert not failed, failed


def noticed(promtool: str, folder: Path, cases: Iterable[Case], recording: Groups, alerting: Groups) -> set[str]:
    """Return the alerts that fire in these cases although they should not."""
    failed = judge(promtool, folder, cases, recording, alerting)
    got = [line for line in failed.splitlines() if line.strip().startswith("got:")]
    return set(re.findall(r'alertname="(\w+)"', " ".join(got)))


@pytest.mark.parametrize("name", TOPICS)
def test_the_cases_notice_an_alert_that_does_not_wait(promtool: str, tmp_path: Path, name: str) -> None:
    topic = TOPICS[name]
    hasty, waiting = [], set()
    for group in topic.alerts(OURS):
        alerts = [rule for rule in group.rules if isinstance(rule, Alert)]
        hasty.append(replace(group, rules=tuple(replace(alert, wait=None) for alert in alerts)))
        waiting |= {alert.name for alert in alerts if alert.wait}
    short = [case for case in topic.cases if case.alerts() and "8h" not in case.fires]
    found = noticed(promtool, tmp_path, short, topic.records(OURS), tuple(hasty))
    assert found >= waiting, f"nothing notices that they do not wait: {waiting - found}"


@pytest.mark.parametrize("name", EAGER)
def test_the_cases_notice_a_threshold_that_was_moved(promtool: str, tmp_path: Path, name: str) -> None:
    topic, (moved, alerts) = TOPICS[name], EAGER[name]
    settings = replace(OURS, **moved)  # type: ignore[arg-type]
    found = noticed(promtool, tmp_path, topic.cases, topic.records(settings), topic.alerts(settings))
    assert found >= alerts, f"nothing notices that {moved} is too eager: {alerts - found}"


@pytest.mark.parametrize("name", sorted({alert.name for alert in page.alerts(OURS)}))
def test_each_alert_is_tried_where_it_fires_and_where_it_stays_silent(name: str) -> None:
    """Silent means: in another case of the same topic."""
    topics = [topic.cases for topic in TOPICS.values() if any(name in case.alerts() for case in topic.cases)]
    assert topics, f"no case in which {name} fires"
    assert any(name not in case.alerts() for case in topics[0]), f"no case in which {name} stays silent"


def test_both_severities_of_an_alert_are_tried() -> None:
    lines = [line.split() for case in CASES for text in case.fires.values() for line in text.split(",") if line.strip()]
    assert {(alert.name, alert.severity) for alert in page.alerts(OURS)} <= {(one[0], one[-1]) for one in lines}


def test_no_two_cases_have_one_name() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
