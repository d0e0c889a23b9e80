"""A real Sentinel, a real cluster node and a real configuration have correct names and values, and no secret."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.servers import RealServer, Software, binary, free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]

PASSWORD = "correct-horse-battery"


@contextmanager
def sentinel(folder: Path, software: Software, *directives: str) -> Iterator[int]:
    """Run a Sentinel; yield its port."""
    folder.mkdir()
    port = free_port()
    config = folder / "sentinel.conf"  # the Sentinel writes its state into this file
    config.write_text("\n".join((f"port {port}", "bind 127.0.0.1", f"dir {folder}", *directives)) + "\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary(software), str(config), "--sentinel"], stdout=log, stderr=log)
        try:
            yield port
        finally:
            process.kill()
            process.wait()


def test_sentinel_reports_its_master(
    software: Software, start_server: Start, start_daemon: Watch, stack: ExitStack, tmp_path: Path
) -> None:
    master = start_server(software)
    start_server(software, replicaof=f"127.0.0.1 {master.port}")
    monitor = (f"sentinel monitor cart 127.0.0.1 {master.port} 1", "sentinel down-after-milliseconds cart 1000")
    port = stack.enter_context(
        sentinel(tmp_path / "sentinel", software, *monitor, f"sentinel sentinel-pass {PASSWORD}")
    )
    options = {"include_config_metrics": True, "include_peer_info": True}
    target = {"name": "s", "url": f"redis://127.0.0.1:{port}", "collectors": {"info": {}, "sentinel": options}}
    daemon = start_daemon(config={"targets": [target]})
    labels = {"master_name": "cart", "master_address": master.address}
    page = daemon.wait_for(lambda page: page.value("redis_sentinel_master_ok_slaves", **labels) == 1)
    assert page.value("redis_sentinel_masters") == 1
    assert page.value("redis_sentinel_tilt") == 0
    assert page.value("redis_sentinel_master_status", master_status="ok", **labels) == 1
    assert page.value("redis_sentinel_master_slaves", **labels) == 1
    assert page.value("redis_sentinel_master_sentinels", **labels) == 1
    assert page.value("redis_sentinel_master_ok_sentinels", **labels) == 1
    assert page.value("redis_sentinel_master_setting_ckquorum", **labels) == 1
    assert page.value("redis_sentinel_master_setting_down_after_milliseconds", **labels) == 1000
    assert page.value("redis_sentinel_master_down_after_seconds", **labels) == 1
    assert page.value("redis_sentinel_master_ckquorum_status", master_name="cart", message="OK") == 1
    assert page.value("redis_sentinel_master_usable_sentinels", **labels) == 1
    last = page.value("redis_sentinel_master_last_ok_ping_reply_seconds", **labels)
    assert last is not None
    assert 0 <= last < 3
    assert page.value("redis_sentinel_config_key_value", key="sentinel-pass", value="***") == 1
    assert page.value("redis_collector_success", collector="sentinel") == 1
    assert PASSWORD not in page.text + daemon.log

    execute_on_sentinel(port, "SENTINEL SET cart quorum 2")
    lost = daemon.wait_for(
        lambda page: page.matching("redis_sentinel_master_ckquorum_status", message="NOQUORUM no quorum")
    )
    assert lost.value("redis_sentinel_master_ckquorum_status", master_name="cart") == 0
    assert lost.value("redis_collector_success", collector="sentinel") == 1
    master.kill()
    down = daemon.wait_for(lambda page: page.matching("redis_sentinel_master_status", master_status="sdown"), 20)
    assert down.value("redis_sentinel_master_status", master_name="cart") == 1


def execute_on_sentinel(port: int, command: str) -> None:
    """Send one command and expect OK."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"{command}\r\n".encode())
        assert connection.recv(64) == b"+OK\r\n"


def test_cluster_node_reports_its_cluster(software: Software, start_server: Start, watch: Watch) -> None:
    node = start_server(software, cluster_enabled="yes")
    daemon = watch(node)
    failing = daemon.wait_for(lambda page: page.value("redis_cluster_state") == 0)
    assert failing.value("redis_cluster_slots_assigned") == 0
    node.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    page = daemon.wait_for(lambda page: page.value("redis_cluster_state") == 1)
    page = daemon.wait_for(lambda page: page.value("redis_cluster_slots_ok") == 16384)
    assert page.value("redis_cluster_known_nodes") == 1
    assert page.value("redis_cluster_size") == 1
    assert page.value("redis_cluster_slots_fail") == 0
    assert page.value("redis_cluster_messages_sent_total") == 0
    assert page.value("redis_cluster_bus_messages_total", direction="sent", kind="ping") == 0
    assert page.value("redis_cluster_links_buffer_limit_exceeded_total") == 0
    assert page.value("redis_cluster_enabled") == 1


def test_all_settings_are_published_without_secrets(software: Software, start_server: Start, watch: Watch) -> None:
    server = start_server(software, requirepass=PASSWORD, masterauth=PASSWORD, maxclients="321", maxmemory="50mb")
    server.run("SET", "key", "x" * 1000)
    server.run("SAVE")
    collectors = {"info": {}, "config": {"include_config_metrics": True}, "rdb_file": {}}
    daemon = watch(server, password=PASSWORD, collectors=collectors)
    page = daemon.wait_for(lambda page: page.value("redis_config_maxclients") is not None)
    assert page.value("redis_config_maxclients") == page.value("redis_config_value", key="maxclients") == 321
    assert page.value("redis_config_maxmemory") == 50 * 1024**2
    assert page.value("redis_config_client_output_buffer_limit_bytes", **{"class": "pubsub", "limit": "hard"}) == 2**25
    assert page.value("redis_config_key_value", key="dir", value=str(server.folder)) == 1
    for name in ("requirepass", "masterauth"):
        assert page.value("redis_config_key_value", key=name, value="***") == 1
    size = (server.folder / "dump.rdb").stat().st_size
    daemon.wait_for(lambda page: page.value("redis_rdb_current_size_bytes") == size)
    assert PASSWORD not in page.text + daemon.log


def test_denied_config_is_requested_once_and_reported_as_denied(
    software: Software, start_server: Start, watch: Watch
) -> None:
    server = start_server(software)
    server.run("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+ping", "+info", "+client")
    # Stalls would read the slow log once, which is denied too.
    options: dict[str, Any] = {"collectors": ["info", "config"], "stalls": {"enabled": False}}
    daemon = watch(server, username="exporter", password=PASSWORD, **options)
    page = daemon.wait_for(lambda page: page.value("redis_collector_denied", collector="config") == 1)
    assert page.value("redis_collector_success", collector="config") == 0
    assert page.value("redis_collector_supported", collector="config") is None
    errors = server.run("INFO", "errorstats")
    daemon.wait_for(lambda later: later.operations("info") >= page.operations("info") + 2)
    assert server.run("INFO", "errorstats") == errors
    assert errors["errorstat_NOPERM"]["count"] == 1
