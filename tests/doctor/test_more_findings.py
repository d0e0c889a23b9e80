"""Further findings, each on a real server or on a fake one."""

import http.server
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.doctor.command import doctor
from tests.doctor.peers import speaking
from tests.doctor.test_broken_server import HEALTHY, fake_run, until
from tests.fakes import PONG, FakeServer, bulk, error
from tests.integration.proxy import Proxy
from tests.integration.sentinels import Sentinel
from tests.integration.servers import RealServer, free_port
from tests.integration.test_troubleshooting import write_certificates

pytestmark = pytest.mark.slow

StartServer = Callable[..., RealServer]


async def test_notes_of_a_default_redis(start_server: StartServer) -> None:
    run = await doctor("--json", start_server("redis", slowlog_log_slower_than="0").url)
    assert {"RP409", "RP412", "RP418", "RP420", "RP428"} <= set(run.codes("note"))
    assert "Persistence: no." in run.finding("RP428")["why"]  # save is off, and INFO has a time of the last save
    off = await doctor("--json", start_server("redis", slowlog_log_slower_than="-1", save="60 1").url)
    assert "RP419" in off.codes("note")
    assert "Persistence: snapshots." in off.finding("RP428")["why"]


async def test_tls_without_a_check_and_tls_facts_are_notes(start_server: StartServer, tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    server = start_server("redis", tls=files)
    unchecked = await doctor("--json", f"{server.url}?ssl_cert_reqs=none")
    assert unchecked.codes() in ([], ["RP102"])
    assert "RP218" in unchecked.codes("note")
    checked = await doctor("--json", server.url, "--tls-ca-file", str(files[2]))
    assert "TLSv1" in checked.finding("RP220")["why"]
    assert "TLS 1.2 and TLS 1.3" in checked.finding("RP220")["why"]
    old = start_server("redis", tls=files, tls_protocols="TLSv1.2")
    assert (
        "accepts TLS 1.2." in (await doctor("--json", old.url, "--tls-ca-file", str(files[2]))).finding("RP220")["why"]
    )


async def test_tls_to_another_protocol_is_named() -> None:
    async with speaking(b"220 mail ready\r\n") as port:
        run = await doctor("--json", f"rediss://127.0.0.1:{port}")
    assert (run.codes(), run.exit_code) == (["RP219"], 2)


async def test_address_without_a_route_is_named() -> None:
    run = await doctor("--json", "redis://255.255.255.255:6379")  # no TCP connection to this address is possible
    assert (run.codes(), run.exit_code) == (["RP204"], 2)


async def test_missing_socket_is_named(tmp_path: Path) -> None:
    run = await doctor("--json", f"unix://{tmp_path}/nothere.sock")
    assert (run.codes(), run.exit_code) == (["RP207"], 2)
    assert run.finding("RP207")["command"] == f"ls -l {tmp_path}/nothere.sock"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("ERR something odd", "RP227"),
        ("MISCONF Redis is configured to save RDB snapshots", "RP414"),
    ],
)
async def test_error_reply_to_a_ping_is_named(reply: str, code: str) -> None:
    async with FakeServer() as server:
        server.script("PING", error(reply))
        assert await fake_run(server) == [code]


async def test_protected_mode_is_named() -> None:
    async with FakeServer() as server:
        server.greeting = error("DENIED Redis is running in protected mode because protected mode is enabled")
        assert await fake_run(server) == ["RP305"]


async def test_failing_collector_is_named() -> None:
    async with FakeServer() as server:
        server.script("SLOWLOG", error("ERR something odd"))
        assert await fake_run(server) == ["RP603"]


async def test_evicted_keys_are_a_note() -> None:
    async with FakeServer() as server:
        server.info = bulk(
            HEALTHY + "used_memory:1\r\nmaxmemory:99\r\nmaxmemory_policy:allkeys-lru\r\nevicted_keys:7\r\n"
        )
        run = await doctor("--json", server.url)
    assert "7 keys" in run.finding("RP426")["why"]


async def test_lost_pings_are_named() -> None:
    async with FakeServer() as server:
        server.script("PING", PONG, PONG, PONG, "swallow")
        assert await fake_run(server) == ["RP502"]


async def test_slow_path_and_expensive_poll_are_named(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("redis")
    with Proxy(server.port, free_port()) as proxy:
        proxy.delay = 0.06  # a poll has two round trips, and is expensive from 0.1 s
        file = tmp_path / "config.yaml"
        target = {"name": "slow", "url": f"redis://127.0.0.1:{proxy.port}"}
        file.write_text(yaml.safe_dump({"targets": [target], "poll": {"interval": "1s", "timeout": "1s"}}))
        run = await doctor("--json", "slow", "--config", str(file))
    assert (run.codes(), run.exit_code) == (["RP501"], 1)
    assert run.finding("RP602")["severity"] == "warning"


async def test_keys_that_may_not_be_read_are_named() -> None:
    async with FakeServer() as server:
        server.script("SLOWLOG", error("NOPERM this user has no permissions to access a key used as argument"))
        assert await fake_run(server) == ["RP313"]


async def test_command_that_the_server_lacks_is_a_note() -> None:
    async with FakeServer() as server:
        server.script("LATENCY", error("ERR unknown command 'LATENCY'"))
        server.info = bulk(HEALTHY)
        run = await doctor("--json", server.url)
    assert run.codes() == []
    assert "latency" in run.finding("RP604")["why"]


async def test_shard_without_a_replica_is_named(start_server: StartServer) -> None:
    node = start_server("redis", cluster_enabled="yes", cluster_port=str(free_port()))
    node.run("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    until(lambda: _is_ok(node))
    run = await doctor("--json", node.url)
    assert (run.codes(), run.exit_code) == (["RP423"], 1)


def _is_ok(node: RealServer) -> bool:
    return "ok" in str(node.run("CLUSTER", "INFO")).partition("cluster_state")[2][:12]


async def test_master_that_a_sentinel_sees_down_is_named(tmp_path: Path) -> None:
    sentinel = Sentinel(tmp_path / "sentinel", "redis", {"cart": free_port()})
    sentinel.start()
    try:
        until(lambda: "+sdown master cart" in sentinel.log)
        run = await doctor("--json", f"redis://{sentinel.address}")
    finally:
        sentinel.kill()
    assert run.exit_code == 2
    assert {"RP223", "RP425"} <= set(run.codes())


async def test_warnings_of_the_configuration_are_named(start_server: StartServer, tmp_path: Path) -> None:
    run = await doctor("--json", start_server("redis").url, REDIS_PULSE_PROBE_INTERVALL="1s")
    assert (run.codes(), run.exit_code) == (["RP102"], 1)
    alone = await doctor("--json", folder=tmp_path)
    assert alone.codes()[0] == "RP105"


async def test_other_program_at_the_port_of_the_daemon_is_named(start_server: StartServer, tmp_path: Path) -> None:
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    file = tmp_path / "config.yaml"
    file.write_text(
        f"listen: 127.0.0.1:{web.server_port}\ntargets: [{{name: a, url: '{start_server('redis').url}'}}]\n"
    )
    try:
        run = await doctor("--json", "--config", str(file))
    finally:
        web.shutdown()
        web.server_close()
    assert (run.codes(), run.exit_code) == (["RP708"], 1)


async def test_source_without_targets_and_with_bad_targets_is_named(tmp_path: Path) -> None:
    listed = tmp_path / "targets.yaml"
    file = tmp_path / "config.yaml"
    file.write_text(f"listen: 127.0.0.1:{free_port()}\ndiscovery: {{files: ['{listed}']}}\n")
    listed.write_text("[]")
    run = await doctor("--json", "--config", str(file))
    assert (run.codes(), run.exit_code) == (["RP802"], 1)
    listed.write_text(f"- targets: ['redis://127.0.0.1:{free_port()}', 'reddis://b']\n")
    run = await doctor("--json", "--config", str(file))
    assert set(run.codes()) == {"RP202", "RP804"}
