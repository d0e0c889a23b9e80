"""What PING does not show, on real servers: full memory, a replica that is behind, the cost of connecting."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import ROOT, Daemon
from tests.integration.pages import Page
from tests.integration.servers import RealServer, free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Start = Callable[..., RealServer]

CANARY: dict[str, Any] = {"enabled": True, "interval": "100ms", "ttl": "30s"}


def succeeded(page: Page, operation: str, target: str = "primary") -> float:
    return page.value("redis_operation_duration_seconds_count", operation=operation, target=target) or 0


def delay(page: Page) -> float | None:
    return page.value("redis_replication_delay_seconds", target="replica")


def pair(
    start_server: Start, start_daemon: Callable[..., Daemon], software: str
) -> tuple[RealServer, RealServer, Daemon]:
    primary = start_server(software, **{"repl-diskless-sync-delay": "0"})
    replica = start_server(software, replicaof=f"127.0.0.1 {primary.port}")
    targets = [{"name": "primary", "url": primary.url}, {"name": "replica", "url": replica.url}]
    return primary, replica, start_daemon(config={"canary": CANARY, "targets": targets})


def test_primary_is_written_to_and_read_and_the_key_expires(
    software: str, start_server: Start, start_daemon: Callable[..., Daemon]
) -> None:
    server = start_server(software)
    daemon = start_daemon(config={"canary": CANARY, "targets": [{"name": "primary", "url": server.url}]})
    daemon.wait_for(lambda page: succeeded(page, "write") >= 5 and succeeded(page, "read") >= 5)
    (key,) = server.run("KEYS", "*")
    assert key.startswith(b"redis-pulse:canary:")
    assert 0 < server.run("PTTL", key) <= 30_000


def test_full_memory_fails_only_writes(software: str, start_server: Start, start_daemon: Callable[..., Daemon]) -> None:
    server = start_server(software, **{"maxmemory-policy": "noeviction"})
    daemon = start_daemon(config={"canary": CANARY, "targets": [{"name": "primary", "url": server.url}]})
    daemon.wait_until_up("primary")
    server.run("CONFIG", "SET", "maxmemory", "1")
    runs = daemon.page().operations("write") + 3
    full = daemon.wait_for(lambda page: page.has_failed("write", "oom", runs))
    assert (full.up("primary"), full.breaker("primary")) == (1, "closed")
    assert full.failures("read") == 0
    server.run("CONFIG", "SET", "maxmemory", "0")
    before = succeeded(daemon.page(), "write")
    daemon.wait_for(lambda page: succeeded(page, "write") > before + 2)


def test_failed_snapshot_is_the_reason_of_failed_writes(
    software: str, start_server: Start, start_daemon: Callable[..., Daemon]
) -> None:
    server = start_server(software)
    daemon = start_daemon(config={"canary": CANARY, "targets": [{"name": "primary", "url": server.url}]})
    daemon.wait_for(lambda page: succeeded(page, "write") >= 1)
    directory, file = [server.run("CONFIG", "GET", name)[1].decode() for name in ("dir", "dbfilename")]
    obstacle = Path(directory) / file / "something"
    obstacle.mkdir(parents=True)  # a snapshot cannot replace a folder
    server.run("CONFIG", "SET", "save", "3600 1")
    server.run("BGSAVE")
    runs = daemon.page().operations("write") + 3
    stopped = daemon.wait_for(lambda page: page.has_failed("write", "misconf", runs))
    assert (stopped.failures("read"), stopped.breaker("primary")) == (0, "closed")
    # A server with save points denies PING too while it cannot write its snapshot.
    daemon.wait_for(lambda page: page.failures("ping", "misconf") >= 3)
    shutil.rmtree(obstacle.parent)
    server.run("BGSAVE")
    before = succeeded(daemon.page(), "write")
    daemon.wait_for(lambda page: succeeded(page, "write") > before + 2 and page.up("primary") == 1)


def test_primary_that_became_a_replica_denies_writes_until_the_next_poll(
    software: str, start_server: Start, start_daemon: Callable[..., Daemon]
) -> None:
    server = start_server(software)
    config = {"canary": CANARY, "poll": {"interval": "3s"}, "targets": [{"name": "primary", "url": server.url}]}
    daemon = start_daemon(config=config)
    polls = daemon.wait_for(lambda page: succeeded(page, "write") >= 1).operations("info")
    daemon.wait_for(lambda page: page.operations("info") > polls)  # so that a write comes before the next poll
    server.run("REPLICAOF", "127.0.0.1", str(free_port()))
    denied = daemon.wait_for(lambda page: page.has_failed("write", "readonly"))
    assert (denied.up("primary"), denied.breaker("primary")) == (1, "closed")
    server.run("REPLICAOF", "NO", "ONE")
    before = succeeded(daemon.page(), "write")
    daemon.wait_for(lambda page: succeeded(page, "write") > before + 2)


def test_cluster_without_all_hash_slots_is_down_for_writes_only(
    software: str, start_server: Start, start_daemon: Callable[..., Daemon]
) -> None:
    """On a node of a cluster, the key lies in a hash slot of the node. So no write is redirected."""
    server = start_server(software, **{"cluster-enabled": "yes", "cluster-port": str(free_port())})
    server.run("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    daemon = start_daemon(config={"canary": CANARY, "targets": [{"name": "primary", "url": server.url}]})
    daemon.wait_for(lambda page: succeeded(page, "write") >= 3 and succeeded(page, "read") >= 3)
    server.run("CLUSTER", "DELSLOTSRANGE", "100", "16383")
    runs = daemon.page().operations("write") + 2
    down = daemon.wait_for(lambda page: page.has_failed("write", "clusterdown", runs))
    assert down.up("primary") == 1
    server.run("CLUSTER", "ADDSLOTSRANGE", "100", "16383")
    before = succeeded(daemon.page(), "write")
    daemon.wait_for(lambda page: succeeded(page, "write") > before + 2)


def test_delay_of_a_replica_grows_while_its_link_is_cut(
    software: str, start_server: Start, start_daemon: Callable[..., Daemon]
) -> None:
    primary, replica, daemon = pair(start_server, start_daemon, software)
    daemon.wait_for(lambda page: delay(page) == 0)
    assert daemon.page().operations("write", "replica") == 0
    primary.run("CONFIG", "SET", "requirepass", "unknown-password")  # existing connections stay
    primary.run("CLIENT", "KILL", "TYPE", "replica")
    daemon.wait_for(lambda page: (delay(page) or 0) > 1)
    assert daemon.page().up("replica") == 1
    replica.run("CONFIG", "SET", "masterauth", "unknown-password")
    daemon.wait_for(lambda page: delay(page) == 0)


def test_cold_connect_is_a_separate_operation(
    software: str, start_server: Start, start_daemon: Callable[..., Daemon]
) -> None:
    server = start_server(software)
    probe = {"interval": "100ms", "timeout": "300ms", "cold_connect": "100ms"}
    daemon = start_daemon(config={"probe": probe, "targets": [{"name": "primary", "url": server.url}]})
    page = daemon.wait_for(lambda page: succeeded(page, "cold_connect") >= 5)
    assert page.failures("cold_connect") == 0


def test_user_from_the_documentation_may_run_the_canary(
    software: str, start_server: Start, start_daemon: Callable[..., Daemon]
) -> None:
    server = start_server(software)
    (line,) = re.findall(
        r"`redis-cli ACL SETUSER exporter (\+set [^`]+)`", (ROOT / "docs" / "acl.md").read_text(encoding="utf-8")
    )
    server.run("ACL", "SETUSER", "exporter", "reset", "on", ">pw", "+ping", "+info", "+client", *shlex.split(line))
    target = {"name": "primary", "url": server.url, "username": "exporter", "password": "pw", "collectors": ["info"]}
    daemon = start_daemon(config={"canary": CANARY, "stalls": {"enabled": False}, "targets": [target]})
    page = daemon.wait_for(lambda page: succeeded(page, "write") >= 3 and succeeded(page, "read") >= 3)
    assert page.failures("write") == page.failures("read") == 0
    assert server.run("ACL", "LOG") == []
