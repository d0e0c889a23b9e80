"""The log and the pages name an error and a hint: for TLS, for passwords, and for permissions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.servers import RealServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]

PASSWORD = "correct-horse-battery"


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return certificate, key and CA of a server at 127.0.0.1."""
    ca = trustme.CA()
    paths = (tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "ca.pem")
    issued = ca.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    ca.cert_pem.write_to_path(paths[2])
    return paths


def texts(daemon: Daemon) -> list[str]:
    """Return what ``/health`` and ``/redis/ping`` show of the only target."""
    return [daemon.json("/health")["redis"]["status"], daemon.json("/redis/ping")["message"]]


def lines(daemon: Daemon, event: str) -> list[str]:
    """Return the lines of the log with that event."""
    field = f'event="{event}"' if " " in event else f"event={event} "
    return [line for line in daemon.log.splitlines() if field in line]


def assert_hint(daemon: Daemon, hint: str, advice: str) -> None:
    """Check that the log has the hint once, and JSON pages have it even with an open breaker. ``/`` has the advice."""
    daemon.wait_for(lambda page: page.breaker() != "closed" and page.operations() > 25)
    for text in texts(daemon):
        assert hint in text
        assert "circuit breaker is open" not in text
    assert advice in daemon.get("/")[2]
    (line,) = lines(daemon, "cannot connect")
    assert hint in line
    page = daemon.page()
    assert page.matching("redis_exporter_last_scrape_error")
    assert not any(dict(labels)["err"] == "rejected" for labels in page.matching("redis_exporter_last_scrape_error"))


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_plain_client_at_a_tls_port_gets_a_hint(
    start_server: Start, watch: Watch, certificates: Any, password: str | None
) -> None:
    server = start_server("redis", tls=certificates)
    more = {} if password is None else {"password": password}
    assert_hint(
        watch(server, url=f"redis://{server.address}", **more), "does this port want TLS? try rediss://", "rediss://"
    )


def test_tls_client_at_a_plain_port_gets_a_hint(start_server: Start, watch: Watch) -> None:
    server = start_server()
    assert_hint(watch(server, url=f"rediss://{server.address}"), "is this port without TLS? try redis://", "redis://")


def test_required_client_certificate_is_named(start_server: Start, start_daemon: Any, certificates: Any) -> None:
    server = start_server("redis", tls=certificates, tls_auth_clients="yes")
    target = {"name": "it", "url": server.url, "tls": {"ca_file": str(certificates[2])}}
    assert_hint(
        start_daemon(config={"targets": [target]}),
        "the server wants a client certificate: set tls.cert_file",
        "tls.cert_file",
    )


def test_wrong_password_is_one_line_with_the_error_code(start_server: Start, watch: Watch) -> None:
    server = start_server(requirepass="another-password")
    daemon = watch(server, password=PASSWORD)
    daemon.wait_for(lambda page: page.has_failed("info", "auth", 4))
    warnings = [line for line in daemon.log.splitlines() if "level=warning" in line and "running as root" not in line]
    assert len(warnings) == 1, warnings
    assert "reason=auth" in warnings[0]
    assert "WRONGPASS" in warnings[0]
    assert "another-password" not in daemon.log


def test_missing_password_is_one_line_with_the_error_code(start_server: Start, watch: Watch) -> None:
    daemon = watch(start_server(requirepass=PASSWORD))
    daemon.wait_for(lambda page: page.has_failed("info", "auth", 4))
    warnings = [line for line in daemon.log.splitlines() if "level=warning" in line and "running as root" not in line]
    assert len(warnings) == 1, warnings
    assert "NOAUTH" in warnings[0]


def test_user_without_info_degrades_health_and_names_the_collector(server: RealServer, watch: Watch) -> None:
    server.run("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+@connection")
    daemon = watch(server, username="exporter", password=PASSWORD)
    daemon.wait_for(lambda page: page.up() == 1 and page.value("redis_collector_denied", collector="info") == 1)
    health = daemon.json("/health")
    assert health["status"] == "degraded"
    failing = health["targets"]["it"]["failing"]["info"]
    assert (failing["reason"], failing["user"], failing["commands"]) == ("permission", "exporter", ["info"])
    assert "ACL SETUSER exporter +info" in daemon.get("/")[2]


def test_user_without_client_list_sees_the_permission_to_grant(server: RealServer, watch: Watch) -> None:
    server.run("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+@all", "-client|list", "~*")
    daemon = watch(server, username="exporter", password=PASSWORD)
    page = daemon.wait_for(
        lambda page: page.value("redis_collector_denied", collector="clients") == 1 and "not permitted" in daemon.log
    )
    assert page.value("redis_collector_success", collector="clients") == 0
    assert page.value("redis_collector_supported", collector="clients") is None
    failing = daemon.json("/health")["targets"]["it"]["failing"]
    assert failing["clients"]["commands"] == ["client|list"]
    (line,) = lines(daemon, "not permitted")
    assert "user=exporter missing=+client|list collector=clients" in line
    assert not lines(daemon, "not supported by this server")
    assert json.dumps(failing).count("exporter") >= 1


def test_failing_script_shows_its_reason_and_others_their_metrics(
    server: RealServer, watch: Watch, tmp_path: Path
) -> None:
    failing, good, odd = (tmp_path / name for name in ("failing.lua", "good.lua", "odd.lua"))
    failing.write_text("return foo()")
    good.write_text("return {'mail:open', '4'}")
    odd.write_text("return {'a', 'many'}")
    own = {"file": str(good), "metric": "shop_orders", "help": "Orders of the shop", "labels": ["queue", "state"]}
    daemon = watch(server, collectors={"info": {}, "scripts": {"files": [str(failing), own, str(odd)]}})
    page = daemon.wait_for(lambda page: page.value("shop_orders", queue="mail", state="open") == 4)
    assert "# HELP shop_orders Orders of the shop.\n# TYPE shop_orders gauge\n" in page.text
    for file, result, reason in ((failing, 0, "other"), (odd, 0, "protocol"), (good, 1, None)):
        assert page.value("redis_script_result", filename=str(file)) == result
        if reason:
            assert page.value("redis_script_error", filename=str(file), reason=reason) == 1
    daemon.wait_for(lambda page: page.operations("info") >= 4)
    logged = lines(daemon, "part of a collector fails")
    assert len(logged) == 2, logged
    assert "nonexistent global variable 'foo'" in logged[0]
    assert "some values cannot be used" in logged[1]


def test_renamed_config_command_works_and_its_name_stays_secret(
    software: str, start_server: Start, start_daemon: Any, tmp_path: Path
) -> None:
    renamed = tmp_path / "renamed.conf"
    renamed.write_text("rename-command CONFIG b840fc02d5\n")
    server = start_server(software, include=str(renamed))
    target = {"name": "it", "url": server.url, "commands": {"config": "b840fc02d5"}}
    wrong = {"name": "wrong", "url": f"{server.url}/1", "commands": {"config": "c840fc02d5"}}
    daemon = start_daemon(config={"targets": [target, wrong]})
    daemon.wait_for(lambda page: page.value("redis_config_maxclients", target="it"))
    of_wrong = {"target": "wrong", "collector": "config"}
    page = daemon.wait_for(lambda page: page.value("redis_collector_supported", **of_wrong) == 0)
    assert page.value("redis_collector_success", target="it", collector="config") == 1
    for text in (page.text, daemon.log, daemon.get("/health")[2], daemon.get("/")[2]):
        assert "840fc02d5" not in text


def test_connections_of_the_exporter_have_a_name(server: RealServer, watch: Watch) -> None:
    daemon = watch(server)

    def own_clients(page: Page) -> float:
        clients = page.matching("redis_clients").items()
        return sum(value for labels, value in clients if dict(labels)["name"] == "redis-pulse")

    daemon.wait_for(lambda page: own_clients(page) >= 2)
    names = {client["name"] for client in server.admin.client_list() if client["cmd"].startswith(("ping", "info"))}
    assert names == {"redis-pulse"}, server.admin.client_list()


def test_stall_without_a_lost_connection_is_logged_with_its_length(server: RealServer, watch: Watch) -> None:
    daemon = watch(server)
    first = daemon.wait_until_up()
    server.freeze()
    daemon.wait_for(lambda page: page.operations() > first.operations() + 20)
    server.thaw()
    daemon.wait_until_up()
    daemon.wait_for(lambda page: page.up() == 1 and "answering again" in daemon.log)
    target_lines = [line for line in daemon.log.splitlines() if "logger=exporter.target" in line]
    events = [line.partition("event=")[2].partition(" target=")[0] for line in target_lines]
    events = [event for event in events if event != "stall"]  # it has a line of its own, when its cause is known
    assert events == ["connected", '"not answering"', '"answering again"'], target_lines
    assert "seconds=" in target_lines[-1]


def test_server_that_dies_and_returns_is_one_line_for_each(server: RealServer, watch: Watch) -> None:
    daemon = watch(server)
    daemon.wait_until_up()
    server.kill()
    daemon.wait_for(lambda page: page.breaker() != "closed")
    server.start()
    daemon.wait_until_up()
    target_lines = [line for line in daemon.log.splitlines() if "logger=exporter.target" in line]
    events = [line.partition("event=")[2].partition(" target=")[0] for line in target_lines]
    events = [event for event in events if event != "stall"]  # it has a line of its own, when its cause is known
    assert events[0] == events[-1] == "connected"
    assert events[1] == "lost"
    assert len(events) <= 1 + 2 + 2, target_lines
