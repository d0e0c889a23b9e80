"""What INFO replies reveal about a server, and when its identity changes."""

import pytest

from redis_pulse.parse.info import parse_info
from redis_pulse.server_info import ParsedInfo, Server
from tests import recordings


def fields(server: str, file: str = "info") -> dict[str, str]:
    return {
        field: text
        for part in parse_info(recordings.info(server, file).decode()).values()
        for field, text in part.items()
    }


def test_server_is_unknown_until_first_reply() -> None:
    assert Server().identity == ("", "", "", "")


@pytest.mark.parametrize(
    ("server", "file", "software", "version", "role", "mode"),
    [
        ("redis-6.2.14", "info", "redis", "6.2.14", "master", "standalone"),
        ("redis-8.2.3", "info-replica", "redis", "8.2.3", "slave", "standalone"),
        ("redis-7.0.15", "info-sentinel", "redis", "7.0.15", "sentinel", "sentinel"),
        ("valkey-8.1.8", "info", "valkey", "8.1.8", "master", "standalone"),
        ("valkey-9.1.2", "info-replica", "valkey", "9.1.2", "slave", "standalone"),
        ("valkey-9.1.2", "info-sentinel", "valkey", "9.1.2", "sentinel", "sentinel"),
    ],
)
def test_info_reply_identifies_server(
    server: str, file: str, software: str, version: str, role: str, mode: str
) -> None:
    info = Server()
    info.update(fields(server, file))
    assert (info.software, info.version, info.role, info.mode) == (software, version, role, mode)
    assert len(info.run_id) == 40
    assert info.fields["tcp_port"].isdigit()


def test_identity_changes_after_failover_upgrade_or_restart() -> None:
    server = Server()
    reply = {"redis_version": "7.0.15", "role": "master", "run_id": "a"}
    server.update(reply)
    first = server.identity
    server.update({**reply, "connected_clients": "5"})
    assert server.identity == first
    for change in ({"role": "slave"}, {"redis_version": "7.2.0"}, {"run_id": "b"}, {"valkey_version": "7.0.15"}):
        server.update({**reply, **change})
        assert server.identity != first


def test_empty_reply_is_no_error() -> None:
    server = Server()
    server.update({})
    assert server.identity == ("redis", "", "", "")


def test_start_time_is_stable_while_estimates_vary() -> None:
    server = Server()
    assert [server.stable_start_time(at) for at in (1000.0, 1000.9, 999.1, 1001.4)] == [1000.0] * 4


def test_start_time_changes_after_restart() -> None:
    server = Server()
    server.update({"run_id": "a"})
    assert server.stable_start_time(1000.0) == 1000.0
    server.update({"run_id": "b"})
    assert server.stable_start_time(1001.0) == 1001.0
    assert server.stable_start_time(1010.0) == 1010.0  # a server without run_id


@pytest.mark.parametrize(
    ("reply", "software", "version"),
    [
        ({"redis_version": "7.2.4", "valkey_version": "8.1.0", "server_name": "valkey"}, "valkey", "8.1.0"),
        ({"redis_version": "7.4.0", "dragonfly_version": "df-v1.25.1"}, "dragonfly", "1.25.1"),
        ({"redis_version": "7.4.3", "garnet_version": "1.0.63", "server_name": "garnet"}, "garnet", "1.0.63"),
        ({"redis_version": "7.0.0", "kvrocks_version": "2.11.0"}, "kvrocks", "2.11.0"),
        ({"redis_version": "6.2.6", "upstash_version": "1.13.3"}, "upstash", "1.13.3"),
        ({"redis_version": "1.33.0", "tile38_version": "1.33.0"}, "tile38", "1.33.0"),
        ({"pika_version": "3.5.4"}, "pika", "3.5.4"),
        ({"redis_version": "7.2.4", "redict_version": "7.3.1"}, "redict", "7.3.1"),
        ({"redis_version": "7.4.0", "rlec_version": "7.22.0-28"}, "redis-enterprise", "7.22.0-28"),
        ({"redis_version": "6.3.4", "mvcc_depth": "0"}, "keydb", "6.3.4"),
        ({"redis_version": "6.3.4", "executable": "/opt/keydb-server"}, "keydb", "6.3.4"),
        ({"redis_version": "7.2.4", "server_name": "Other"}, "other", "7.2.4"),
        ({"redis_version": "8.2.3"}, "redis", "8.2.3"),
        ({}, "redis", ""),
    ],
)
def test_compatible_server_has_its_own_name_and_version(reply: dict[str, str], software: str, version: str) -> None:
    server = Server()
    server.update(reply)
    assert (server.software, server.version) == (software, version)


def test_little_of_the_reply_is_kept_between_two_polls() -> None:
    server = Server()
    fields = {"redis_version": "7.2.4", "role": "master", "cluster_enabled": "1", "db0": "keys=1,expires=0"}
    server.update(fields | {"slave0": "x" * 4096} | {f"db{number}": "x" * 4096 for number in range(1, 5000)})
    server.newest_info = ParsedInfo([b"x"], {}, [], 0, {})
    server.end_poll()
    assert server.newest_info is None
    assert server.fields == {"cluster_enabled": "1", "db0": "keys=1,expires=0"}
    assert (server.version, server.role) == ("7.2.4", "master")


def test_few_of_many_databases_are_kept_between_two_polls() -> None:
    server = Server()
    server.update({f"db{number}": "keys=1" for number in range(5000)})
    server.end_poll()
    assert len(server.fields) == 1000
