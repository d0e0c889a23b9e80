"""The chart, rendered by real Helm (3 and 4): Kubernetes and redis-pulse accept all manifests."""

import argparse
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from redis_pulse import config
from redis_pulse.cli import _parser
from tests.deploy_tools import Manifest, load_manifests, of_kind, pod_security_violations, run, schema_errors, single
from tools import chart

CHART = chart.CHART
FILES = sorted((CHART / "ci").glob("*-values.yaml"))
HELMS = ("helm", "helm3")
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
#: Values with keys of the user or of Kubernetes. The table has one row for all these keys.
OPAQUE_VALUES = frozenset(("resources", "securityContext", "podSecurityContext", "livenessProbe", "readinessProbe"))


@cache
def _template(helm: str, *arguments: str) -> str:
    return run(helm, "template", "r", str(CHART), "--namespace", "mon", *arguments).stdout


def render(*arguments: str, helm: str = "helm") -> list[Manifest]:
    """Return the manifests that ``helm template`` renders from the chart with these arguments."""
    return load_manifests(_template(helm, *arguments))


def rejection(*arguments: str) -> str:
    """Return the error of Helm, which must reject these arguments."""
    return run("helm", "template", "r", str(CHART), *arguments, exit_code=1).stderr


def pod(manifests: list[Manifest], kind: str = "Deployment") -> dict[str, Any]:
    spec: dict[str, Any] = single(manifests, kind)["spec"]["template"]["spec"]
    return spec


def variables(manifests: list[Manifest], kind: str = "Deployment") -> dict[str, Any]:
    [container] = pod(manifests, kind)["containers"]
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}


def mounted(manifests: list[Manifest]) -> dict[str, str]:
    """Return the mount path of every mounted volume."""
    return {mount["name"]: mount["mountPath"] for mount in pod(manifests)["containers"][0]["volumeMounts"]}


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("values", [None, *FILES], ids=lambda path: path.stem if path else "defaults")
def test_rendered_manifests_are_valid_and_restricted(helm: str, values: Path | None) -> None:
    manifests = render(*(["--values", str(values)] if values else []), helm=helm)
    assert [error for manifest in manifests for error in schema_errors(manifest)] == []
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet", "Pod"):
            assert pod_security_violations(manifest) == [], manifest["metadata"]["name"]


@pytest.mark.parametrize("helm", HELMS)
def test_helm_lint_accepts_the_chart(helm: str) -> None:
    for values in FILES:
        result = run(helm, "lint", str(CHART), "--strict", "--values", str(values))
        assert "0 chart(s) failed" in result.stdout


def test_package_contains_the_dashboards_and_rules(tmp_path: Path) -> None:
    """In the repository they are links. The package for users contains the files."""
    import tarfile

    run("helm", "package", str(CHART), "--destination", str(tmp_path))
    [package] = tmp_path.glob("*.tgz")
    with tarfile.open(package) as packed:
        names = packed.getnames()
    assert "redis-pulse/files/dashboards/redis-pulse-overview.json" in names
    assert "redis-pulse/files/prometheus/alerts.yaml" in names
    assert package.stat().st_size < 400_000, "Helm stores the chart and its manifests in one Secret of at most 1 MiB"
    assert not [name for name in names if "/ci/" in name]


def test_default_is_one_daemon_without_a_cpu_limit_or_a_token() -> None:
    manifests = render()
    assert {manifest["kind"] for manifest in manifests} == {"ServiceAccount", "Service", "Deployment", "Pod"}
    spec = pod(manifests)
    assert "cpu" not in spec["containers"][0]["resources"]["limits"], "a throttled probe would measure its own pauses"
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert variables(manifests) == {"REDIS_URL": "redis://myredis:6379"}


def test_daemon_accepts_the_arguments_and_variables_of_the_pod() -> None:
    """The parser and the settings of the daemon load the arguments and variables of every example."""
    for values in FILES:
        manifests = render("--values", str(values))
        kind = "StatefulSet" if of_kind(manifests, "StatefulSet") else "Deployment"
        [container] = pod(manifests, kind)["containers"]
        arguments = _parser().parse_args(container["args"])
        assert arguments.listen == ":9121"
        assert container["ports"] == [{"name": "http-metrics", "containerPort": 9121}]
        plain = {name: value for name, value in variables(manifests, kind).items() if isinstance(value, str)}
        files = {name: value for name, value in plain.items() if value.startswith("/")}
        assert all(any(value.startswith(folder) for folder in mounted_in(container)) for value in files.values())
        plain = {name: value for name, value in plain.items() if name not in files}
        maps = [one["data"] for one in of_kind(manifests, "ConfigMap") if "redis-pulse.yaml" in one["data"]]
        assert bool(maps) == bool(arguments.config)
        text = maps[0]["redis-pulse.yaml"] if maps else "targets: []"
        assert is_valid_configuration(text, plain), values


def mounted_in(container: dict[str, Any]) -> list[str]:
    return [mount["mountPath"] + "/" for mount in container["volumeMounts"]]


def is_valid_configuration(text: str, environment: dict[str, str]) -> bool:
    """Return whether the daemon starts with this file and these variables. All password files exist for it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "redis-pulse.yaml"
        password = Path(folder) / "password"
        password.write_text("x")
        file.write_text(re.sub(r"password_file: \S+", f"password_file: {password}", text))
        environment = {"REDIS_URL": "redis://nowhere:6379", "HOSTNAME": "r-redis-pulse-1", **environment}
        return bool(config.load(argparse.Namespace(config=str(file)), environment, Path(folder)).targets)


def test_large_number_in_the_configuration_stays_an_integer(tmp_path: Path) -> None:
    """By default, Helm parses 64000000 as a float and writes 6.4e+07."""
    values = tmp_path / "values.yaml"
    values.write_text(
        "config: {probe_log: {size: 64000001}, poll: {interval: 15s}, targets: [{url: 'redis://a:6379'}]}"
    )
    text = single(render("--values", str(values)), "ConfigMap")["data"]["redis-pulse.yaml"]
    assert is_valid_configuration(text, {})
    assert yaml.safe_load(text)["probe_log"]["size"] == 64000001


def test_values_file_of_the_chart_of_redis_exporter_works_here() -> None:
    manifests = render("--values", str(CHART / "ci" / "exporter-values.yaml"))
    spec = pod(manifests)
    [container] = spec["containers"]
    assert variables(manifests) == {
        "REDIS_URL": "rediss://myredis:6379",
        "REDIS_PASSWORD_FILE": "/auth/redis-password",
        "REDIS_USER": "exporter",
        "REDIS_PULSE_TLS_CA_FILE": "/tls/tls-ca-cert.crt",
        "REDIS_PULSE_TLS_CERT_FILE": "/tls/tls-client-cert.crt",
        "REDIS_PULSE_TLS_KEY_FILE": "/tls/tls-client-key.key",
        "REDIS_SOCKET_TIMEOUT": "3",
    }
    assert container["image"] == "registry.example.org/redis-pulse:0.2.0"
    assert container["args"] == ["serve", "--listen=:9121", "--debug", "--log-level=debug"]
    assert spec["imagePullSecrets"] == [{"name": "docker-secret"}]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
    assert spec["priorityClassName"] == "high"
    assert spec["securityContext"]["runAsUser"] == 10001
    template = single(manifests, "Deployment")["spec"]["template"]["metadata"]
    assert template["annotations"]["prometheus.io/scrape"] == "true"
    assert template["labels"]["component"] == "metrics"
    assert all(
        manifest["metadata"]["labels"]["team"] == "web"
        for manifest in manifests
        if manifest["kind"] not in ("Pod", "ConfigMap")
    )
    service = single(manifests, "Service")
    assert service["metadata"]["annotations"] == {"prometheus.io/scrape": "true"}
    assert service["metadata"]["labels"]["tier"] == "monitoring"
    monitor = single(manifests, "ServiceMonitor")
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["targetLabels"] == ["team"]
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint == {
        "path": "/metrics",
        "port": "redis-exporter",
        "interval": "30s",
        "scrapeTimeout": "10s",
        "scheme": "http",
        "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_name"], "targetLabel": "pod"}],
        "metricRelabelings": [{"action": "labeldrop", "regex": "container"}],
    }
    rule = single(manifests, "PrometheusRule")
    assert rule["metadata"]["namespace"] == "monitoring"
    [own] = rule["spec"]["groups"][-1]["rules"]
    assert own["expr"] == 'redis_up{service="r-redis-pulse"} == 0'
    assert own["annotations"]["summary"] == "Redis instance {{ $labels.instance }} down"
    [extra] = of_kind(manifests, "ConfigMap")
    assert extra["data"] == {"extra": "r"}


def test_pages_with_tls_and_a_login_are_probed_and_scraped() -> None:
    manifests = render("--values", str(CHART / "ci" / "web-config-values.yaml"))
    spec = pod(manifests)
    [container] = spec["containers"]
    assert variables(manifests)["REDIS_PULSE_WEB_CONFIG_FILE"] == "/etc/redis-pulse/web/web-config.yaml"
    assert variables(manifests)["REDIS_PULSE_WEB_OPEN_PROBES"] == "true"
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    assert {"name": "web-config", "mountPath": "/etc/redis-pulse/web", "readOnly": True} in container["volumeMounts"]
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == "web-config"]
    assert volume["projected"]["sources"] == [{"secret": {"name": "pulse-web"}}, {"secret": {"name": "pulse-tls"}}]
    [endpoint] = single(manifests, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["basicAuth"]["username"] == {"name": "scrape", "key": "username"}


def test_pages_without_tls_are_probed_over_plain_http() -> None:
    [container] = pod(render("--set", "webConfig.existingSecret=web"))["containers"]
    assert "scheme" not in container["livenessProbe"]["httpGet"]
    assert variables(render())["REDIS_URL"]
    assert "REDIS_PULSE_WEB_CONFIG_FILE" not in variables(render())


def test_several_targets_are_watched_and_scraped_separately() -> None:
    manifests = render("--values", str(CHART / "ci" / "targets-values.yaml"))
    written = yaml.safe_load(single(manifests, "ConfigMap")["data"]["redis-pulse.yaml"])
    assert written["targets"] == [
        {"name": name, "url": url, "username": "exporter", "password_file": "/auth/pass.json"}
        for name, url in (("my-redis", "redis://myredis:6379"), ("bar", "redis://my-redis-cluster:6379"))
    ]
    assert mounted(manifests)["password"] == "/auth"
    assert "REDIS_URL" not in variables(manifests)
    first, second = single(manifests, "ServiceMonitor")["spec"]["endpoints"]
    assert (first["path"], first["params"]) == ("/scrape", {"target": ["my-redis"]})
    assert first["relabelings"][0] == {"targetLabel": "instance", "replacement": "redis://myredis:6379"}
    assert {"targetLabel": "site", "replacement": "a"} in second["relabelings"]
    assert second["relabelings"][-1]["replacement"] == "cluster"
    assert {"targetLabel": "type", "replacement": "cluster"} in second["metricRelabelings"]
    assert {"targetLabel": "env", "replacement": "prod"} in first["metricRelabelings"]
    assert second["metricRelabelings"][-1] == {"action": "labeldrop", "regex": "pod"}


def test_password_in_a_url_is_not_in_a_label() -> None:
    one_target = "serviceMonitor.targets[0].name=a,serviceMonitor.targets[0].url=redis://me:hunter2@a:6379"
    manifests = render("--set", f"serviceMonitor.enabled=true,serviceMonitor.multipleTarget=true,{one_target}")
    [endpoint] = single(manifests, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "instance", "replacement": "redis://a:6379"}]


def test_shards_are_a_stateful_set_with_a_shard_for_each_pod() -> None:
    manifests = render("--values", str(CHART / "ci" / "shards-values.yaml"))
    assert not of_kind(manifests, "Deployment")
    sharded = single(manifests, "StatefulSet")["spec"]
    assert sharded["replicas"] == 3
    assert sharded["podManagementPolicy"] == "Parallel"
    assert variables(manifests, "StatefulSet")["REDIS_PULSE_SHARD"] == "auto/3"
    headless = [service for service in of_kind(manifests, "Service") if service["spec"].get("clusterIP") == "None"]
    assert [service["metadata"]["name"] for service in headless] == [sharded["serviceName"]]
    selector = single(manifests, "ServiceMonitor")["spec"]["selector"]
    [absent] = selector["matchExpressions"]
    assert absent["operator"] == "DoesNotExist"
    assert absent["key"] in headless[0]["metadata"]["labels"], "without this label, every pod would be scraped twice"


def test_dashboards_are_complete_and_have_the_label_of_the_sidecar() -> None:
    manifests = render("--values", str(CHART / "ci" / "shards-values.yaml"))
    dashboards = [
        config_map
        for config_map in of_kind(manifests, "ConfigMap")
        if "grafana_dashboard" in config_map["metadata"]["labels"]
    ]
    sources = {path.name: path.read_text(encoding="utf-8") for path in (CHART / "files" / "dashboards").glob("*.json")}
    assert sources
    rendered = {name: text for config_map in dashboards for name, text in config_map["data"].items()}
    assert {name: json.loads(text) for name, text in rendered.items()} == {
        name: json.loads(text) for name, text in sources.items()
    }
    for config_map in dashboards:
        assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert config_map["metadata"]["namespace"] == "monitoring"
        assert config_map["metadata"]["annotations"] == {"grafana_folder": "Redis"}
        assert len(json.dumps(config_map)) < 1_000_000, "the ConfigMap is too large"


def test_rules_equal_those_of_the_repository() -> None:
    rendered = single(render("--values", str(CHART / "ci" / "shards-values.yaml")), "PrometheusRule")["spec"]["groups"]
    repository = yaml.safe_load(chart.prometheus_rule())["spec"]["groups"]
    assert repository
    assert sorted(rendered, key=_name) == sorted(repository, key=_name)


def _name(group: dict[str, Any]) -> str:
    return str(group["name"])


def test_password_in_the_values_is_only_in_a_secret() -> None:
    manifests = render("--values", str(CHART / "ci" / "address-values.yaml"))
    secret = single(manifests, "Secret")
    assert list(secret["data"]) == ["redis-password"]
    others = [manifest for manifest in manifests if manifest is not secret]
    assert "only-for-a-test" not in json.dumps(others)
    assert variables(manifests)["REDIS_URL"] == {"secretKeyRef": {"name": "redis-config", "key": "url"}}
    assert pod(manifests)["volumes"][0]["secret"]["secretName"] == secret["metadata"]["name"]


def test_changed_configuration_replaces_the_pods() -> None:
    digests = set()
    for host in ("a", "b"):
        deployment = single(render("--set", f"config.targets[0].url=redis://{host}:6379"), "Deployment")
        digests.add(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"])
    assert len(digests) == 2


ONE_TARGET = "serviceMonitor.multipleTarget=true,serviceMonitor.targets[0].name=a,serviceMonitor.targets[0].url=b"


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        (f"shards=2,{ONE_TARGET}", "leave multipleTarget out"),
        ("shards=2,replicaCount=2", "shards is the number of pods"),
        ("serviceMonitor.multipleTarget=true", "a list of name and url"),
        ("redisAddressConfig.enabled=true", "set redisAddress"),
        ("auth.enabled=true", "set auth.existingSecret"),
        ("script.configmap=lua", "config.collectors.scripts"),
        ("redisTlsConfig.serverKeyFile.secret.name=tls", "use webConfig, and see docs/exposing.md"),
        ("webConfig.tls=true", "need webConfig.existingSecret"),
    ],
)
def test_impossible_setting_is_rejected_with_a_hint(setting: str, hint: str) -> None:
    assert hint in rejection("--set", setting)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("redisAdress=redis://a", "redisAdress"),
        ("image.tagg=1", "tagg"),
        ("service.port=0", "port"),
        ("service.portName=Redis_Exporter", "portName"),
        ("serviceMonitor.interval=often", "interval"),
        ("serviceMonitor.targets[0].url=redis://a", "name"),
        ("replicaCount=many", "replicaCount"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
    ],
)
def test_schema_rejects_an_invalid_value(setting: str, key: str) -> None:
    assert key in rejection("--set", setting)


def _schema_leaves(schema: dict[str, Any], under: tuple[str, ...] = ()) -> Iterator[str]:
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    path = ".".join(under)
    if "properties" in schema and path not in OPAQUE_VALUES:
        assert schema["additionalProperties"] is False, f"{path or 'the top level'} would accept unknown keys"
        for key, below in schema["properties"].items():
            yield from _schema_leaves(below, (*under, key))
    else:
        yield path


def test_values_schema_and_table_have_the_same_values() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    paths = set(chart.leaves(values, opaque=OPAQUE_VALUES))
    assert paths == chart.described_paths(), "a value in values.yaml has no line `# --`, or the reverse"
    assert paths == set(_schema_leaves(SCHEMA)) - {"global"}


def test_every_value_of_the_chart_of_redis_exporter_is_known() -> None:
    """Its users keep their values files. An unsupported value is rejected with a hint, not as an unknown key."""
    known = chart.described_paths()
    tls = ("caCertFile", "clientKeyFile", "clientCertFile", "serverKeyFile", "serverCertFile")
    of_other_chart = {
        *("rbac.create", "rbac.pspEnabled", "serviceAccount.create", "serviceAccount.name", "replicaCount"),
        *(f"image.{name}" for name in ("repository", "tag", "pullPolicy", "pullSecrets")),
        *("command", "extraArgs", "customLabels", "securityContext", "podSecurityContext", "env", "resources"),
        *(f"service.{name}" for name in ("type", "port", "portName", "annotations", "labels")),
        *("nodeSelector", "tolerations", "affinity", "priorityClassName", "extraManifests", "annotations", "labels"),
        *("redisAddress", "redisAddressConfig.enabled", "redisAddressConfig.isSecret", "script"),
        *("redisAddressConfig.source.name", "redisAddressConfig.source.key"),
        *(f"redisTlsConfig.{name}" for name in ("enabled", "skipTlsVerification", "mountPath")),
        *(f"redisTlsConfig.{file}.secret.{name}" for file in tls for name in ("name", "key")),
        *(f"serviceMonitor.{name}" for name in ("enabled", "multipleTarget", "targets", "additionalMetricsRelabels")),
        *(f"serviceMonitor.{name}" for name in ("additionalRelabeling", "namespace", "interval", "telemetryPath")),
        *(f"serviceMonitor.{name}" for name in ("labels", "timeout", "relabelings", "targetLabels")),
        *(f"serviceMonitor.{name}" for name in ("metricRelabelings", "scheme", "tlsConfig")),
        *(f"prometheusRule.{name}" for name in ("enabled", "additionalLabels", "namespace", "rules")),
        *("auth.enabled", "auth.secret.name", "auth.secret.key", "auth.redisPassword", "auth.redisUser"),
        *(f"auth.redisPasswordFile.{name}" for name in ("mountPath", "secret.name", "secret.key")),
    }
    assert of_other_chart <= known, of_other_chart - known


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("exporter", "watches the server of redisAddress."),
        ("targets", "watches 2 targets of serviceMonitor.targets."),
        ("shards", "watches 2 targets of config, in 3 shards."),
        ("address", "prefer auth.existingSecret"),
    ],
)
def test_notes_after_the_installation_name_the_targets(values: str, message: str) -> None:
    """Helm 4 prints the notes without a cluster."""
    file = str(CHART / "ci" / f"{values}-values.yaml")
    assert message in run("helm", "install", "r", str(CHART), "--dry-run=client", "--values", file).stdout


def test_description_without_a_key_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"values\.yaml:2: .* right above its key"):
        list(chart.values("# -- lost\n\nkey: 1\n"))


def test_app_version_of_the_chart_is_the_version_of_the_daemon() -> None:
    from redis_pulse import __version__

    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert about["appVersion"] == __version__
