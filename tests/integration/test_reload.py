"""SIGHUP and POST /-/reload read the configuration again. It is applied completely or not at all."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.pages import Page, assert_no_new_failures
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

Start = Callable[..., RealServer]


@pytest.fixture(params=["SIGHUP", "POST /-/reload"])
def reload(request: pytest.FixtureRequest) -> Callable[[Daemon], None]:
    """Return a function that requests a reload, in both ways."""
    if request.param == "SIGHUP":
        return Daemon.reload

    def post(daemon: Daemon) -> None:
        daemon.get("/-/reload", method="POST")

    return post


def target(name: str, server: RealServer, **more: Any) -> dict[str, Any]:
    return {"name": name, "url": server.url, **more}


def names(page: Any) -> set[str]:
    return {dict(labels)["target"] for labels in page.matching("redis_up")}


def test_targets_are_added_removed_and_changed_without_a_restart(
    start_server: Start, start_daemon: Any, reload: Callable[[Daemon], None]
) -> None:
    one, two, three, four = start_server(), start_server(), start_server(), start_server()
    daemon = start_daemon(config={"targets": [target("kept", one), target("removed", two), target("moved", three)]})
    for name in ("kept", "removed", "moved"):
        first = daemon.wait_until_up(name)
    daemon.configure({"targets": [target("kept", one), target("added", two), target("moved", four)]})
    three.kill()
    reload(daemon)
    daemon.wait_for(lambda page: names(page) == {"kept", "added", "moved"})
    for name in ("kept", "added", "moved"):
        last = daemon.wait_until_up(name)
    assert last.value("redis_exporter_config_last_reload_successful") == 1
    # A page that was built across the change may still contain samples of the removed target.
    daemon.wait_for(lambda page: 'target="removed"' not in page.text)
    daemon.assert_every_ping_counted(first, "kept")
    assert last.value("redis_target_info", target="moved", address=four.address) == 1
    two.kill()
    daemon.wait_for(lambda page: page.up("added") == 0 and page.up("moved") == 1)


def test_unchanged_target_keeps_its_connections_and_counts(start_server: Start, start_daemon: Any) -> None:
    server, other = start_server(), start_server()
    daemon = start_daemon(config={"targets": [target("kept", server)]})
    daemon.wait_until_up()
    first = daemon.wait_for(lambda page: page.value("redis_uptime_in_seconds") is not None)
    before = server.run("INFO", "stats")["total_connections_received"]
    daemon.configure({"targets": [target("kept", server), target("added", other)]})
    daemon.reload()
    daemon.wait_until_up("added")
    last = daemon.assert_every_ping_counted(first, "kept")
    after = server.run("INFO", "stats")["total_connections_received"]
    assert after == before or has_failures(last, "kept"), "only failures, on a busy machine, replace a connection"


def has_failures(page: Page, name: str) -> bool:
    """Return whether anything failed. Only pings have series of failures that never occurred."""
    failures = page.matching("redis_operation_failures_total", target=name)
    return any(value or dict(labels)["operation"] != "ping" for labels, value in failures.items())


@pytest.mark.parametrize(
    "broken",
    [
        "targets: [",
        "targets:\n  - {name: it, url: 'redis://127.0.0.1:6379', passwrd: hunter2}\n",
        "probe: {interval: soon}\n",
        None,
    ],
    ids=["not YAML", "unknown key", "bad value", "file missing"],
)
def test_broken_file_leaves_the_running_configuration_in_place(
    start_server: Start, start_daemon: Any, broken: str | None
) -> None:
    server = start_server()
    daemon = start_daemon(config={"targets": [target("it", server)]})
    first = daemon.wait_until_up()
    assert first.value("redis_exporter_config_last_reload_successful") == 1
    if broken is None:
        daemon.file.unlink()
    else:
        daemon.configure(broken)
    daemon.reload()
    after = daemon.wait_for(lambda page: page.value("redis_exporter_config_last_reload_successful") == 0)
    status, _, text = daemon.get("/-/reload", method="POST")
    assert status >= 400
    assert daemon.file.name in text
    later = daemon.wait_for(lambda page: page.operations() > after.operations() + 5)
    assert later.up() == 1
    assert_no_new_failures(later, first)
    daemon.assert_every_ping_counted(first)
    assert "hunter2" not in daemon.log + text
    daemon.configure({"targets": [target("it", server)]})
    daemon.reload()
    daemon.wait_for(lambda page: page.value("redis_exporter_config_last_reload_successful") == 1)
