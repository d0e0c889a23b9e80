"""The rule files: the YAML matches the model, and promtool accepts it."""

import subprocess
from pathlib import Path

import pytest
import yaml

from grafana.rules import files, page
from grafana.rules.settings import Settings
from tests.integration.requirements import need

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
SCALED_SETTINGS = Settings(scale=0.004, scrape_interval="1s")


@pytest.mark.parametrize("settings", [Settings(), SCALED_SETTINGS], ids=["default", "scaled"])
def test_yaml_matches_the_model(settings: Settings) -> None:
    """The writer formats the YAML itself, with comments and line breaks. Parsed again, it must equal the model."""
    for groups in (page.recording(settings), page.alerting(settings)):
        assert yaml.safe_load(page.yaml(groups, settings, "head")) == page.model(groups, settings)


@pytest.mark.parametrize("settings", [Settings(), SCALED_SETTINGS], ids=["default", "scaled"])
def test_promtool_accepts_the_rules_without_a_warning(tmp_path: Path, settings: Settings) -> None:
    promtool = need("promtool", "prometheus")
    rules = {name: text for name, text in files.rendered(settings).items() if name.endswith(".yaml")}
    for name, text in rules.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [promtool, "check", "rules", "--lint=all", "--lint-fatal", *rules]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_promtool_accepts_the_configuration() -> None:
    command = [need("promtool", "prometheus"), "check", "config", "prometheus.yaml"]
    result = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_template_is_not_split_over_two_lines() -> None:
    """Long texts are folded, but never inside a template."""
    for line in (FOLDER / "alerts.yaml").read_text(encoding="utf-8").splitlines():
        assert line.count("{{") == line.count("}}"), line


def test_long_windows_are_averages_of_consecutive_rates() -> None:
    """Prometheus would spend most of its time on 30 days of a counter, each minute, for each target."""
    records = {
        rule["record"]: rule["expr"]
        for group in page.model(page.recording(Settings()), Settings())["groups"]
        for rule in group["rules"]
    }
    assert records["target:redis_ping_slots:rate30d"] == "avg_over_time(target:redis_ping_slots:rate1h[30d:1h])"
    assert records["target:redis_ping_slow:rate3d"] == "avg_over_time(target:redis_ping_slow:rate30m[3d:30m])"
