"""A changed configuration: read again on SIGHUP and on POST /-/reload, taken whole or not at all."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

Start = Callable[..., RealServer]


@pytest.fixture(params=["SIGHUP", "POST /-/reload"])
def reload(request: pytest.FixtureRequest) -> Callable[[Daemon], None]:
    """Either way to ask for it."""
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
    daemon = start_daemon(config={"targets": [target("stays", one), target("goes", two), target("moves", three)]})
    for name in ("stays", "goes", "moves"):
        first = daemon.wait_until_up(name)
    daemon.configure({"targets": [target("stays", one), target("comes", two), target("moves", four)]})
    three.kill()
    reload(daemon)
    daemon.wait_for(lambda page: names(page) == {"stays", "comes", "moves"})
    for name in ("stays", "comes", "moves"):
        last = daemon.wait_until_up(name)
    assert last.value("redis_exporter_config_last_reload_successful") == 1
    assert 'target="goes"' not in last.text, "nothing of a removed target stays on the page"
    daemon.assert_every_slot_counted(first, "stays")
    assert last.value("redis_target_info", target="moves", address=four.address) == 1
    two.kill()
    daemon.wait_for(lambda page: page.up("comes") == 0 and page.up("moves") == 1)


def test_a_target_that_did_not_change_keeps_its_connections_and_counts(start_server: Start, start_daemon: Any) -> None:
    server, other = start_server(), start_server()
    daemon = start_daemon(config={"targets": [target("stays", server)]})
    first = daemon.wait_until_up()
    before = server.run("INFO", "stats")["total_connections_received"]
    daemon.configure({"targets": [target("stays", server), target("comes", other)]})
    daemon.reload()
    daemon.wait_until_up("comes")
    daemon.assert_every_slot_counted(first, "stays")
    assert server.run("INFO", "stats")["total_connections_received"] == before


@pytest.mark.parametrize(
    "broken",
    [
        "targets: [",
        "targets:\n  - {name: it, url: 'redis://127.0.0.1:6379', passwrd: hunter2}\n",
        "probe: {interval: soon}\n",
        None,
    ],
    ids=["not YAML", "unknown key", "bad value", "file gone"],
)
def test_a_broken_file_leaves_the_running_configuration_in_place(
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
    later = daemon.wait_for(lambda page: page.slots() > after.slots() + 5)
    assert (later.up(), later.reasons()) == (1, first.reasons())
    daemon.assert_every_slot_counted(first)
    assert "hunter2" not in daemon.log + text
    daemon.configure({"targets": [target("it", server)]})
    daemon.reload()
    daemon.wait_for(lambda page: page.value("redis_exporter_config_last_reload_successful") == 1)
