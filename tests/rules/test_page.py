"""The files: the YAML says what the model says, promtool accepts it without a remark, and the mixin is the same."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from grafana.rules import files, page
from grafana.rules.settings import Settings
from tests.integration.requirements import need

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
SHORT = Settings(scale=0.004, scrape_interval="1s")


@pytest.mark.parametrize("settings", [Settings(), SHORT], ids=["ours", "short"])
def test_the_yaml_says_what_the_model_says(settings: Settings) -> None:
    """It is written by hand, for its comments and its line breaks; what is read from it must be the same."""
    for groups in (page.recording(settings), page.alerting(settings)):
        assert yaml.safe_load(page.yaml(groups, settings, "head")) == page.model(groups, settings)


@pytest.mark.parametrize("settings", [Settings(), SHORT], ids=["ours", "short"])
def test_promtool_accepts_the_rules_without_a_remark(tmp_path: Path, settings: Settings) -> None:
    promtool = need("promtool", "prometheus")
    rules = {name: text for name, text in files.rendered(settings).items() if name.endswith(".yaml")}
    for name, text in rules.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [promtool, "check", "rules", "--lint=all", "--lint-fatal", *rules]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_configuration() -> None:
    command = [need("promtool", "prometheus"), "check", "config", "prometheus.yaml"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("mixin", "rules"), [("rules", "recording"), ("alerts", "alerts")])
def test_the_mixin_has_the_same_rules(mixin: str, rules: str) -> None:
    found = json.loads((FOLDER / "mixin" / f"{mixin}.libsonnet").read_text(encoding="utf-8"))
    assert found == yaml.safe_load((FOLDER / f"{rules}.yaml").read_text(encoding="utf-8"))
    assert f"import '{mixin}.libsonnet'" in (FOLDER / "mixin" / "mixin.libsonnet").read_text(encoding="utf-8")


def test_a_template_stays_on_its_line() -> None:
    """Texts are folded, and no template is torn apart by it."""
    for line in (FOLDER / "alerts.yaml").read_text(encoding="utf-8").splitlines():
        assert line.count("{{") == line.count("}}"), line


def test_long_windows_are_means_of_rates_that_lie_side_by_side() -> None:
    """30 days of a counter, each minute, for each target, would be more work than all else that Prometheus does."""
    records = {
        rule["record"]: rule["expr"]
        for group in page.model(page.recording(Settings()), Settings())["groups"]
        for rule in group["rules"]
    }
    assert records["target:redis_ping_slots:rate30d"] == "avg_over_time(target:redis_ping_slots:rate1h[30d:1h])"
    assert records["target:redis_ping_slow:rate3d"] == "avg_over_time(target:redis_ping_slow:rate30m[3d:30m])"
