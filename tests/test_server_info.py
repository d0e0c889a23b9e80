import pytest

from redis_pulse.config import TargetSettings, parse_url
from redis_pulse.parse.info import parse_info
from redis_pulse.server_info import Server, Target
from tests import recordings


def settings(name: str = "cart", url: str = "redis://10.0.0.7:6379", **more: str) -> TargetSettings:
    return TargetSettings(name=name, endpoint=parse_url(url).endpoint, **more)


def fields(server: str, who: str = "info") -> dict[str, str]:
    return {
        field: text
        for part in parse_info(recordings.info(server, who).decode()).values()
        for field, text in part.items()
    }


def test_equal_settings_make_equal_targets() -> None:
    """That is how a reload knows what changed."""
    assert Target.of(settings()) == Target.of(settings())
    assert len({Target.of(settings()), Target.of(settings())}) == 1
    assert Target.of(settings()) != Target.of(settings(password="other"))
    assert Target.of(settings()) != Target.of(settings(url="redis://10.0.0.8:6379"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://10.0.0.7:6379", "10.0.0.7:6379"),
        ("rediss://user:secret@[::1]:6380/3", "[::1]:6380"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_an_address_never_holds_a_credential(url: str, address: str) -> None:
    assert Target.of(settings(url=url)).address == address


def test_a_target_never_shows_its_password() -> None:
    assert "hunter2" not in repr(Target.of(settings(password="hunter2")))


def test_a_server_is_unknown_until_its_first_reply() -> None:
    assert Server().identity == ("", "", "", "")


@pytest.mark.parametrize(
    ("server", "who", "software", "version", "role", "mode"),
    [
        ("redis-6.2.14", "info", "redis", "6.2.14", "master", "standalone"),
        ("redis-8.2.3", "info-replica", "redis", "8.2.3", "slave", "standalone"),
        ("redis-7.0.15", "info-sentinel", "redis", "7.0.15", "sentinel", "sentinel"),
        ("valkey-8.1.8", "info", "valkey", "8.1.8", "master", "standalone"),
        ("valkey-9.1.2", "info-replica", "valkey", "9.1.2", "slave", "standalone"),
        ("valkey-9.1.2", "info-sentinel", "valkey", "9.1.2", "sentinel", "sentinel"),
    ],
)
def test_a_server_says_what_it_is(server: str, who: str, software: str, version: str, role: str, mode: str) -> None:
    learnt = Server()
    learnt.update(fields(server, who))
    assert (learnt.software, learnt.version, learnt.role, learnt.mode) == (software, version, role, mode)
    assert len(learnt.run_id) == 40
    assert learnt.fields["tcp_port"].isdigit()


def test_a_failover_an_upgrade_and_a_restart_change_the_identity_and_a_new_poll_does_not() -> None:
    server = Server()
    said = {"redis_version": "7.0.15", "role": "master", "run_id": "a"}
    server.update(said)
    first = server.identity
    server.update({**said, "connected_clients": "5"})
    assert server.identity == first
    for change in ({"role": "slave"}, {"redis_version": "7.2.0"}, {"run_id": "b"}, {"valkey_version": "7.0.15"}):
        server.update({**said, **change})
        assert server.identity != first


def test_a_reply_without_a_word_about_itself_is_no_error() -> None:
    server = Server()
    server.update({})
    assert server.identity == ("redis", "", "", "")


def test_the_start_time_is_kept_while_estimates_wobble() -> None:
    server = Server()
    assert [server.started(at) for at in (1000.0, 1000.9, 999.1, 1001.4)] == [1000.0] * 4


def test_the_start_time_moves_with_a_restart() -> None:
    server = Server()
    server.update({"run_id": "a"})
    assert server.started(1000.0) == 1000.0
    server.update({"run_id": "b"})
    assert server.started(1001.0) == 1001.0
    assert server.started(1010.0) == 1010.0  # a server without run_id


@pytest.mark.parametrize(
    ("said", "software", "version"),
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
def test_a_compatible_server_has_a_name_and_a_version_of_its_own(
    said: dict[str, str], software: str, version: str
) -> None:
    server = Server()
    server.update(said)
    assert (server.software, server.version) == (software, version)
