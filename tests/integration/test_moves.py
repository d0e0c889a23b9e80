"""A server that hangs while its target moves or is removed affects no other target. Every ping gets its result.

A TLS server that is stopped (SIGSTOP) never closes its connection, so nothing may wait for that.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.daemon import Daemon
from tests.integration.pages import Page, pending_pings, wrong_number_of_pings
from tests.integration.sentinels import Sentinel, SentinelSet
from tests.integration.servers import RealServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

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
    settings: dict[str, Any] = {"name": name, "url": f"{server.url}/{db}"}
    if server.tls:
        settings["tls"] = {"ca_file": str(server.tls[2])}
    return settings


def names(page: Page) -> set[str]:
    return {dict(labels)["target"] for labels in page.matching("redis_up")}


def address(page: Page, name: str) -> str:
    (labels,) = page.matching("redis_target_info", target=name)
    return dict(labels)["address"]


def count_lost_pings(page: Page, name: str) -> float:
    """Return how many scheduled pings have no result and are not in flight."""
    return pending_pings(page, name) - page.sum("redis_operations_in_flight", target=name, operation="ping")


@pytest.mark.parametrize("is_polled", [True, False], ids=["a poll waits", "a connection is idle"])
def test_hung_tls_server_that_is_removed_or_moved_affects_no_other(
    start_server: Start, start_daemon: Start, tls: Files, is_polled: bool
) -> None:
    hung, plain, other = start_server("redis", tls=tls), start_server("redis"), start_server("redis")
    poll = {"interval": "1s" if is_polled else "60s", "timeout": "1s" if is_polled else "5s", "max_age": "3m"}
    config = {"poll": poll}
    before = [target("removed", hung), target("moved", hung, 1), target("changed", plain)]
    daemon = start_daemon(config={**config, "targets": before})
    for name in ("removed", "moved", "changed"):
        daemon.wait_until_up(name)
    daemon.wait_for(lambda page: page.value("redis_sample_age_seconds", target="moved", collector="info") is not None)
    hung.freeze()
    time.sleep(1.5 if is_polled else 0.3)
    first = daemon.page()
    after = [target("moved", other), target("changed", other, 1), target("new", other, 2)]
    daemon.configure({**config, "targets": after})
    daemon.reload()
    page = daemon.wait_for(lambda page: names(page) == {"moved", "changed", "new"})
    for name in ("moved", "changed", "new"):
        page = daemon.wait_for(lambda page, name=name: page.up(name) == 1)
    assert 'target="removed"' not in page.text
    assert {name: address(page, name) for name in names(page)} == dict.fromkeys(names(page), other.address)
    time.sleep(1)
    for name in ("moved", "changed"):
        last = daemon.wait_for(lambda page, name=name: count_lost_pings(page, name) == 0)
        assert not wrong_number_of_pings(first, last, name)
    assert last.value("redis_exporter_accounting_errors_total") == 0
    assert daemon.get("/-/ready")[0] == 200
    assert "pending" not in daemon.json("/health")
    hung.thaw()


def test_sigterm_while_a_tls_server_hangs_ends_in_order(start_server: Start, start_daemon: Start, tls: Files) -> None:
    hung = start_server("redis", tls=tls)
    daemon = start_daemon(config={"targets": [target("it", hung)], "poll": {"interval": "60s", "timeout": "5s"}})
    daemon.wait_until_up("it")
    daemon.wait_for(lambda page: page.value("redis_sample_age_seconds", target="it", collector="info") is not None)
    hung.freeze()
    time.sleep(1)
    daemon.stop()
    assert "event=stopped" in daemon.log


def test_server_that_hung_at_a_move_has_its_timeouts_counted(start_server: Start, start_daemon: Start) -> None:
    """A server hangs, then its target moves. Each ping in flight becomes a timeout at its own deadline."""
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
        lambda page: count_lost_pings(page, "it") == 0 and page.reasons("ping", "it") == last.reasons("ping", "it")
    )
    assert last.up("it") == 1
    assert last.operations("ping", "it") > first.operations("ping", "it")
    old.thaw()


def test_twelve_moves_lose_no_ping(start_server: Start, start_daemon: Start) -> None:
    """The number of pings follows the clock over any number of moves."""
    servers = start_server("redis"), start_server("redis")
    config: dict[str, Any] = {"probe": {"interval": "400ms", "timeout": "4s"}}
    daemon = start_daemon(config={**config, "targets": [target("it", servers[0])]})
    first = daemon.wait_until_up("it")
    for number in range(1, 13):
        server = servers[number % 2]
        daemon.configure({**config, "targets": [target("it", server)]})
        daemon.reload()
        moved = daemon.wait_for(lambda page, server=server: address(page, "it") == server.address)
        pings = moved.operations("ping", "it")
        last = daemon.wait_for(lambda page, pings=pings: page.up("it") == 1 and page.operations("ping", "it") > pings)
    added = last.operations("ping", "it") - first.operations("ping", "it")
    assert (
        (last.requested_at - first.received_at) / 0.4 - 1 <= added <= (last.received_at - first.requested_at) / 0.4 + 1
    )
    assert daemon.wait_for(lambda page: count_lost_pings(page, "it") == 0).reasons("ping", "it") == {}
    assert last.value("redis_exporter_accounting_errors_total") == 0


def addresses(page: Page) -> dict[str, str]:
    series = [dict(labels) for labels in page.matching("redis_target_info", sentinel="queue")]
    return {labels["target"]: labels["address"] for labels in series}


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_old_master_stays_down_after_a_failover_until_it_is_back(
    stack: ExitStack, start_daemon: Start, tmp_path: Path, fault: str
) -> None:
    """An alert on ``redis_up == 0`` must fire for the lost replica."""
    sentinel_set = stack.enter_context(SentinelSet(tmp_path / "set", "redis"))
    entry = {"name": "queue", "sentinel": {"hosts": sentinel_set.hosts, "master": "cart"}}
    daemon: Daemon = start_daemon(config={"targets": [entry], "probe": {"interval": "200ms", "timeout": "3s"}})
    all_names = [f"queue/{name}" for name in ("master", "replica-1", "replica-2")]
    before = daemon.wait_for(lambda page: all(page.up(name) == 1 for name in all_names), 30)
    old = sentinel_set.server_at(addresses(before)["queue/master"])
    old.kill() if fault == "kill" else old.freeze()
    page = daemon.wait_for(
        lambda page: addresses(page)["queue/master"] != old.address and page.up("queue/master") == 1, 30
    )
    (lost,) = [name for name, address in addresses(page).items() if address == old.address]
    page = daemon.wait_for(lambda page: page.up(lost) == 0)
    for _ in range(10):
        time.sleep(0.1)
        page = daemon.page()
        assert page.up(lost) == 0
        assert page.up("queue/master") == 1
    failures = page.sum("redis_operation_failures_total", target="queue/master", operation="ping")
    if fault == "freeze":  # it hung for a second or more before the failover, and pings time out after three
        failures = daemon.wait_for(lambda page: page.reasons("ping", "queue/master").get("timeout", 0) >= 4).sum(
            "redis_operation_failures_total", target="queue/master", operation="ping"
        )
    assert failures >= 3
    for name in all_names:
        daemon.wait_for(lambda page, name=name: count_lost_pings(page, name) == 0)  # type: ignore[misc]
    old.start() if fault == "kill" else old.thaw()
    daemon.wait_for(lambda page: all(page.up(name) == 1 for name in all_names), 30)


def test_failover_over_tls_is_followed_although_the_old_master_hangs(
    stack: ExitStack, start_daemon: Start, tmp_path: Path, tls: Files
) -> None:
    """Nothing waits for the old master. Master and replica are pinged all the time."""
    certificate, key, ca = map(str, tls)
    master = stack.enter_context(RealServer(tmp_path / "server0", "redis", tls=tls, tls_replication="yes"))
    primary = f"127.0.0.1 {master.port}"
    replica = stack.enter_context(
        RealServer(tmp_path / "server1", "redis", tls=tls, replicaof=primary, tls_replication="yes")
    )
    lines = ["tls-port {port}", f"tls-cert-file {certificate}", f"tls-key-file {key}", f"tls-ca-cert-file {ca}"]
    lines += ["tls-auth-clients no", "tls-replication yes"]
    sentinels = [
        Sentinel(tmp_path / f"sentinel{n}", "redis", {"cart": master.port}, lines, plain=False) for n in range(2)
    ]
    for sentinel in sentinels:
        stack.callback(sentinel.kill)
        sentinel.start()
    trust = {"ca_file": str(ca)}
    hosts = [f"rediss://{sentinel.address}" for sentinel in sentinels]
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
    page = daemon.wait_for(lambda page: addresses(page).get("queue/master") == replica.address, 30)
    page = daemon.wait_for(lambda page: page.up("queue/master") == 1 and page.up("queue/replica-1") == 0)
    assert addresses(page) == {"queue/master": replica.address, "queue/replica-1": master.address}
    time.sleep(1)
    for name in both:
        last = daemon.wait_for(lambda page, name=name: count_lost_pings(page, name) == 0)  # type: ignore[misc]
        assert not wrong_number_of_pings(first, last, name)
    assert "pending" not in daemon.json("/health")
    master.thaw()
    daemon.wait_for(lambda page: all(page.up(name) == 1 for name in both), 30)
