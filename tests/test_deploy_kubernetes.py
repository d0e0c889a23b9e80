"""The plain manifests and those of the Prometheus operator: whole, hardened, and of the shapes that are known there."""

import argparse
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from redis_pulse import config
from tests.deploy_tools import DEPLOY, Manifest, escapes, one, read, run, schema_errors

FOLDER = DEPLOY / "kubernetes"
OPERATOR = sorted((DEPLOY / "operator").glob("*.yaml"))


@pytest.fixture(scope="module")
def rendered() -> list[Manifest]:
    return read(run("kubectl", "kustomize", str(FOLDER)).stdout)


def test_every_manifest_is_in_the_kustomization() -> None:
    named = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    files = {path.name for path in FOLDER.glob("*.yaml")}
    generated = {name for generator in named["configMapGenerator"] for name in generator["files"]}
    assert {*named["resources"], *generated, "kustomization.yaml"} == files


def test_kubernetes_knows_every_key(rendered: list[Manifest]) -> None:
    assert {manifest["kind"] for manifest in rendered} == {
        *("Namespace", "ServiceAccount", "ConfigMap", "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy")
    }
    assert [trouble for manifest in rendered for trouble in schema_errors(manifest)] == []


def test_an_unknown_key_and_a_wrong_type_are_found(rendered: list[Manifest]) -> None:
    """The judge is worth something."""
    for change in ({"replicas": "one"}, {"replica": 1}):
        broken = deepcopy(one(rendered, "Deployment"))
        broken["spec"].update(change)
        assert schema_errors(broken)


def test_the_namespace_lets_in_restricted_pods_only_and_ours_is_one(rendered: list[Manifest]) -> None:
    assert one(rendered, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert escapes(one(rendered, "Deployment")) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("allowPrivilegeEscalation", True),
        ("capabilities", {"drop": []}),
        ("capabilities", {"drop": ["ALL"], "add": ["NET_RAW"]}),
        ("runAsUser", 0),
        ("privileged", True),
    ],
)
def test_a_pod_that_is_not_restricted_is_found(rendered: list[Manifest], key: str, value: Any) -> None:
    broken = deepcopy(one(rendered, "Deployment"))
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"][key] = value
    assert escapes(broken)


def test_the_pod_is_as_a_daemon_that_measures_wants_it(rendered: list[Manifest]) -> None:
    pod = one(rendered, "Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert "cpu" not in container["resources"]["limits"], "a probe that is stopped measures the stop"
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"]["cpu"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["livenessProbe"]["httpGet"]["path"] == "/-/healthy"
    assert container["readinessProbe"]["httpGet"]["path"] == "/-/ready"
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_everything_selects_the_pods_and_finds_what_it_names(rendered: list[Manifest]) -> None:
    deployment = one(rendered, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        one(rendered, "Service")["spec"]["selector"],
        one(rendered, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(rendered, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    pod = deployment["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["config"]["configMap"]["name"] == one(rendered, "ConfigMap")["metadata"]["name"]
    assert volumes["secrets"]["secret"]["optional"] is True
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes.keys()
    assert pod["serviceAccountName"] == one(rendered, "ServiceAccount")["metadata"]["name"]
    [port] = pod["containers"][0]["ports"]
    assert one(rendered, "Service")["spec"]["ports"][0]["targetPort"] == port["name"]


def test_the_configuration_is_good_and_listens_where_the_pod_is_asked(rendered: list[Manifest], tmp_path: Path) -> None:
    [(name, text)] = one(rendered, "ConfigMap")["data"].items()
    pod = one(rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert pod["args"][-1] == f"{pod['volumeMounts'][0]['mountPath']}/{name}"
    (tmp_path / name).write_text(text)
    loaded = config.load(argparse.Namespace(config=str(tmp_path / name)), {}, tmp_path)
    assert loaded.warnings == ()
    assert loaded.settings.listen == f":{pod['ports'][0]['containerPort']}"


@pytest.mark.parametrize("path", OPERATOR, ids=lambda path: path.stem)
def test_the_operator_knows_every_key(path: Path) -> None:
    [manifest] = read(path.read_text())
    assert schema_errors(manifest) == []
    assert manifest["kind"].lower() == path.stem
    assert manifest["metadata"]["namespace"] == "redis-pulse"


def test_a_key_that_the_operator_does_not_know_is_found() -> None:
    [manifest] = read((DEPLOY / "operator" / "servicemonitor.yaml").read_text())
    manifest["spec"]["endpoints"][0]["intervall"] = "15s"
    assert schema_errors(manifest) == ["ServiceMonitor: no such key spec.endpoints[0].intervall"]
    del manifest["spec"]["selector"]
    assert "selector" in schema_errors(manifest)[0]


def test_monitors_find_the_service_the_pods_and_their_port(rendered: list[Manifest]) -> None:
    kinds = {path.stem: read(path.read_text())[0]["spec"] for path in OPERATOR}
    service = one(rendered, "Service")
    labels = one(rendered, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert kinds["servicemonitor"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert kinds["podmonitor"]["selector"]["matchLabels"].items() <= labels.items()
    [port] = service["spec"]["ports"]
    assert kinds["servicemonitor"]["endpoints"][0]["port"] == port["name"]
    assert kinds["podmonitor"]["podMetricsEndpoints"][0]["port"] == port["name"]
    address = f"{service['metadata']['name']}.redis-pulse.svc:{port['port']}"
    assert kinds["probe"]["prober"]["url"] == address
    assert kinds["scrapeconfig"]["httpSDConfigs"][0]["url"] == f"http://{address}/sd"
    declared = {target["name"] for target in yaml.safe_load((FOLDER / "redis-pulse.yaml").read_text())["targets"]}
    assert set(kinds["probe"]["targets"]["staticConfig"]["static"]) <= declared


def test_promtool_accepts_the_rules_as_the_operator_gets_them(tmp_path: Path) -> None:
    from tests.integration.requirements import need

    need("promtool", "prometheus")
    [rule] = read((DEPLOY / "operator" / "prometheusrule.yaml").read_text())
    groups = tmp_path / "rules.yaml"
    groups.write_text(yaml.safe_dump(rule["spec"]))
    assert "SUCCESS" in run("promtool", "check", "rules", str(groups)).stdout
