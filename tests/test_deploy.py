"""The files in deploy/: everything they name exists, versions are pinned, and they contain no secrets."""

import argparse
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.build import FOLDER as DASHBOARDS
from redis_pulse import config
from tests.deploy_tools import DEPLOY, ROOT, run
from tests.integration.requirements import need

UNIT = DEPLOY / "systemd" / "redis-pulse.service"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
#: An image of another project is pinned at least to its minor version.
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*")
OWN_IMAGE = "${REDIS_PULSE_IMAGE:-redis-pulse:dev}"
#: Beginnings of harmless values of a password: paths, variables, templates, empty or boolean values, and test data.
NO_SECRETS = ("/", "$", "{", '""', "false", "true", "`", '"only-for-a-test')


def unit_settings() -> dict[str, list[str]]:
    """Return the values of every setting of the systemd unit, without comments."""
    settings: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value)
    return settings


def test_every_yaml_file_is_valid() -> None:
    """Except the templates of the chart, which are only YAML after Helm has rendered them (tests/test_chart.py)."""
    files = [path for path in DEPLOY.rglob("*.yaml") if "templates" not in path.parts]
    assert len(files) > 10
    for path in files:
        assert yaml.safe_load(path.read_text(encoding="utf-8")), path


def test_compose_starts_everything_from_redis_to_grafana() -> None:
    assert set(SERVICES) == {"redis", "redis-pulse", "prometheus", "alertmanager", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_pinned_hardened_and_open_to_this_host_only(name: str) -> None:
    service = SERVICES[name]
    assert service["image"] == OWN_IMAGE or PINNED.fullmatch(service["image"]), f"{service['image']} is not pinned"
    assert service["healthcheck"]["test"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert int(service["user"].partition(":")[0]) > 0, "it runs as root"
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), f"{port} is open to the network"


@pytest.mark.parametrize("name", SERVICES)
def test_all_mounted_files_exist(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = volume.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
            assert mode == ["ro"], f"{source} must be read-only"
        else:
            assert source in COMPOSE["volumes"]


def test_image_is_built_from_this_repository() -> None:
    assert (DEPLOY / SERVICES["redis-pulse"]["build"]).resolve() == ROOT


def test_dependencies_of_services_exist() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert "depends_on" not in SERVICES["redis-pulse"], "it must start without its targets"


def test_no_file_contains_a_secret() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"://[^/\s]*:[^/\s]*@", text), f"{path}: a URL with a password"
            for line in text.splitlines():
                match = re.search(
                    r"(?i)(?:^[\s#-]*|[{,]\s*)(?!existing)[\w-]*(?:password|secret|token)\s*[=:]\s*(\S+)", line
                )
                assert not match or match[1].startswith(NO_SECRETS), f"{path}: {line}"


def test_example_configuration_is_valid() -> None:
    loaded = config.load(argparse.Namespace(config=str(DEPLOY / "redis-pulse.yaml")), {}, DEPLOY)
    assert [target.name for target in loaded.targets] == ["local"]
    assert loaded.warnings == ()


def test_grafana_has_no_administrator() -> None:
    settings = SERVICES["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert settings["GF_AUTH_BASIC_ENABLED"] == "false"


def test_grafana_has_its_data_sources_and_dashboards() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    source, alerts = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert alerts["url"] == "http://alertmanager:9093"
    assert source["type"] == "prometheus"
    assert source["isDefault"], "it is the first value of the variable `datasource`"
    assert source["url"] == "http://prometheus:9090"
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]

    [provider] = yaml.safe_load((provisioning / "dashboards" / "redis-pulse.yaml").read_text())["providers"]
    mounted = dict(volume.split(":")[:2][::-1] for volume in SERVICES["grafana"]["volumes"])
    assert (DEPLOY / mounted[provider["options"]["path"]]).resolve() == DASHBOARDS
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (DASHBOARDS / home.name).exists()


def test_compose_with_tls_mounts_the_files_that_both_sides_name() -> None:
    merged = yaml.safe_load((DEPLOY / "compose.web-config.yaml").read_text(encoding="utf-8"))["services"]
    pulse, prometheus = merged["redis-pulse"], merged["prometheus"]
    assert pulse["environment"]["REDIS_PULSE_WEB_CONFIG_FILE"].startswith("/etc/redis-pulse/web/")
    assert pulse["volumes"] == ["./web:/etc/redis-pulse/web:ro"]
    assert prometheus["volumes"] == ["./web:/etc/prometheus-secrets:ro"]
    plain = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    secure = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.web-config.yaml").read_text())
    job = secure["scrape_configs"][0]
    assert job["tls_config"]["ca_file"].startswith("/etc/prometheus-secrets/")
    for name in ("scheme", "tls_config", "basic_auth"):
        del job[name]
    assert secure == plain, "both configurations of Prometheus have the same jobs and rules"


@pytest.mark.parametrize("name", ["prometheus.web-config.yaml", "scrape/web-config.yaml"])
def test_prometheus_accepts_the_scrape_with_tls_and_a_login(name: str, tmp_path: Path) -> None:
    need("promtool", "prometheus")
    scraped = tmp_path / "prometheus.yaml"
    config = yaml.safe_load((DEPLOY / "prometheus" / name).read_text())
    [job] = [job for job in config["scrape_configs"] if job["job_name"] == "redis-pulse"]
    for section, key in ((job["tls_config"], "ca_file"), (job["basic_auth"], "password_file")):
        section[key] = str(tmp_path / key)
        (tmp_path / key).write_text("x")
    scraped.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    run("promtool", "check", "config", "--syntax-only", str(scraped))


def test_prometheus_scrapes_the_service_by_its_name() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped["scrape_configs"]}
    [address] = jobs["redis-pulse"]
    host, _, port = address.partition(":")
    assert host in SERVICES
    assert SERVICES[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    [alertmanager] = scraped["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert alertmanager in jobs["alertmanager"]
    port = alertmanager.partition(":")[2]
    assert SERVICES["alertmanager"]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_prometheus_accepts_its_configuration_with_the_rules() -> None:
    """It loads the existing rule files, and no other file in the folder."""
    need("promtool", "prometheus")
    result = run("promtool", "check", "config", str(DEPLOY / "prometheus" / "prometheus.yaml"))
    checked = set(re.findall(r"Checking \S+/(\w+\.yaml)", result.stdout))
    rule_files = {name for name in ("recording.yaml", "alerts.yaml") if (DEPLOY / "prometheus" / name).exists()}
    assert checked == {"prometheus.yaml", *rule_files}


def test_alertmanager_accepts_its_configuration() -> None:
    need("amtool", "prometheus-alertmanager")
    service = SERVICES["alertmanager"]
    [option] = [word for word in service["command"] if word.startswith("--config.file=")]
    mounted = dict(volume.split(":")[:2][::-1] for volume in service["volumes"])
    path = Path(option.partition("=")[2])
    run("amtool", "check-config", str(DEPLOY / mounted[str(path.parent)] / path.name))


def test_docker_accepts_the_compose_file() -> None:
    result = run("docker-compose", "--file", str(DEPLOY / "compose.yaml"), "config", "--format", "json")
    resolved = json.loads(result.stdout)["services"]
    assert resolved.keys() == SERVICES.keys()
    assert resolved["redis-pulse"]["environment"]["REDIS_URL"] == "redis://redis:6379"
    binds = [
        volume for service in resolved.values() for volume in service.get("volumes", []) if volume["type"] == "bind"
    ]
    assert binds
    assert all(Path(volume["source"]).exists() and volume["read_only"] for volume in binds)


def test_prometheus_accepts_the_scrape_configuration_of_the_collector(tmp_path: Path) -> None:
    """The receiver uses the configuration format of Prometheus. The rest of the file only connects components."""
    collector = yaml.safe_load((DEPLOY / "otel" / "collector.yaml").read_text(encoding="utf-8"))
    need("promtool", "prometheus")
    scraped = tmp_path / "prometheus.yaml"
    scraped.write_text(yaml.safe_dump(collector["receivers"]["prometheus"]["config"]))
    run("promtool", "check", "config", str(scraped))
    [pipeline] = collector["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == collector[kind].keys(), f"declared {kind} and used ones differ"


def test_components_of_alloy_refer_to_existing_ones() -> None:
    """No package contains Alloy. So only references and brackets are checked, for both variants in the file."""
    text = (DEPLOY / "alloy" / "config.alloy").read_text(encoding="utf-8")
    plain = re.sub(r"(?m)^\s*//.*$", "", text)
    other = "\n".join(
        line.removeprefix("// ").removeprefix("//") for line in text.splitlines() if "{" in line or "=" in line
    )
    for variant in (plain, other):
        declared = {f"{kind}.{name}" for kind, name in re.findall(r'(?m)^\s*([\w.]+) "(\w+)" \{', variant)}
        used = set(re.findall(r"= \[?((?:prometheus|discovery)\.\w+\.\w+)\.(?:receiver|targets|output)", variant))
        assert declared
        assert used <= declared
    assert all(plain.count(pair[0]) == plain.count(pair[1]) for pair in ("{}", "[]", "()"))


def test_systemd_unit_is_hardened_and_reloads() -> None:
    unit = unit_settings()
    assert unit["Type"] == ["notify"]
    assert unit["WatchdogSec"] == ["10"], "the daemon notifies the watchdog every second"
    assert unit["LimitCORE"] == ["0"], "the watchdog sends SIGABRT, and a core dump would contain passwords"
    assert unit["Restart"] == ["on-failure"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert unit["DynamicUser"] == unit["NoNewPrivileges"] == unit["PrivateTmp"] == unit["ProtectHome"] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["Nice"] == ["-10"], "beside busy processes, pings are sent in time"
    assert "CPUQuota" not in unit, "a throttled probe would measure its own pauses"
    [credential] = unit["LoadCredential"]
    assert f"/run/credentials/{UNIT.name}/{credential.partition(':')[0]}" in UNIT.read_text(encoding="utf-8")


def test_systemd_accepts_the_unit_and_its_security(tmp_path: Path) -> None:
    analyze = need("systemd-analyze", "systemd")
    # The program is not installed at its usual path here, and verify checks that the command exists.
    program = shutil.which("true")
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={program}", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    copy = tmp_path / UNIT.name
    copy.write_text(text, encoding="utf-8")
    for command in (["verify"], ["security", "--offline=true", "--threshold=20"]):
        result = subprocess.run([analyze, *command, str(copy)], capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        if command == ["verify"]:
            assert not result.stderr, result.stderr
