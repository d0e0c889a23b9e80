"""The Kubernetes manifests and those of the Prometheus operator are complete, hardened, and match their schemas."""

import argparse
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from redis_pulse import config
from tests.deploy_tools import DEPLOY, Manifest, load_manifests, pod_security_violations, run, schema_errors, single

FOLDER = DEPLOY / "kubernetes"
OPERATOR = sorted((DEPLOY / "operator").glob("*.yaml"))


@pytest.fixture(scope="module")
def rendered() -> list[Manifest]:
    return load_manifests(run("kubectl", "kustomize", str(FOLDER)).stdout)


def test_every_manifest_is_in_the_kustomization() -> None:
    named = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    files = {path.name for path in FOLDER.glob("*.yaml")}
    generated = {name for generator in named["configMapGenerator"] for name in generator["files"]}
    assert {*named["resources"], *generated, "kustomization.yaml"} == files


def test_kubernetes_knows_every_key(rendered: list[Manifest]) -> None:
    assert {manifest["kind"] for manifest in rendered} == {
        *("Namespace", "ServiceAccount", "ConfigMap", "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy")
    }
    assert [error for manifest in rendered for error in schema_errors(manifest)] == []


def test_schema_check_finds_an_unknown_key_and_a_wrong_type(rendered: list[Manifest]) -> None:
    for change in ({"replicas": "one"}, {"replica": 1}):
        broken = deepcopy(single(rendered, "Deployment"))
        broken["spec"].update(change)
        assert schema_errors(broken)


def test_namespace_accepts_only_restricted_pods_and_this_is_one(rendered: list[Manifest]) -> None:
    assert single(rendered, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod_security_violations(single(rendered, "Deployment")) == []


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
def test_security_check_finds_a_pod_that_is_not_restricted(rendered: list[Manifest], key: str, value: Any) -> None:
    broken = deepcopy(single(rendered, "Deployment"))
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"][key] = value
    assert pod_security_violations(broken)


def test_pod_has_probes_a_memory_limit_and_no_cpu_limit(rendered: list[Manifest]) -> None:
    pod = single(rendered, "Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert "cpu" not in container["resources"]["limits"], "a throttled probe would measure its own pauses"
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"]["cpu"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["livenessProbe"]["httpGet"]["path"] == "/-/healthy"
    assert container["readinessProbe"]["httpGet"]["path"] == "/-/ready"
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_selectors_match_the_pods_and_references_exist(rendered: list[Manifest]) -> None:
    deployment = single(rendered, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        single(rendered, "Service")["spec"]["selector"],
        single(rendered, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        single(rendered, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    pod = deployment["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["config"]["configMap"]["name"] == single(rendered, "ConfigMap")["metadata"]["name"]
    assert volumes["secrets"]["secret"]["optional"] is True
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes.keys()
    assert pod["serviceAccountName"] == single(rendered, "ServiceAccount")["metadata"]["name"]
    [port] = pod["containers"][0]["ports"]
    assert single(rendered, "Service")["spec"]["ports"][0]["targetPort"] == port["name"]


def test_configuration_is_valid_and_listens_on_the_container_port(rendered: list[Manifest], tmp_path: Path) -> None:
    [(name, text)] = single(rendered, "ConfigMap")["data"].items()
    pod = single(rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert pod["args"][-1] == f"{pod['volumeMounts'][0]['mountPath']}/{name}"
    (tmp_path / name).write_text(text)
    loaded = config.load(argparse.Namespace(config=str(tmp_path / name)), {}, tmp_path)
    assert loaded.warnings == ()
    assert loaded.settings.listen == f":{pod['ports'][0]['containerPort']}"


def test_component_with_tls_and_a_login_changes_the_pod(tmp_path: Path) -> None:
    """The folder with it is beside the others, because kustomize reads no folder above its own."""
    shutil.copytree(FOLDER, tmp_path / "base")
    own = {"resources": ["base"], "components": ["base/web-config"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    manifests = load_manifests(run("kubectl", "kustomize", str(tmp_path)).stdout)
    deployment = single(manifests, "Deployment")
    assert schema_errors(deployment) == []
    assert pod_security_violations(deployment) == []
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert environment["REDIS_PULSE_WEB_CONFIG_FILE"] == "/etc/redis-pulse/web/web-config.yaml"
    assert environment["REDIS_PULSE_WEB_OPEN_PROBES"] == "true"
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    for name, value in environment.items():
        assert config.load(None, {name: value, "REDIS_URL": "a"}, tmp_path).settings.web != config.WebSettings()


@pytest.mark.parametrize("path", OPERATOR, ids=lambda path: path.stem)
def test_operator_knows_every_key(path: Path) -> None:
    [manifest] = load_manifests(path.read_text())
    assert schema_errors(manifest) == []
    assert manifest["kind"].lower() == path.stem
    assert manifest["metadata"]["namespace"] == "redis-pulse"


def test_schema_check_finds_a_key_that_the_operator_does_not_know() -> None:
    [manifest] = load_manifests((DEPLOY / "operator" / "servicemonitor.yaml").read_text())
    manifest["spec"]["endpoints"][0]["intervall"] = "15s"
    assert schema_errors(manifest) == ["ServiceMonitor: no such key spec.endpoints[0].intervall"]
    del manifest["spec"]["selector"]
    assert "selector" in schema_errors(manifest)[0]


def test_monitors_select_the_service_the_pods_and_their_port(rendered: list[Manifest]) -> None:
    kinds = {path.stem: load_manifests(path.read_text())[0]["spec"] for path in OPERATOR}
    service = single(rendered, "Service")
    labels = single(rendered, "Deployment")["spec"]["template"]["metadata"]["labels"]
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


def test_promtool_accepts_the_rules_for_the_operator(tmp_path: Path) -> None:
    from tests.integration.requirements import need

    need("promtool", "prometheus")
    [rule] = load_manifests((DEPLOY / "operator" / "prometheusrule.yaml").read_text())
    groups = tmp_path / "rules.yaml"
    groups.write_text(yaml.safe_dump(rule["spec"]))
    assert "SUCCESS" in run("promtool", "check", "rules", str(groups)).stdout
