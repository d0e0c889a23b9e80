"""Doctor follows the whole way: configuration, secrets, our host, daemon, Prometheus, Alertmanager."""

import json
import os
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.doctor.command import Run, doctor
from tests.integration.alertmanager import Alertmanager
from tests.integration.daemon import ROOT, Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer, free_port

pytestmark = pytest.mark.slow

StartServer = Callable[..., RealServer]
RULES = (ROOT / "deploy" / "prometheus" / "recording.yaml", ROOT / "deploy" / "prometheus" / "alerts.yaml")


def write_config(folder: Path, **settings: Any) -> str:
    file = folder / "redis-pulse.yaml"
    file.write_text(yaml.safe_dump(settings))
    return str(file)


async def test_typo_in_the_configuration_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "redis-pulse.yaml"
    file.write_text("targets:\n  - url: redis://127.0.0.1:6379\n    passwrd_file: x\n")
    run = await doctor("--json", "--config", str(file))
    assert (run.codes(), run.exit_code) == (["RP101"], 2)
    assert f"{file}:3" in run.finding("RP101")["why"]
    assert "did you mean password_file" in run.finding("RP101")["why"]


async def test_missing_configuration_is_named(tmp_path: Path) -> None:
    run = await doctor("--json", "--config", str(tmp_path / "nothere.yaml"))
    assert (run.codes(), run.exit_code) == (["RP101"], 2)


async def test_missing_secret_is_named_and_other_targets_are_examined(
    start_server: StartServer, tmp_path: Path
) -> None:
    targets = [
        {"name": "a", "url": start_server("redis").url, "password_file": str(tmp_path / "gone")},
        {"name": "b", "url": start_server("redis").url},
    ]
    run = await doctor("--json", "--config", write_config(tmp_path, targets=targets, listen=f"127.0.0.1:{free_port()}"))
    assert run.exit_code == 2
    assert run.codes()[0] == "RP103"
    assert "gone" in run.finding("RP103")["command"]
    (healthy,) = [one for one in run.document["subjects"] if one["name"] == "b"]
    assert "cost" in healthy["checks_done"]


async def test_secret_of_another_user_is_named(start_server: StartServer, tmp_path: Path) -> None:
    """As root every file can be read. So the process runs as another user, if it can."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a process as another user")
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o000)
    file = write_config(tmp_path, targets=[{"name": "a", "url": "redis://127.0.0.1:1", "password_file": str(secret)}])
    drop = ("setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search")
    run = await doctor("--json", "--config", file, prefix=drop)
    assert run.exit_code == 2
    assert "RP103" in run.codes()


async def test_few_descriptors_are_named(tmp_path: Path) -> None:
    targets = [{"name": f"t{number}", "url": f"redis://127.0.0.1:{number + 1}"} for number in range(50)]
    file = write_config(tmp_path, targets=targets, listen=f"127.0.0.1:{free_port()}")
    run = await doctor("--json", "--config", file, prefix=("prlimit", "--nofile=128:128"))
    assert run.exit_code == 2
    assert "RP702" in run.codes()
    assert "256" in run.finding("RP702")["command"]


async def test_source_that_does_not_answer_is_named(tmp_path: Path) -> None:
    file = write_config(
        tmp_path,
        discovery={"http": [{"name": "inventory", "url": f"http://127.0.0.1:{free_port()}/targets"}]},
        listen=f"127.0.0.1:{free_port()}",
    )
    run = await doctor("--json", "--config", file)
    assert (run.codes(), run.exit_code) == (["RP801"], 2)


async def test_targets_of_a_source_are_examined(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("redis")
    listed = tmp_path / "targets.yaml"
    listed.write_text(yaml.safe_dump([{"targets": [server.url]}]))
    file = write_config(
        tmp_path,
        discovery={"files": [str(listed)]},
        listen=f"127.0.0.1:{free_port()}",
    )
    run = await doctor("--json", "--config", file)
    assert (run.codes(), run.exit_code) == ([], 0)
    assert any(one["address"] == server.address for one in run.document["subjects"])
    assert {"RP803", "RP706"} <= set(run.codes("note"))


async def test_running_daemon_is_found(start_server: StartServer, start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(config={"targets": [{"name": "it", "url": start_server("redis").url}]})
    config = yaml.safe_load(daemon.file.read_text())
    file = write_config(daemon.folder / "..", **{**config, "listen": f"127.0.0.1:{daemon.port}"})
    run = await doctor("--json", "--config", file)
    assert (run.codes(), run.exit_code) == ([], 0)
    assert "RP707" in run.codes("note")


async def test_unreachable_prometheus_and_alertmanager_are_named(start_server: StartServer) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    run = await doctor("--json", start_server("redis").url, "--prometheus", nowhere, "--alertmanager", nowhere)
    assert (run.codes(), run.exit_code) == (["RP901", "RP911"], 2)


async def whole_way(start: Callable[..., Daemon], server: RealServer, prometheus: Prometheus, *words: str) -> Run:
    file = write_config(
        prometheus.folder,
        targets=[{"name": "cart", "url": server.url}],
        listen=f"127.0.0.1:{free_port()}",
    )
    return await doctor("--json", "--config", file, "--prometheus", prometheus.url, *words)


async def test_daemon_that_is_not_scraped_and_missing_rules_are_named(
    start_server: StartServer, start_daemon: Callable[..., Daemon], tmp_path: Path, stack: ExitStack
) -> None:
    prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", []))
    run = await whole_way(start_daemon, start_server("redis"), prometheus)
    assert (run.codes(), run.exit_code) == (["RP902", "RP906"], 2)


async def test_failing_scrape_is_named(
    start_server: StartServer, start_daemon: Callable[..., Daemon], tmp_path: Path, stack: ExitStack
) -> None:
    prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", free_port(), *RULES))
    eventually(lambda: "down" in str(prometheus.get("targets")), "the scrape has failed", 60)
    run = await whole_way(start_daemon, start_server("redis"), prometheus)
    assert (run.codes(), run.exit_code) == (["RP903"], 2)


async def test_whole_way_is_healthy_and_the_test_alert_arrives(
    start_server: StartServer, start_daemon: Callable[..., Daemon], tmp_path: Path, stack: ExitStack
) -> None:
    server = start_server("redis")
    daemon = start_daemon(config={"targets": [{"name": "cart", "url": server.url}]})
    alertmanager = stack.enter_context(Alertmanager(tmp_path / "alertmanager"))
    made = Prometheus(tmp_path / "prometheus", daemon.port, *RULES, alertmanager=alertmanager.port)
    prometheus = stack.enter_context(made)
    eventually(lambda: prometheus.query("redis_up"), "the daemon is scraped", 60)
    words = ("--alertmanager", alertmanager.url, "--send-test-alert")
    run = await whole_way(start_daemon, server, prometheus, *words)
    assert set(run.codes()) == {"RP913"}  # the receivers of the example send nothing
    assert run.exit_code == 1
    assert "1 exporters with 1 targets" in run.finding("RP909")["why"]
    assert "RP914" in run.codes("note")
    with urllib.request.urlopen(f"{alertmanager.url}/api/v2/alerts", timeout=60) as response:
        (alert,) = json.load(response)
    assert alert["labels"] == {"alertname": "RedisPulseTest", "severity": "none"}


async def test_target_that_prometheus_lacks_is_named(
    start_server: StartServer, start_daemon: Callable[..., Daemon], tmp_path: Path, stack: ExitStack
) -> None:
    server = start_server("redis")
    daemon = start_daemon(config={"targets": [{"name": "other", "url": server.url}]})
    prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", daemon.port, *RULES))
    eventually(lambda: prometheus.query("redis_up"), "the daemon is scraped", 60)
    run = await whole_way(start_daemon, server, prometheus)
    assert (run.codes(), run.exit_code) == (["RP905"], 2)
