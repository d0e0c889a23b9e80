"""Alerts: promtool accepts them, each is proven to fire and to stay silent, and each says what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.needs import need
from tests.known import expressions_name_known_metrics

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = FOLDER / "alerts.yaml"
URL = re.compile(r"https://[\w./-]+/blob/main/(docs/runbooks/(\w+)\.md)")
Rule = dict[str, Any]


def rules() -> list[Rule]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules()}
TESTS = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]


@pytest.fixture
def promtool() -> str:
    return need("promtool", "prometheus")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)


def test_the_first_alarms_are_there() -> None:
    assert {"RedisTargetDown", "RedisProbeFailureRateHigh", "RedisCircuitBreakerOpen"} <= set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_where_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert "{{ $labels.target }}" in annotations["summary"]
    found = URL.fullmatch(annotations["runbook_url"])
    assert found, annotations["runbook_url"]
    assert found[2] == name
    runbook = (ROOT / found[1]).read_text(encoding="utf-8")
    assert runbook.startswith(f"# {name}\n")
    for part in ("**Meaning.**", "**Impact.**", "## What is wrong", "## When it is mended"):
        assert part in runbook


@pytest.mark.parametrize("name", ALERTS)
def test_no_alert_asks_for_a_metric_that_we_do_not_export(name: str) -> None:
    expressions_name_known_metrics([ALERTS[name]["expr"]])


def test_runbooks_ask_for_metrics_that_we_export() -> None:
    for path in sorted((ROOT / "docs" / "runbooks").glob("*.md")):
        named = set(re.findall(r"\bredis_[a-z_]+\b", path.read_text(encoding="utf-8")))
        expressions_name_known_metrics(named)


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_is_tried_where_it_fires_and_where_it_stays_silent(name: str) -> None:
    tried = [[one for one in test["alert_rule_test"] if one["alertname"] == name] for test in TESTS]
    assert any(one["exp_alerts"] for tries in tried for one in tries), "no test in which it fires"
    assert any(tries and not any(one["exp_alerts"] for one in tries) for tries in tried), "no test of its silence"


def test_promtool_accepts_the_configuration_and_the_rules(promtool: str) -> None:
    done = run(promtool, "check", "config", "prometheus.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_and_stay_silent_as_promtool_expects(promtool: str) -> None:
    done = run(promtool, "test", "rules", "alerts_test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("redis_up == 0", "redis_up >= 0"),
        ("for: 1m", "for: 0m"),
        ("for: 1m", "for: 10m"),
        ("> 0.05", "> 0.01"),
        ("> 0.05", "> 0.2"),
        (">= 5", ">= 3"),
        (">= 5", ">= 500"),
        ('increase(redis_operation_failures_total{operation="ping"}[5m])', "increase(redis_operations_total[1h])"),
        ('sum by (job, instance, target) (rate(redis_operation_failures_total{operation="ping"}[5m]))',
         "sum by (job, instance, target) (rate(redis_operation_failures_total[5m]))"),
        ('sum by (job, instance, target) (rate(redis_operation_failures_total{operation="ping"}[5m]))',
         'max by (job, instance, target) (rate(redis_operation_failures_total{operation="ping"}[5m]))'),
        ("for: 5m", "for: 0m"),
        ('state=~"open|half_open"', 'state="open"'),
        ("max by (job, instance, target) (redis_circuit_breaker_state", "(redis_circuit_breaker_state"),
        ("for: 2m", "for: 0m"),
    ],
)  # fmt: skip
def test_the_promtool_tests_notice_a_rule_that_went_wrong(promtool: str, tmp_path: Path, old: str, new: str) -> None:
    text = RULES.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / RULES.name).write_text(text.replace(old, new), encoding="utf-8")
    shutil.copy(FOLDER / "alerts_test.yaml", tmp_path)
    done = run(promtool, "test", "rules", str(tmp_path / "alerts_test.yaml"))
    assert done.returncode != 0, f"the tests pass although {old!r} became {new!r}"
