"""A server that hangs while its target moves or goes costs that target only, and every slot has its outcome.

A TLS server that is stopped (SIGSTOP) never says goodbye: who waits for that waits in vain.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.daemon import Daemon
from tests.integration.pages import Page, assert_slots_follow_the_clock, open_slots
from tests.integration.sentinels import Sentinel, SentinelSet
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
Files = tuple[Path, Path, Path]


@pytest.fixture
def tls(tmp_path: Path) -> Files:
    """Certificate, key and authority for 127.0.0.1."""
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    files = tmp_path / "certificate.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    issued.cert_chain_pems[0].write_to_path(files[0])
    issued.private_key_pem.write_to_path(files[1])
    ca.cert_pem.write_to_path(files[2])
    return files


def target(name: str, server: RealServer, db: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "url": f"{server.url}/{db}"}
    if server.tls:
        found["tls"] = {"ca_file": str(server.tls[2])}
    return found


def names(page: Page) -> set[str]:
    return {dict(labels)["target"] for labels in page.matching("redis_up")}


def address(page: Page, name: str) -> str:
    (labels,) = page.matching("redis_target_info", target=name)
    return dict(labels)["address"]


def unaccounted(page: Page, name: str) -> float:
    """Slots that were scheduled, have no outcome, and are not in flight."""
    return open_slots(page, name) - page.sum("redis_operations_in_flight", target=name, operation="ping")


@pytest.mark.parametrize("polled", [True, False], ids=["a poll waits", "a connection is idle"])
def test_a_hung_tls_server_that_is_removed_or_moved_harms_no_other_target(
    start_server: Start, start_daemon: Start, tls: Files, polled: bool
) -> None:
    hung, plain, other = start_server("redis", tls=tls), start_server("redis"), start_server("redis")
    poll = {"interval": "1s" if polled else "60s", "timeout": "1s" if polled else "5s", "max_age": "3m"}
    config = {"poll": poll}
    before = [target("goes", hung), target("moves", hung, 1), target("changes", plain)]
    daemon = start_daemon(config={**config, "targets": before})
    for name in ("goes", "moves", "changes"):
        daemon.wait_until_up(name)
    daemon.wait_for(lambda page: page.value("redis_sample_age_seconds", target="moves", collector="info") is not None)
    hung.freeze()
    time.sleep(1.5 if polled else 0.3)
    first = daemon.page()
    after = [target("moves", other), target("changes", other, 1), target("new", other, 2)]
    daemon.configure({**config, "targets": after})
    daemon.reload()
    page = daemon.wait_for(lambda page: names(page) == {"moves", "changes", "new"})
    for name in ("moves", "changes", "new"):
        page = daemon.wait_for(lambda page, name=name: page.up(name) == 1)
    assert 'target="goes"' not in page.text
    assert {name: address(page, name) for name in names(page)} == dict.fromkeys(names(page), other.address)
    time.sleep(1)
    for name in ("moves", "changes"):
        last = daemon.wait_for(lambda page, name=name: unaccounted(page, name) == 0)
        assert_slots_follow_the_clock(first, last, name)
    assert last.value("redis_exporter_accounting_errors_total") == 0
    assert daemon.get("/-/ready")[0] == 200
    assert "pending" not in daemon.json("/health")
    hung.thaw()


def test_sigterm_while_a_tls_server_hangs_ends_well(start_server: Start, start_daemon: Start, tls: Files) -> None:
    hung = start_server("redis", tls=tls)
    daemon = start_daemon(config={"targets": [target("it", hung)], "poll": {"interval": "60s", "timeout": "5s"}})
    daemon.wait_until_up("it")
    daemon.wait_for(lambda page: page.value("redis_sample_age_seconds", target="it", collector="info") is not None)
    hung.freeze()
    time.sleep(1)
    daemon.stop()
    assert "event=stopped" in daemon.log


def test_a_server_that_hung_at_a_move_shows_its_failures(start_server: Start, start_daemon: Start) -> None:
    """A timeout of five seconds, a stall of two, and a move in its midst: five slots, and each is a timeout."""
    old, new = start_server("redis"), start_server("redis")
    config: dict[str, Any] = {"probe": {"interval": "200ms", "timeout": "3s"}, "poll": {"interval": "60s"}}
    daemon = start_daemon(config={**config, "targets": [target("it", old)]})
    daemon.wait_until_up("it")
    old.freeze()
    first = daemon.page()
    daemon.wait_for(lambda page: page.sum("redis_operations_in_flight", target="it") >= 5)
    daemon.configure({**config, "targets": [target("it", new)]})
    daemon.reload()
    page = daemon.wait_for(lambda page: address(page, "it") == new.address and page.up("it") == 1)
    waiting = page.sum("redis_operations_in_flight", target="it", operation="ping")
    assert waiting >= 5
    assert page.reasons("ping", "it").get("timeout", 0) == 0
    last = daemon.wait_for(lambda page: page.reasons("ping", "it").get("timeout", 0) >= 5)
    daemon.wait_for(
        lambda page: unaccounted(page, "it") == 0 and page.reasons("ping", "it") == last.reasons("ping", "it")
    )
    assert last.up("it") == 1
    assert last.slots("ping", "it") > first.slots("ping", "it")
    old.thaw()


def test_twelve_moves_keep_the_grid(start_server: Start, start_daemon: Start) -> None:
    """Pings follow the clock over any number of moves: no slot more, no slot less."""
    servers = start_server("redis"), start_server("redis")
    config: dict[str, Any] = {"probe": {"interval": "400ms", "timeout": "4s"}}
    daemon = start_daemon(config={**config, "targets": [target("it", servers[0])]})
    first = daemon.wait_until_up("it")
    for number in range(1, 13):
        server = servers[number % 2]
        daemon.configure({**config, "targets": [target("it", server)]})
        daemon.reload()
        moved = daemon.wait_for(lambda page, server=server: address(page, "it") == server.address)
        slots = moved.slots("ping", "it")
        last = daemon.wait_for(lambda page, slots=slots: page.up("it") == 1 and page.slots("ping", "it") > slots)
    grown = last.slots("ping", "it") - first.slots("ping", "it")
    assert (last.asked - first.answered) / 0.4 - 1 <= grown <= (last.answered - first.asked) / 0.4 + 1
    assert daemon.wait_for(lambda page: unaccounted(page, "it") == 0).reasons("ping", "it") == {}
    assert last.value("redis_exporter_accounting_errors_total") == 0


def places(page: Page) -> dict[str, str]:
    rows = [dict(labels) for labels in page.matching("redis_target_info", sentinel="queue")]
    return {row["target"]: row["address"] for row in rows}


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_the_old_master_is_down_after_a_failover_for_as_long_as_it_is(
    stack: ExitStack, start_daemon: Start, tmp_path: Path, how: str
) -> None:
    """Who alerts on ``redis_up == 0`` must see the replica that was lost."""
    whole = stack.enter_context(SentinelSet(tmp_path / "set", "redis"))
    entry = {"name": "queue", "sentinel": {"hosts": whole.hosts, "master": "cart"}}
    daemon: Daemon = start_daemon(config={"targets": [entry], "probe": {"interval": "200ms", "timeout": "3s"}})
    all_names = [f"queue/{name}" for name in ("master", "replica-1", "replica-2")]
    before = daemon.wait_for(lambda page: all(page.up(name) == 1 for name in all_names), 30)
    old = whole.server_at(places(before)["queue/master"])
    old.kill() if how == "kill" else old.freeze()
    page = daemon.wait_for(
        lambda page: places(page)["queue/master"] != old.address and page.up("queue/master") == 1, 30
    )
    (lost,) = [name for name, place in places(page).items() if place == old.address]
    page = daemon.wait_for(lambda page: page.up(lost) == 0)
    for _ in range(10):
        time.sleep(0.1)
        page = daemon.page()
        assert page.up(lost) == 0
        assert page.up("queue/master") == 1
    failures = page.sum("redis_operation_failures_total", target="queue/master", operation="ping")
    if how == "freeze":  # it hung for a second at least before the failover, and a ping may take three
        failures = daemon.wait_for(lambda page: page.reasons("ping", "queue/master").get("timeout", 0) >= 4).sum(
            "redis_operation_failures_total", target="queue/master", operation="ping"
        )
    assert failures >= 3
    for name in all_names:
        daemon.wait_for(lambda page, name=name: unaccounted(page, name) == 0)  # type: ignore[misc]
    old.start() if how == "kill" else old.thaw()
    daemon.wait_for(lambda page: all(page.up(name) == 1 for name in all_names), 30)


def test_a_failover_over_tls_is_followed_although_the_old_master_hangs(
    stack: ExitStack, start_daemon: Start, tmp_path: Path, tls: Files
) -> None:
    """Nobody waits for its goodbye: master and replica have slots all the time."""
    certificate, key, ca = map(str, tls)
    master = stack.enter_context(RealServer(tmp_path / "server0", "redis", tls=tls, tls_replication="yes"))
    place = f"127.0.0.1 {master.port}"
    replica = stack.enter_context(
        RealServer(tmp_path / "server1", "redis", tls=tls, replicaof=place, tls_replication="yes")
    )
    lines = ["tls-port {port}", f"tls-cert-file {certificate}", f"tls-key-file {key}", f"tls-ca-cert-file {ca}"]
    lines += ["tls-auth-clients no", "tls-replication yes"]
    sentinels = [
        Sentinel(tmp_path / f"sentinel{n}", "redis", {"cart": master.port}, lines, plain=False) for n in range(2)
    ]
    for one in sentinels:
        stack.callback(one.kill)
        one.start()
    trust = {"ca_file": str(ca)}
    hosts = [f"rediss://{one.address}" for one in sentinels]
    entry = {
        "name": "queue",
        "tls": trust,
        "sentinel": {"hosts": hosts, "master": "cart", "scheme": "rediss", "tls": trust},
    }
    daemon: Daemon = start_daemon(config={"targets": [entry], "poll": {"interval": "60s", "timeout": "5s"}})
    both = ("queue/master", "queue/replica-1")
    quorum = "redis_sentinel_quorum_ok"
    daemon.wait_for(lambda page: all(page.up(name) == 1 for name in both) and page.value(quorum) == 1, 30)
    daemon.wait_for(lambda page: len(page.matching("redis_sample_age_seconds", collector="info")) == 2)
    master.freeze()
    first = daemon.wait_for(lambda page: page.up("queue/master") == 0)
    page = daemon.wait_for(lambda page: places(page).get("queue/master") == replica.address, 30)
    page = daemon.wait_for(lambda page: page.up("queue/master") == 1 and page.up("queue/replica-1") == 0)
    assert places(page) == {"queue/master": replica.address, "queue/replica-1": master.address}
    time.sleep(1)
    for name in both:
        last = daemon.wait_for(lambda page, name=name: unaccounted(page, name) == 0)  # type: ignore[misc]
        assert_slots_follow_the_clock(first, last, name)
    assert "pending" not in daemon.json("/health")
    master.thaw()
    daemon.wait_for(lambda page: all(page.up(name) == 1 for name in both), 30)
