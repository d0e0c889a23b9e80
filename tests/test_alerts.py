"""Every alert has a location, an explanation and a runbook, and uses only metrics of the exporter.

Other tests check when alerts fire: with promtool (tests/rules/) and with real faults (tests/alerts/).
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from redis_pulse.errors import REASONS
from tests.metric_names import expressions_name_known_metrics

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "prometheus"
URL = re.compile(r"https://[\w./-]+/blob/main/(docs/runbooks/(\w+)\.md)")
RUNBOOKS = ROOT / "docs" / "runbooks"
#: Pages in the folder of the runbooks that belong to no single alert.
OTHER_PAGES = {"README", "quick-fixes"}
Rule = dict[str, Any]


def rules(name: str) -> list[Rule]:
    groups = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = rules("alerts.yaml")
RECORDS = {rule["record"]: rule["expr"] for rule in rules("recording.yaml")}
each_alert = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")


def without_recorded_series(expression: str) -> str:
    """Remove recorded series from an expression, because they are not metrics of the exporter."""
    names = re.findall(r"\b\w+:\w+:\w+", expression)
    for name in names:
        assert name in RECORDS, f"no rule records {name}, which is used in {expression}"
    return re.sub(r"\b\w+:\w+:\w+", "0", expression)


def without_strings(expression: str) -> str:
    """Remove the string arguments of label_replace from an expression."""
    return re.sub(r',\s*"[^"]*"', "", expression)


@each_alert
def test_alert_has_a_location_an_explanation_and_a_runbook(rule: Rule) -> None:
    name = rule["alert"]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert "{{ $labels." in annotations["summary"], "the summary has no location"
    assert annotations["description"].endswith((".", "?"))
    url = URL.fullmatch(annotations["runbook_url"])
    assert url, annotations["runbook_url"]
    assert url[2] == name
    runbook = (ROOT / url[1]).read_text(encoding="utf-8")
    assert runbook.startswith(f"# {name}\n")
    for part in ("**Meaning.**", "**Impact.**", "## Diagnosis", "## When it ends"):
        assert part in runbook
    assert "](README.md)" in runbook, "the runbook has no link to the page that explains its words and commands"
    assert re.search(r"^```(?:promql|sh)$|`[a-z-]+ ", runbook, re.MULTILINE), "the runbook has no query and no command"


def test_runbook_of_a_server_that_is_down_has_each_reason_of_a_ping() -> None:
    """Commands that write have further reasons, and a PING cannot fail for them."""
    text = (RUNBOOKS / "RedisTargetDown.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == set(REASONS) - {"readonly", "oom"}


def test_every_runbook_has_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {rule["alert"] for rule in ALERTS} | OTHER_PAGES


def test_alerts_with_one_name_have_different_severities() -> None:
    alerts = [(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS]
    assert len(set(alerts)) == len(alerts)


@each_alert
def test_alert_uses_only_metrics_of_the_exporter(rule: Rule) -> None:
    expressions_name_known_metrics([without_strings(without_recorded_series(rule["expr"]))])


@pytest.mark.parametrize("name", RECORDS)
def test_recorded_series_uses_only_metrics_of_the_exporter(name: str) -> None:
    assert re.fullmatch(r"(target|job|replication_group):redis_[a-z_]+:[a-z0-9_]+", name), "level:metric:operations"
    expressions_name_known_metrics([without_strings(without_recorded_series(RECORDS[name]))])


def test_runbooks_use_only_metrics_of_the_exporter() -> None:
    for path in sorted([*RUNBOOKS.glob("*.md"), ROOT / "docs" / "slo.md"]):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"\b(?:target|job):redis_\w+:\w+", text):
            assert name in RECORDS, f"{path.name}: no rule records {name}"
        metrics = set(re.findall(r"(?<!:)\bredis_[a-z_]+\b(?!:)", re.sub(r"\b\w+:\w+:\w+", "", text)))
        expressions_name_known_metrics(metrics)


def test_no_alert_counts_an_empty_group() -> None:
    """`count by (…) < 1` and `sum by (…) < 1` never fire, because an empty group has no series."""
    for rule in ALERTS:
        assert not re.search(r"\b(count|sum)\b[^<\n]*\) *(<|==) *[01]\b", rule["expr"]), rule["alert"]


def test_no_ratio_is_averaged() -> None:
    for name, expression in RECORDS.items():
        assert not re.search(r"\bavg( by)?\b *\(", expression), name
        assert "avg_over_time" not in expression or ":ratio" not in expression, name
