"""Alerts: each says what, where and what to do, and asks for nothing that we do not export.

Whether they fire where they should is tried by promtool (tests/rules/) and by real faults (tests/alerts/).
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metric_names import expressions_name_known_metrics

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "prometheus"
URL = re.compile(r"https://[\w./-]+/blob/main/(docs/runbooks/(\w+)\.md)")
RUNBOOKS = ROOT / "docs" / "runbooks"
#: Pages beside the runbooks that belong to no single alert.
OTHER_PAGES = {"quick-fixes"}
Rule = dict[str, Any]


def rules(name: str) -> list[Rule]:
    groups = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = rules("alerts.yaml")
RECORDS = {rule["record"]: rule["expr"] for rule in rules("recording.yaml")}
each_alert = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")


def unrecorded(expression: str) -> str:
    """Take what we record out of an expression: it is no metric of the exporter."""
    names = re.findall(r"\b\w+:\w+:\w+", expression)
    for name in names:
        assert name in RECORDS, f"nothing records {name}, but it is asked for in {expression}"
    return re.sub(r"\b\w+:\w+:\w+", "0", expression)


def bare(expression: str) -> str:
    """Take out what label_replace is told in words."""
    return re.sub(r',\s*"[^"]*"', "", expression)


@each_alert
def test_an_alert_says_what_where_and_what_to_do(rule: Rule) -> None:
    name = rule["alert"]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert "{{ $labels." in annotations["summary"], "it does not say where"
    assert annotations["description"].endswith((".", "?"))
    found = URL.fullmatch(annotations["runbook_url"])
    assert found, annotations["runbook_url"]
    assert found[2] == name
    runbook = (ROOT / found[1]).read_text(encoding="utf-8")
    assert runbook.startswith(f"# {name}\n")
    for part in ("**Meaning.**", "**Impact.**", "## What is wrong", "## When it is mended"):
        assert part in runbook
    assert re.search(r"^ {4}\S|`[a-z-]+ ", runbook, re.MULTILINE), "no query and no command to see it by"


def test_every_runbook_has_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {rule["alert"] for rule in ALERTS} | OTHER_PAGES


def test_an_alert_that_comes_twice_differs_in_its_severity() -> None:
    told = [(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS]
    assert len(set(told)) == len(told)


@each_alert
def test_no_alert_asks_for_a_metric_that_we_do_not_export(rule: Rule) -> None:
    expressions_name_known_metrics([bare(unrecorded(rule["expr"]))])


@pytest.mark.parametrize("name", RECORDS)
def test_no_recorded_series_asks_for_a_metric_that_we_do_not_export(name: str) -> None:
    assert re.fullmatch(r"(target|job|replication_group):redis_[a-z_]+:[a-z0-9_]+", name), "level:metric:operations"
    expressions_name_known_metrics([bare(unrecorded(RECORDS[name]))])


def test_runbooks_ask_for_metrics_that_we_export() -> None:
    for path in sorted([*RUNBOOKS.glob("*.md"), ROOT / "docs" / "slo.md"]):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"\b(?:target|job):redis_\w+:\w+", text):
            assert name in RECORDS, f"{path.name}: nothing records {name}"
        named = set(re.findall(r"(?<!:)\bredis_[a-z_]+\b(?!:)", re.sub(r"\b\w+:\w+:\w+", "", text)))
        expressions_name_known_metrics(named)


def test_an_empty_group_is_never_counted() -> None:
    """`count by (…) < 1` and `sum by (…) < 1` never fire: a group that is empty is not there."""
    for rule in ALERTS:
        assert not re.search(r"\b(count|sum)\b[^<]*\) *(<|==) *[01]\b", rule["expr"]), rule["alert"]


def test_no_ratio_is_averaged() -> None:
    for name, expression in RECORDS.items():
        assert not re.search(r"\bavg( by)?\b *\(", expression), name
        assert "avg_over_time" not in expression or ":ratio" not in expression, name
