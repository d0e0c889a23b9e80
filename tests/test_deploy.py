"""What people install from: everything it names exists, versions are pinned, and it gives nothing away."""

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
OURS = "redis-pulse:dev"
#: What may stand after "password:": a path, a variable, what Helm fills in, nothing, a switch, what is for a test only.
HARMLESS = ("/", "$", "{", '""', "false", "true", "`", '"only-for-a-test')


def service_lines() -> dict[str, list[str]]:
    """Every setting of the unit that is not a comment, with its values."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_every_yaml_file_can_be_read() -> None:
    """The templates of the chart are not YAML before Helm has read them (tests/test_chart.py)."""
    files = [path for path in DEPLOY.rglob("*.yaml") if "templates" not in path.parts]
    assert len(files) > 10
    for path in files:
        assert yaml.safe_load(path.read_text(encoding="utf-8")), path


def test_compose_brings_everything_that_a_person_looks_at() -> None:
    assert set(SERVICES) == {"redis", "redis-pulse", "prometheus", "alertmanager", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_watched_and_open_to_this_host_only(name: str) -> None:
    service = SERVICES[name]
    assert service["image"] == OURS or PINNED.fullmatch(service["image"]), f"{service['image']} is not pinned"
    assert service["healthcheck"]["test"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert int(service["user"].partition(":")[0]) > 0, "nothing runs as root"
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), f"{port} would be open to the network"


@pytest.mark.parametrize("name", SERVICES)
def test_everything_that_is_mounted_exists(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = volume.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
            assert mode == ["ro"], f"{source} needs not be writable"
        else:
            assert source in COMPOSE["volumes"]


def test_the_image_is_built_from_this_repository() -> None:
    assert (DEPLOY / SERVICES["redis-pulse"]["build"]).resolve() == ROOT


def test_what_services_depend_on_is_there() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert "depends_on" not in SERVICES["redis-pulse"], "it starts without its targets and finds them by itself"


def test_no_secret_is_written_down() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"://[^/\s]*:[^/\s]*@", text), f"{path}: a URL with a password"
            for line in text.splitlines():
                found = re.search(
                    r"(?i)(?:^[\s#-]*|[{,]\s*)(?!existing)[\w-]*(?:password|secret|token)\s*[=:]\s*(\S+)", line
                )
                assert not found or found[1].startswith(HARMLESS), f"{path}: {line}"


def test_the_example_configuration_is_good() -> None:
    loaded = config.load(argparse.Namespace(config=str(DEPLOY / "redis-pulse.yaml")), {}, DEPLOY)
    assert [target.name for target in loaded.targets] == ["local"]
    assert loaded.warnings == ()


def test_nobody_becomes_administrator_of_grafana() -> None:
    settings = SERVICES["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert settings["GF_AUTH_BASIC_ENABLED"] == "false"


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    source, alerts = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert alerts["url"] == "http://alertmanager:9093"
    assert source["type"] == "prometheus"
    assert source["isDefault"], "the variable `datasource` begins with it"
    assert source["url"] == "http://prometheus:9090"
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]

    [provider] = yaml.safe_load((provisioning / "dashboards" / "redis-pulse.yaml").read_text())["providers"]
    mounted = dict(volume.split(":")[:2][::-1] for volume in SERVICES["grafana"]["volumes"])
    assert (DEPLOY / mounted[provider["options"]["path"]]).resolve() == DASHBOARDS
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (DASHBOARDS / home.name).exists()


def test_prometheus_scrapes_the_service_under_its_name() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped["scrape_configs"]}
    [address] = jobs["redis-pulse"]
    host, _, port = address.partition(":")
    assert host in SERVICES
    assert SERVICES[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    [told] = scraped["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert told in jobs["alertmanager"]
    assert SERVICES["alertmanager"]["ports"] == [f"127.0.0.1:{told.partition(':')[2]}:{told.partition(':')[2]}"]


def test_prometheus_accepts_its_configuration_with_the_rules() -> None:
    """The rules that are there are found, and what else lies in the folder is not taken for rules."""
    need("promtool", "prometheus")
    done = run("promtool", "check", "config", str(DEPLOY / "prometheus" / "prometheus.yaml"))
    found = set(re.findall(r"Checking \S+/(\w+\.yaml)", done.stdout))
    there = {name for name in ("recording.yaml", "alerts.yaml") if (DEPLOY / "prometheus" / name).exists()}
    assert found == {"prometheus.yaml", *there}


def test_alertmanager_accepts_its_configuration() -> None:
    need("amtool", "prometheus-alertmanager")
    service = SERVICES["alertmanager"]
    [option] = [word for word in service["command"] if word.startswith("--config.file=")]
    mounted = dict(volume.split(":")[:2][::-1] for volume in service["volumes"])
    path = Path(option.partition("=")[2])
    run("amtool", "check-config", str(DEPLOY / mounted[str(path.parent)] / path.name))


def test_docker_accepts_the_compose_file() -> None:
    done = run("docker-compose", "--file", str(DEPLOY / "compose.yaml"), "config", "--format", "json")
    resolved = json.loads(done.stdout)["services"]
    assert resolved.keys() == SERVICES.keys()
    assert resolved["redis-pulse"]["environment"]["REDIS_URL"] == "redis://redis:6379"
    binds = [
        volume for service in resolved.values() for volume in service.get("volumes", []) if volume["type"] == "bind"
    ]
    assert binds
    assert all(Path(volume["source"]).exists() and volume["read_only"] for volume in binds)


def test_what_the_collector_scrapes_prometheus_would_scrape(tmp_path: Path) -> None:
    """Its receiver takes a configuration of Prometheus; the rest of the file only names what it is handed to."""
    collector = yaml.safe_load((DEPLOY / "otel" / "collector.yaml").read_text(encoding="utf-8"))
    need("promtool", "prometheus")
    scraped = tmp_path / "prometheus.yaml"
    scraped.write_text(yaml.safe_dump(collector["receivers"]["prometheus"]["config"]))
    run("promtool", "check", "config", str(scraped))
    [pipeline] = collector["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == collector[kind].keys(), "what is declared is used, and what is used is declared"


def test_alloy_hands_on_what_it_scrapes_to_what_is_there() -> None:
    """No package has Alloy, so only its references and brackets are looked at, of both variants."""
    text = (DEPLOY / "alloy" / "config.alloy").read_text(encoding="utf-8")
    plain = re.sub(r"(?m)^\s*//.*$", "", text)
    other = "\n".join(
        line.removeprefix("// ").removeprefix("//") for line in text.splitlines() if "{" in line or "=" in line
    )
    for variant in (plain, other):
        made = {f"{kind}.{name}" for kind, name in re.findall(r'(?m)^\s*([\w.]+) "(\w+)" \{', variant)}
        used = set(re.findall(r"= \[?((?:prometheus|discovery)\.\w+\.\w+)\.(?:receiver|targets|output)", variant))
        assert made
        assert used <= made
    assert all(plain.count(pair[0]) == plain.count(pair[1]) for pair in ("{}", "[]", "()"))


def test_the_unit_is_hardened_and_reloads() -> None:
    unit = service_lines()
    assert unit["Type"] == ["notify"]
    assert unit["WatchdogSec"] == ["10"], "the loop beats every second; tests/integration/test_watchdog.py hangs one"
    assert unit["LimitCORE"] == ["0"], "the watchdog ends it with SIGABRT, and a dump would hold passwords"
    assert unit["Restart"] == ["on-failure"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert unit["DynamicUser"] == unit["NoNewPrivileges"] == unit["PrivateTmp"] == unit["ProtectHome"] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert "CPUQuota" not in unit, "a probe that waits for a CPU measures the wait"
    [credential] = unit["LoadCredential"]
    assert f"/run/credentials/{UNIT.name}/{credential.partition(':')[0]}" in UNIT.read_text(encoding="utf-8")


def test_systemd_accepts_the_unit_and_finds_it_little_exposed(tmp_path: Path) -> None:
    analyze = need("systemd-analyze", "systemd")
    # Where it is installed is not where it is tested; verify asks whether the command exists.
    program = shutil.which("true")
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={program}", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    copy = tmp_path / UNIT.name
    copy.write_text(text, encoding="utf-8")
    for command in (["verify"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run([analyze, *command, str(copy)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        if command == ["verify"]:
            assert not done.stderr, done.stderr
