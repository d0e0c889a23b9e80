"""Doctor names what is wrong with a server that answers: state, memory, persistence, replication, topology."""

import contextlib
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from redis.exceptions import ResponseError

from tests.doctor.command import doctor
from tests.fakes import LOADING, MAXCLIENTS, FakeServer, Reply, bulk, error
from tests.integration.real_cluster import RealCluster
from tests.integration.sentinels import Sentinel, SentinelSet
from tests.integration.servers import ALL, RealServer, free_port
from tests.patience import Patience

pytestmark = pytest.mark.slow

StartServer = Callable[..., RealServer]
#: INFO of a healthy server, as far as doctor reads it. Tests add the field that is wrong.
HEALTHY = (
    "# Server\r\nredis_version:7.4.1\r\nredis_mode:standalone\r\nuptime_in_seconds:100\r\n"
    "# Clients\r\nconnected_clients:1\r\nmaxclients:10000\r\n# Replication\r\nrole:master\r\n"
)


async def fake_run(server: FakeServer, *lines: str) -> list[str]:
    """Run doctor against a fake server whose INFO has these lines too. Return its warnings and errors."""
    names = {line.partition(":")[0] for line in lines}
    kept = [line for line in HEALTHY.splitlines() if line.partition(":")[0] not in names]
    kept[1:1] = lines
    server.info = bulk("".join(f"{line}\r\n" for line in kept))
    run = await doctor("--json", server.url)
    assert run.exit_code == (2 if run.codes("error") else 1 if run.codes("warning") else 0)
    return run.codes()


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    patience = Patience(seconds)
    while not condition():
        assert not patience.is_over
        time.sleep(0.05)


async def test_healthy_fake_has_no_warning() -> None:
    """Otherwise the tests below would not show that the added field makes the difference."""
    async with FakeServer() as server:
        assert await fake_run(server) == []


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("RP410", ("used_memory:900", "maxmemory:0", "total_system_memory:1000")),
        ("RP411", ("redis_version:5.0.14",)),
        ("RP415", ("aof_delayed_fsync:12",)),
        ("RP408", ("used_memory:950", "maxmemory:1000", "maxmemory_policy:noeviction")),
        ("RP417", ("master_repl_offset:99000000", "slave0:ip=10.0.0.8,port=6379,state=online,offset=5,lag=1")),
    ],
)
async def test_field_of_info_is_named(code: str, lines: tuple[str, ...]) -> None:
    """A real host with such a state would need a full memory or a slow disk."""
    async with FakeServer() as server:
        assert await fake_run(server, *lines) == [code]


async def test_clock_that_differs_is_named() -> None:
    async with FakeServer() as server:
        seconds = str(int(time.time()) - 3600)
        server.script("TIME", Reply(f"*2\r\n${len(seconds)}\r\n{seconds}\r\n$1\r\n0\r\n".encode()))
        assert await fake_run(server) == ["RP427"]


async def test_proxy_without_info_is_named() -> None:
    async with FakeServer() as server:
        server.script("INFO", error("ERR unknown command 'INFO'"))
        run = await doctor("--json", server.url)
    assert (run.codes(), run.exit_code) == (["RP225"], 1)
    assert "proxy" in run.finding("RP225")["why"]


async def test_full_server_is_named() -> None:
    async with FakeServer() as server:
        server.greeting = MAXCLIENTS
        run = await doctor("--json", server.url)
    assert (run.codes(), run.exit_code) == (["RP405"], 2)
    assert "maxclients" in run.finding("RP405")["why"]


async def test_loading_server_is_named() -> None:
    async with FakeServer() as server:
        server.script("PING", LOADING)
        assert "RP401" in await fake_run(server)


async def test_busy_script_is_named() -> None:
    async with FakeServer() as server:
        server.script("PING", error("BUSY Redis is busy running a script."))
        assert await fake_run(server) == ["RP402"]


async def test_replica_without_its_master_is_named(start_server: StartServer) -> None:
    replica = start_server("redis", replicaof=f"127.0.0.1 {free_port()}")
    run = await doctor("--json", replica.url)
    assert (run.codes(), run.exit_code) == (["RP416"], 2)
    assert "unknown time s" not in run.finding("RP416")["why"]


async def test_replica_that_serves_nothing_stale_is_named(start_server: StartServer) -> None:
    replica = start_server("redis", replicaof=f"127.0.0.1 {free_port()}", replica_serve_stale_data="no")
    run = await doctor("--json", replica.url)
    assert run.exit_code == 2
    assert "RP403" in run.codes()


async def test_few_free_connections_are_named(start_server: StartServer) -> None:
    server = start_server("redis", maxclients="20")
    with ExitStack() as stack:
        for _ in range(17):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        run = await doctor("--json", server.url)
    assert (run.codes(), run.exit_code) == (["RP406"], 1)
    assert "maxclients" in run.finding("RP406")["why"]


async def test_full_memory_without_eviction_is_named(start_server: StartServer) -> None:
    server = start_server("redis", maxmemory="900000", maxmemory_policy="noeviction")
    with contextlib.suppress(ResponseError):  # OOM: the memory is full
        for number in range(100):
            server.run("SET", f"k{number}", "x" * 20_000)
    server.run("CONFIG", "SET", "maxmemory", "800000")
    run = await doctor("--json", server.url)
    assert (run.codes(), run.exit_code) == (["RP407"], 2)


async def test_failed_snapshot_is_named(start_server: StartServer) -> None:
    """The snapshot cannot replace a folder with its name."""
    server = start_server("redis")
    (server.folder / "dump.rdb").mkdir()
    server.run("SET", "a", "b")
    server.run("BGSAVE")
    until(lambda: server.run("INFO", "persistence")["rdb_last_bgsave_status"] == "err")
    run = await doctor("--json", server.url)
    assert (run.codes(), run.exit_code) == (["RP413"], 2)


async def test_missing_slots_of_a_cluster_are_named(start_server: StartServer) -> None:
    node = start_server("redis", cluster_enabled="yes", cluster_port=str(free_port()))
    run = await doctor("--json", node.url)
    assert (run.codes(), run.exit_code) == (["RP421"], 2)


@pytest.mark.parametrize("software", ALL)
async def test_lost_node_of_a_cluster_is_named(software: str, tmp_path: Path, stack: ExitStack) -> None:
    """With ``cluster: true``, every node is examined, also the one that is gone."""
    cluster = RealCluster(tmp_path, software, stack)  # type: ignore[arg-type]
    file = tmp_path / "config.yaml"
    file.write_text(f"targets: [{{name: cart, url: '{cluster.nodes[0].url}', cluster: true}}]\n")
    healthy = await doctor("--json", "--config", str(file))
    assert healthy.codes() == []
    assert len([one for one in healthy.document["subjects"] if one["name"].startswith("cart/")]) == 6
    cluster.nodes[5].kill()
    lost = cluster.nodes[5].address
    until(lambda: "fail" in str(cluster.nodes[0].run("CLUSTER", "NODES")))
    run = await doctor("--json", "--config", str(file))
    assert run.exit_code == 2
    assert {"RP202", "RP422"} <= set(run.codes())
    assert lost in run.finding("RP422")["why"]


async def test_sentinel_as_a_target_without_quorum_is_named(tmp_path: Path, start_server: StartServer) -> None:
    sentinel = Sentinel(tmp_path / "sentinel", "redis", {"cart": start_server("redis").port})
    sentinel.start()
    try:
        until(lambda: _answers(sentinel.port))
        run = await doctor("--json", f"redis://{sentinel.address}")
        assert (run.codes(), run.exit_code) == (["RP223", "RP424"], 2)
        assert "Sentinel" in run.finding("RP223")["why"]
    finally:
        sentinel.kill()


async def test_lost_quorum_of_a_sentinel_set_is_named(tmp_path: Path) -> None:
    """Each Sentinel of the configuration is examined, and each server that they name."""
    with SentinelSet(tmp_path, "redis", replicas=1) as found:
        hosts = ", ".join(f"'{host}'" for host in found.hosts)
        file = tmp_path / "config.yaml"
        file.write_text(f"listen: 127.0.0.1:{free_port()}\ntargets: [{{name: set, sentinel: {{hosts: [{hosts}]}}}}]\n")
        healthy = await doctor("--json", "set", "--config", str(file))
        assert (healthy.codes(), healthy.exit_code) == ([], 0)
        addresses = {one["address"] for one in healthy.document["subjects"]}
        assert {server.address for server in found.servers} <= addresses
        found.sentinels[1].kill()
        found.sentinels[2].kill()
        until(lambda: "NOQUORUM" in _ckquorum(found.sentinels[0]))
        run = await doctor("--json", "--config", str(file))
    assert run.exit_code == 2
    assert set(run.codes()) == {"RP202", "RP424"}


def _ckquorum(sentinel: Sentinel) -> str:
    try:
        return str(sentinel.run("SENTINEL", "CKQUORUM", "cart"))
    except redis.RedisError as error:
        return str(error)


async def test_healthy_sentinel_as_a_target_is_a_warning(tmp_path: Path, start_server: StartServer) -> None:
    sentinel = Sentinel(tmp_path / "sentinel", "redis", {})
    sentinel.start()
    try:
        until(lambda: _answers(sentinel.port))
        run = await doctor("--json", f"redis://{sentinel.address}")
        assert (run.codes(), run.exit_code) == (["RP223"], 1)
    finally:
        sentinel.kill()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
