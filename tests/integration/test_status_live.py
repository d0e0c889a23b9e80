"""The page of a real daemon says what is wrong, why, and what to do. It never shows a secret."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.prometheus import eventually
from tests.integration.servers import RealServer, free_port

pytestmark = pytest.mark.integration

SECRET = "hunter2-secret"


def target(daemon: Daemon, name: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.json(f"/api/v1/status?target={name}")["target"]
    return found


def test_wrong_password_refused_port_and_denied_command_have_their_cure(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon]
) -> None:
    (server, other), port = (start_server("valkey"), start_server("valkey")), free_port()
    server.run("ACL", "SETUSER", "exporter", "on", f">{SECRET}", "~*", "+@all", "-client|list")
    other.run("ACL", "SETUSER", "exporter", "on", f">{SECRET}", "~*", "+@all")
    daemon = start_daemon(
        config={
            "targets": [
                {"name": "limited/one", "url": server.url, "username": "exporter", "password": SECRET},
                {"name": "wrong", "url": other.url, "username": "exporter", "password": f"{SECRET}-of-yesterday"},
                {"name": "refused", "url": f"redis://127.0.0.1:{port}"},
            ]
        }
    )
    eventually(lambda: target(daemon, "limited/one")["state"] == "limited", "a denied command limits a target")
    for name in ("wrong", "refused"):
        eventually(lambda name=name: target(daemon, name)["state"] == "down", f"{name} is down")  # type: ignore[misc]
    assert target(daemon, "wrong")["advice"]["command"].endswith("ACL GETUSER exporter")
    assert f"port {port}" in target(daemon, "refused")["advice"]["why"]
    assert target(daemon, "limited/one")["advice"]["command"].endswith("ACL SETUSER exporter '+client|list'")
    overview, page = daemon.get("/")[2], daemon.get("/?target=limited/one")[2]
    assert "2 of 3 targets are down" in overview
    assert "is seen in part" in page
    config = daemon.get("/config")[2]
    assert "targets[0].password: ***" in config
    assert all(SECRET not in text for text in (overview, page, config, daemon.get("/api/v1/status")[2]))


def test_stall_of_a_real_server_is_on_its_page_and_then_it_is_well_again(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon]
) -> None:
    server = start_server("valkey")
    daemon = start_daemon(config={"targets": [{"name": "cart", "url": f"redis://127.0.0.1:{server.port}"}]})
    eventually(lambda: target(daemon, "cart")["state"] == "ok", "the target is well")
    server.freeze()
    eventually(lambda: target(daemon, "cart")["state"] == "stalled", "the stopped process is a stall")
    assert target(daemon, "cart")["code"] == "RP520"
    assert '<h1><span class="st stalled">' in daemon.get("/?target=cart")[2]
    server.thaw()
    eventually(lambda: target(daemon, "cart")["state"] in ("recovered", "slow", "unsteady"), "it answers again")
    eventually(lambda: bool(target(daemon, "cart")["stall_records"]), "the stall is recorded")
    states = {event["state"] for event in target(daemon, "cart")["events"]}
    assert "stalled" in states


def test_refused_reload_is_on_the_page(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon]
) -> None:
    server = start_server("valkey")
    daemon = start_daemon(config={"targets": [{"name": "cart", "url": f"redis://127.0.0.1:{server.port}"}]})
    eventually(lambda: "event=listening" in daemon.log, "it listens")
    assert f"page=http://127.0.0.1:{daemon.port}/" in daemon.log
    daemon.configure("targets: [{url: redis://127.0.0.1:1, passwrd: x}]\n")
    assert daemon.get("/-/reload", "POST")[0] == 400
    page = daemon.get("/")[2]
    assert "is not a setting (did you mean password?)" in page
    assert "a reload was refused" in page
