"""The chart, rendered by real Helm (3 and 4): everything that comes out is known to Kubernetes and to redis-pulse."""

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
from tests.deploy_tools import Manifest, escapes, of_kind, one, read, run, schema_errors
from tools import chart

CHART = chart.CHART
FILES = sorted((CHART / "ci").glob("*-values.yaml"))
HELMS = ("helm", "helm3")
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
#: Where every key is the user's or Kubernetes' own: the table has one row for all of it.
WHOLE = frozenset(("resources", "securityContext", "podSecurityContext", "livenessProbe", "readinessProbe"))


@cache
def _template(helm: str, *arguments: str) -> str:
    return run(helm, "template", "r", str(CHART), "--namespace", "mon", *arguments).stdout


def render(*arguments: str, helm: str = "helm") -> list[Manifest]:
    """Return what ``helm template`` makes of the chart with these arguments (``--set`` and the like)."""
    return read(_template(helm, *arguments))


def refused(*arguments: str) -> str:
    return run("helm", "template", "r", str(CHART), *arguments, expect=1).stderr


def pod(manifests: list[Manifest], kind: str = "Deployment") -> dict[str, Any]:
    spec: dict[str, Any] = one(manifests, kind)["spec"]["template"]["spec"]
    return spec


def variables(manifests: list[Manifest], kind: str = "Deployment") -> dict[str, Any]:
    [container] = pod(manifests, kind)["containers"]
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}


def mounted(manifests: list[Manifest]) -> dict[str, str]:
    """Return the folder of every volume that is mounted."""
    return {mount["name"]: mount["mountPath"] for mount in pod(manifests)["containers"][0]["volumeMounts"]}


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("values", [None, *FILES], ids=lambda path: path.stem if path else "defaults")
def test_everything_it_makes_is_known_and_restricted(helm: str, values: Path | None) -> None:
    manifests = render(*(["--values", str(values)] if values else []), helm=helm)
    assert [trouble for manifest in manifests for trouble in schema_errors(manifest)] == []
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet", "Pod"):
            assert escapes(manifest) == [], manifest["metadata"]["name"]


@pytest.mark.parametrize("helm", HELMS)
def test_helm_finds_nothing_to_complain_of(helm: str) -> None:
    for values in FILES:
        done = run(helm, "lint", str(CHART), "--strict", "--values", str(values))
        assert "0 chart(s) failed" in done.stdout


def test_it_is_packed_with_its_dashboards_and_rules(tmp_path: Path) -> None:
    """They are links here; what users get holds the files themselves."""
    import tarfile

    run("helm", "package", str(CHART), "--destination", str(tmp_path))
    [package] = tmp_path.glob("*.tgz")
    with tarfile.open(package) as packed:
        names = packed.getnames()
    assert "redis-pulse/files/dashboards/redis-pulse-overview.json" in names
    assert "redis-pulse/files/prometheus/alerts.yaml" in names
    assert package.stat().st_size < 400_000, "Helm keeps it, and what it made of it, in one Secret of at most 1 MiB"
    assert not [name for name in names if "/ci/" in name]


def test_by_default_it_is_one_daemon_without_a_cpu_limit_or_a_token() -> None:
    manifests = render()
    assert {manifest["kind"] for manifest in manifests} == {"ServiceAccount", "Service", "Deployment", "Pod"}
    spec = pod(manifests)
    assert "cpu" not in spec["containers"][0]["resources"]["limits"], "a probe that is stopped measures the stop"
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert variables(manifests) == {"REDIS_URL": "redis://myredis:6379"}


def test_the_pod_is_started_with_what_the_daemon_understands() -> None:
    """Arguments and variables of every example are tried by the parser and the settings of the daemon itself."""
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
        assert good(text, plain), values


def mounted_in(container: dict[str, Any]) -> list[str]:
    return [mount["mountPath"] + "/" for mount in container["volumeMounts"]]


def good(text: str, environment: dict[str, str]) -> bool:
    """Whether the daemon starts with that file and these variables; password files are not there, and that is fine."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "redis-pulse.yaml"
        password = Path(folder) / "password"
        password.write_text("x")
        file.write_text(re.sub(r"password_file: \S+", f"password_file: {password}", text))
        environment = {"REDIS_URL": "redis://nowhere:6379", "HOSTNAME": "r-redis-pulse-1", **environment}
        return bool(config.load(argparse.Namespace(config=str(file)), environment, Path(folder)).targets)


def test_a_large_number_in_the_configuration_stays_one(tmp_path: Path) -> None:
    """Helm reads 64000000 as a float and writes 6.4e+07."""
    values = tmp_path / "values.yaml"
    values.write_text(
        "config: {probe_log: {size: 64000001}, poll: {interval: 15s}, targets: [{url: 'redis://a:6379'}]}"
    )
    text = one(render("--values", str(values)), "ConfigMap")["data"]["redis-pulse.yaml"]
    assert good(text, {})
    assert yaml.safe_load(text)["probe_log"]["size"] == 64000001


def test_a_values_file_of_the_other_exporter_means_the_same_here() -> None:
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
    assert container["image"] == "registry.example.org/redis-pulse:0.1.0"
    assert container["args"] == ["serve", "--listen=:9121", "--debug", "--log-level=debug"]
    assert spec["imagePullSecrets"] == [{"name": "docker-secret"}]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
    assert spec["priorityClassName"] == "high"
    assert spec["securityContext"]["runAsUser"] == 10001
    template = one(manifests, "Deployment")["spec"]["template"]["metadata"]
    assert template["annotations"]["prometheus.io/scrape"] == "true"
    assert template["labels"]["component"] == "metrics"
    assert all(
        manifest["metadata"]["labels"]["team"] == "web"
        for manifest in manifests
        if manifest["kind"] not in ("Pod", "ConfigMap")
    )
    service = one(manifests, "Service")
    assert service["metadata"]["annotations"] == {"prometheus.io/scrape": "true"}
    assert service["metadata"]["labels"]["tier"] == "monitoring"
    monitor = one(manifests, "ServiceMonitor")
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
    rule = one(manifests, "PrometheusRule")
    assert rule["metadata"]["namespace"] == "monitoring"
    [own] = rule["spec"]["groups"][-1]["rules"]
    assert own["expr"] == 'redis_up{service="r-redis-pulse"} == 0'
    assert own["annotations"]["summary"] == "Redis instance {{ $labels.instance }} down"
    [extra] = of_kind(manifests, "ConfigMap")
    assert extra["data"] == {"extra": "r"}


def test_several_targets_are_watched_and_scraped_one_by_one() -> None:
    manifests = render("--values", str(CHART / "ci" / "targets-values.yaml"))
    written = yaml.safe_load(one(manifests, "ConfigMap")["data"]["redis-pulse.yaml"])
    assert written["targets"] == [
        {"name": name, "url": url, "username": "exporter", "password_file": "/auth/pass.json"}
        for name, url in (("my-redis", "redis://myredis:6379"), ("bar", "redis://my-redis-cluster:6379"))
    ]
    assert mounted(manifests)["password"] == "/auth"
    assert "REDIS_URL" not in variables(manifests)
    first, second = one(manifests, "ServiceMonitor")["spec"]["endpoints"]
    assert (first["path"], first["params"]) == ("/scrape", {"target": ["my-redis"]})
    assert first["relabelings"][0] == {"targetLabel": "instance", "replacement": "redis://myredis:6379"}
    assert {"targetLabel": "site", "replacement": "a"} in second["relabelings"]
    assert second["relabelings"][-1]["replacement"] == "cluster"
    assert {"targetLabel": "type", "replacement": "cluster"} in second["metricRelabelings"]
    assert {"targetLabel": "env", "replacement": "prod"} in first["metricRelabelings"]
    assert second["metricRelabelings"][-1] == {"action": "labeldrop", "regex": "pod"}


def test_a_password_in_a_url_becomes_no_label() -> None:
    one_target = "serviceMonitor.targets[0].name=a,serviceMonitor.targets[0].url=redis://me:hunter2@a:6379"
    manifests = render("--set", f"serviceMonitor.enabled=true,serviceMonitor.multipleTarget=true,{one_target}")
    [endpoint] = one(manifests, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "instance", "replacement": "redis://a:6379"}]


def test_shards_are_a_set_of_pods_that_know_their_share() -> None:
    manifests = render("--values", str(CHART / "ci" / "shards-values.yaml"))
    assert not of_kind(manifests, "Deployment")
    sharded = one(manifests, "StatefulSet")["spec"]
    assert sharded["replicas"] == 3
    assert sharded["podManagementPolicy"] == "Parallel"
    assert variables(manifests, "StatefulSet")["REDIS_PULSE_SHARD"] == "auto/3"
    headless = [service for service in of_kind(manifests, "Service") if service["spec"].get("clusterIP") == "None"]
    assert [service["metadata"]["name"] for service in headless] == [sharded["serviceName"]]
    selector = one(manifests, "ServiceMonitor")["spec"]["selector"]
    [absent] = selector["matchExpressions"]
    assert absent["operator"] == "DoesNotExist"
    assert absent["key"] in headless[0]["metadata"]["labels"], "or every pod would be scraped twice"


def test_dashboards_come_whole_with_the_label_of_the_sidecar() -> None:
    manifests = render("--values", str(CHART / "ci" / "shards-values.yaml"))
    found = [one for one in of_kind(manifests, "ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]
    sources = {path.name: path.read_text(encoding="utf-8") for path in (CHART / "files" / "dashboards").glob("*.json")}
    assert sources
    shown = {name: text for config_map in found for name, text in config_map["data"].items()}
    assert {name: json.loads(text) for name, text in shown.items()} == {
        name: json.loads(text) for name, text in sources.items()
    }
    for config_map in found:
        assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert config_map["metadata"]["namespace"] == "monitoring"
        assert config_map["metadata"]["annotations"] == {"grafana_folder": "Redis"}
        assert len(json.dumps(config_map)) < 1_000_000, "more than a ConfigMap may hold"


def test_the_rules_are_those_of_the_repository() -> None:
    rendered = one(render("--values", str(CHART / "ci" / "shards-values.yaml")), "PrometheusRule")["spec"]["groups"]
    ours = yaml.safe_load(chart.prometheus_rule())["spec"]["groups"]
    assert ours
    assert sorted(rendered, key=_name) == sorted(ours, key=_name)


def _name(group: dict[str, Any]) -> str:
    return str(group["name"])


def test_a_password_that_is_given_goes_into_a_secret_and_nowhere_else() -> None:
    manifests = render("--values", str(CHART / "ci" / "address-values.yaml"))
    secret = one(manifests, "Secret")
    assert list(secret["data"]) == ["redis-password"]
    others = [manifest for manifest in manifests if manifest is not secret]
    assert "only-for-a-test" not in json.dumps(others)
    assert variables(manifests)["REDIS_URL"] == {"secretKeyRef": {"name": "redis-config", "key": "url"}}
    assert pod(manifests)["volumes"][0]["secret"]["secretName"] == secret["metadata"]["name"]


def test_another_configuration_replaces_the_pods() -> None:
    digests = set()
    for host in ("a", "b"):
        deployment = one(render("--set", f"config.targets[0].url=redis://{host}:6379"), "Deployment")
        digests.add(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"])
    assert len(digests) == 2


ONE_TARGET = "serviceMonitor.multipleTarget=true,serviceMonitor.targets[0].name=a,serviceMonitor.targets[0].url=b"


@pytest.mark.parametrize(
    ("setting", "cure"),
    [
        (f"shards=2,{ONE_TARGET}", "leave multipleTarget out"),
        ("shards=2,replicaCount=2", "shards is the number of pods"),
        ("serviceMonitor.multipleTarget=true", "a list of name and url"),
        ("redisAddressConfig.enabled=true", "set redisAddress"),
        ("auth.enabled=true", "set auth.existingSecret"),
        ("script.configmap=lua", "config.collectors.scripts"),
        ("redisTlsConfig.serverKeyFile.secret.name=tls", "see docs/security.md"),
    ],
)
def test_what_cannot_work_is_refused_with_its_cure(setting: str, cure: str) -> None:
    assert cure in refused("--set", setting)


@pytest.mark.parametrize(
    ("setting", "place"),
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
def test_a_value_that_is_mistyped_is_found_by_the_schema(setting: str, place: str) -> None:
    assert place in refused("--set", setting)


def _schema_leaves(schema: dict[str, Any], under: tuple[str, ...] = ()) -> Iterator[str]:
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    path = ".".join(under)
    if "properties" in schema and path not in WHOLE:
        assert schema["additionalProperties"] is False, f"{path or 'the top'} would take any mistyped key"
        for key, below in schema["properties"].items():
            yield from _schema_leaves(below, (*under, key))
    else:
        yield path


def test_values_schema_and_table_name_the_same_values() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    there = set(chart.leaves(values, stop=WHOLE))
    assert there == chart.described(), "each value has its line `# --` in values.yaml"
    assert there == set(_schema_leaves(SCHEMA)) - {"global"}


def test_every_value_of_the_other_chart_is_known() -> None:
    """As its users have them in their files; what cannot be done is refused by name, not as unknown."""
    known = chart.described()
    tls = ("caCertFile", "clientKeyFile", "clientCertFile", "serverKeyFile", "serverCertFile")
    theirs = {
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
    assert theirs <= known, theirs - known


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("exporter", "watches the server of redisAddress."),
        ("targets", "watches 2 targets of serviceMonitor.targets."),
        ("shards", "watches 2 targets of config, in 3 shards."),
        ("address", "prefer auth.existingSecret"),
    ],
)
def test_who_installs_it_is_told_what_it_watches(values: str, said: str) -> None:
    """By Helm 4, which needs no cluster for that."""
    file = str(CHART / "ci" / f"{values}-values.yaml")
    assert said in run("helm", "install", "r", str(CHART), "--dry-run=client", "--values", file).stdout


def test_a_description_that_stands_over_nothing_is_found() -> None:
    with pytest.raises(ValueError, match=r"values\.yaml:2: .* right above its key"):
        list(chart.values("# -- lost\n\nkey: 1\n"))


def test_the_version_is_that_of_the_daemon() -> None:
    from redis_pulse import __version__

    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert about["appVersion"] == __version__
