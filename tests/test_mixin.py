"""The mixin renders to the shipped rules and dashboards. The upload form of a dashboard differs in its inputs only."""

import json
import re
from typing import Any

import _jsonnet
import pytest
import yaml

from grafana import build
from grafana.portable import DATASOURCE, portable
from grafana.rules import page
from grafana.rules.files import GROUP_LABEL, JOB, RUNBOOKS
from grafana.rules.settings import Settings
from tests.deploy_tools import ROOT, load_manifests, run

MIXIN = ROOT / "mixin"
PORTABLE = sorted(build.PORTABLE.glob("*.json"))
Json = dict[str, Any]


def evaluate(expression: str) -> Any:
    return json.loads(
        _jsonnet.evaluate_snippet("test", f"local mixin = import 'mixin.libsonnet';\n{expression}", [str(MIXIN)])
    )


def shipped(path: str) -> Any:
    text = (ROOT / path).read_text(encoding="utf-8")
    return json.loads(text) if path.endswith(".json") else yaml.safe_load(text)


@pytest.fixture(params=PORTABLE, ids=[path.stem for path in PORTABLE])
def upload(request: pytest.FixtureRequest) -> Json:
    board: Json = json.loads(request.param.read_text(encoding="utf-8"))
    return board


@pytest.mark.parametrize(("field", "file"), [("prometheusRules", "recording"), ("prometheusAlerts", "alerts")])
def test_mixin_has_the_shipped_rules(field: str, file: str) -> None:
    assert evaluate(f"mixin.{field}") == shipped(f"deploy/prometheus/{file}.yaml")


def test_mixin_has_the_shipped_dashboards() -> None:
    boards = evaluate("mixin.grafanaDashboards")
    assert boards == {path.name: json.loads(path.read_text(encoding="utf-8")) for path in build.FOLDER.glob("*.json")}


def test_settings_of_the_mixin_are_those_of_the_rules() -> None:
    config = "{ job: 'my-redis', runbooks: 'https://wiki.example.org/redis', groupLabel: 'shard' }"
    settings = Settings(job="my-redis", runbooks="https://wiki.example.org/redis", group_label="shard")
    changed = f"(mixin + {{ _config+:: {config} }})"
    assert evaluate(f"{changed}.prometheusRules") == page.model(page.recording(settings), settings)
    assert evaluate(f"{changed}.prometheusAlerts") == page.model(page.alerting(settings), settings)


def test_defaults_of_the_mixin_are_those_of_the_rules() -> None:
    config, settings = evaluate("{ config: mixin._config }")["config"], Settings()
    assert (config["job"], config["runbooks"], config["groupLabel"]) == (
        settings.job,
        settings.runbooks,
        settings.group_label,
    )
    text = (MIXIN / "mixin.libsonnet").read_text(encoding="utf-8")
    assert set(re.findall(r"REDIS_PULSE_[A-Z_]+", text)) == {GROUP_LABEL, JOB, RUNBOOKS}


def test_dashboards_begin_with_the_chosen_data_source() -> None:
    boards = evaluate("(mixin + { _config+:: { datasource: 'thanos' } }).grafanaDashboards")
    for board in boards.values():
        assert datasource_variable(board)["current"] == {"text": "thanos", "value": "thanos"}


def test_operator_gets_the_shipped_rules() -> None:
    rule, *dashboards = evaluate("import 'kubernetes.libsonnet'")["items"]
    assert rule == shipped("deploy/operator/prometheusrule.yaml")
    for one in dashboards:
        [(file, text)] = one["data"].items()
        assert json.loads(text) == shipped(f"grafana/dashboards/{file}")
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_namespace_of_the_objects_is_a_setting() -> None:
    objects = evaluate("(import 'kubernetes.libsonnet') + { mixin+:: { _config+:: { namespace: 'monitoring' } } }")
    assert {one["metadata"]["namespace"] for one in objects["items"]} == {"monitoring"}
    assert len(objects["items"]) == 1 + len(build.BOARDS)


def test_kustomization_has_every_dashboard() -> None:
    manifests = load_manifests(run("kubectl", "kustomize", str(build.FOLDER)).stdout)
    assert {one["metadata"]["name"]: one["data"] for one in manifests} == {
        path.stem: {path.name: path.read_text(encoding="utf-8")} for path in build.FOLDER.glob("*.json")
    }
    assert {one["metadata"]["labels"]["grafana_dashboard"] for one in manifests} == {"1"}


def test_upload_form_asks_for_a_data_source_and_uses_it(upload: Json) -> None:
    [asked] = upload["__inputs"]
    assert (asked["name"], asked["type"], asked["pluginId"]) == (DATASOURCE, "datasource", "prometheus")
    assert datasource_variable(upload)["current"]["value"] == f"${{{DATASOURCE}}}"


def test_upload_form_names_every_plugin_that_it_needs(upload: Json) -> None:
    required = {(one["type"], one["id"]) for one in upload["__requires"]}
    panels = [inner for panel in upload["panels"] for inner in (panel, *(panel.get("panels") or ()))]
    used = {("panel", panel["type"]) for panel in panels if panel["type"] != "row"}
    assert required == used | {("grafana", "grafana"), ("datasource", "prometheus")}


def test_upload_form_can_be_found_and_updated(upload: Json) -> None:
    """An import replaces an older version by its uid. A number as id would be that of another database."""
    assert upload["id"] is None
    assert upload["uid"].startswith("redis-pulse-")
    assert upload["description"]
    assert {"redis-pulse", "redis"} <= set(upload["tags"])


def test_answered_upload_form_is_the_provisioned_dashboard(upload: Json) -> None:
    """Grafana removes the inputs, and puts the answer where their names stand."""
    answered = json.loads(json.dumps(upload).replace(f"${{{DATASOURCE}}}", "prometheus-uid"))
    for key in ("__inputs", "__requires", "__elements", "id"):
        del answered[key]
    assert datasource_variable(answered).pop("current") == {
        "selected": True,
        "text": "prometheus-uid",
        "value": "prometheus-uid",
    }
    assert answered == shipped(f"grafana/dashboards/{upload['uid']}.json")


def test_provisioned_form_asks_for_nothing() -> None:
    for path in build.FOLDER.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert "__inputs" not in text
        assert DATASOURCE not in text


def test_panel_of_an_unknown_type_is_an_error() -> None:
    board = {"templating": {"list": []}, "panels": [{"type": "row", "panels": [{"type": "new"}]}]}
    with pytest.raises(KeyError, match="new"):
        portable(board)


def datasource_variable(board: Json) -> Json:
    variable: Json
    [variable] = [one for one in board["templating"]["list"] if one["name"] == "datasource"]
    return variable
