"""Commands that a server lacks or denies are sent once and logged once. When they are allowed, the data appears.

The server's own count of error replies over many polls proves it.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from redis_pulse import collectors
from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.servers import RealServer, free_port

pytestmark = pytest.mark.integration

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]

PASSWORD = "correct-horse"
#: Short, so that a test has many polls.
POLL = {"interval": "150ms", "timeout": "150ms", "max_age": "5s"}
#: A stall would add an error reply: that to a malformed command.
NO_STALLS: Mapping[str, bool] = {"enabled": False}
POLLS = 20
#: Every collector that is on by default, and the collectors of keys.
CHOSEN: dict[str, dict[str, list[str]]] = {name: {} for name, one in collectors.load().items() if one.default}
CHOSEN |= {"keys": {"patterns": ["user:*"]}, "key_counts": {"patterns": ["user:*"]}, "streams": {"patterns": ["s:*"]}}


def error_replies(server: RealServer) -> dict[str, int]:
    """Return how many error replies of each kind the server has sent."""
    stats = server.run("INFO", "errorstats")
    return {name.removeprefix("errorstat_"): int(dict(counted)["count"]) for name, counted in stats.items()}


def unsupported(page: Page) -> set[str]:
    """Return the collectors that the server does not support. They must count as successful."""
    samples = page.matching("redis_collector_supported")
    names = {dict(labels)["collector"] for labels, value in samples.items() if value == 0}
    for name in names:
        assert page.value("redis_collector_success", collector=name) == 1, name
        assert page.value("redis_sample_age_seconds", collector=name) is None, name
    return names


def denied(page: Page) -> set[str]:
    """Return the collectors whose commands are denied. They must count as failed."""
    samples = page.matching("redis_collector_denied")
    names = {dict(labels)["collector"] for labels, value in samples.items() if value == 1}
    for name in names:
        assert page.value("redis_collector_success", collector=name) == 0, name
        assert page.value("redis_collector_supported", collector=name) is None, name
    return names


def logged_denied(daemon: Daemon) -> list[str]:
    """Return the collectors that were logged as not permitted, in order."""
    lines = [line for line in daemon.log.splitlines() if 'event="not permitted"' in line]
    return [name for line in lines for name in re.findall(r"collector=(\S+)", line)[0].split(",")]


def logged_unsupported(daemon: Daemon) -> list[str]:
    """Return the collectors that were logged as not supported, in order."""
    lines = [line for line in daemon.log.splitlines() if "not supported by this server" in line]
    return [re.search(r"collector=(\w+)", line).group(1) for line in lines]  # type: ignore[union-attr]


def wait_for_polls(daemon: Daemon, more: int = POLLS) -> Page:
    """Wait for ``more`` further polls."""
    before = daemon.page().operations("info")
    return daemon.wait_for(lambda page: page.operations("info") >= before + more)


def refused_commands(names: set[str]) -> set[str]:
    """Return the commands of some collectors, without INFO, which is sent in every poll."""
    return {command for name in names for command in collectors.load()[name].commands} - {"info"}


def assert_sent_once(server: RealServer, before: dict[str, int], names: set[str]) -> None:
    """Assert that there is at most one new error reply for each command of the refused collectors."""
    grown = sum(error_replies(server).values()) - sum(before.values())
    commands = {*refused_commands(names), "client|setname", "client|setinfo"}
    assert 0 < grown <= len(commands), f"{grown} error replies for {sorted(commands)}: {error_replies(server)}"


def test_denied_commands_are_sent_once_until_another_role(software: str, start_server: Start, watch: Watch) -> None:
    server = start_server(software)
    server.run("SET", "user:1", "hello")
    server.run("XADD", "s:1", "*", "n", 1)
    server.run("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+ping", "+info")
    before = error_replies(server)
    daemon = watch(server, username="exporter", password=PASSWORD, poll=POLL, collectors=CHOSEN, stalls=NO_STALLS)
    daemon.wait_until_up()
    page = wait_for_polls(daemon)
    names = denied(page)
    assert {"clients", "config", "keys", "latency", "slowlog"} <= names
    assert "info" not in names
    assert page.value("redis_connected_clients") is not None
    assert_sent_once(server, before, names)
    assert sorted(logged_denied(daemon)) == sorted(names)

    errors = error_replies(server)
    server.run("ACL", "SETUSER", "exporter", "%R~*", "+@all")
    wait_for_polls(daemon, 5)
    assert error_replies(server) == errors, "nothing is sent again as long as the server is the same"
    server.run("REPLICAOF", "127.0.0.1", free_port())
    page = daemon.wait_for(lambda page: page.value("redis_slowlog_length") is not None)
    daemon.wait_for(lambda page: not denied(page) and page.value("redis_collector_success", collector="slowlog") == 1)
    assert error_replies(server) == errors


def test_missing_commands_are_sent_once_until_another_server(
    software: str, start_server: Start, watch: Watch, tmp_path: Path
) -> None:
    """Managed services rename commands. After a restart with another configuration, they exist again."""
    renamed = tmp_path / "renamed.conf"
    missing = ("CONFIG", "SLOWLOG", "LATENCY", "CLIENT", *(["COMMANDLOG"] if software == "valkey" else []))
    renamed.write_text("".join(f'rename-command {command} ""\n' for command in missing))
    server = start_server(software, include=str(renamed))
    before = error_replies(server)
    daemon = watch(server, poll=POLL, collectors=CHOSEN, stalls=NO_STALLS)
    daemon.wait_until_up()
    page = wait_for_polls(daemon)
    names = unsupported(page)
    expected = {"clients", "config", "latency", "latency_histogram", "slowlog"}
    assert names == expected | ({"commandlog"} if software == "valkey" else set())
    assert_sent_once(server, before, names)
    assert sorted(logged_unsupported(daemon)) == sorted(names)
    assert page.up() == 1

    renamed.write_text("")
    server.kill()
    server.start()
    errors = error_replies(server)  # the client of this test sends CLIENT SETINFO, which is unknown before 7.2
    daemon.wait_until_up()
    daemon.wait_for(lambda page: page.value("redis_slowlog_length") is not None and not unsupported(page))
    wait_for_polls(daemon, 5)
    assert error_replies(server) == errors


def test_command_denied_later_is_sent_once_and_loses_its_samples(
    software: str, start_server: Start, watch: Watch
) -> None:
    server = start_server(software)
    server.run("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+@all", "~*")
    daemon = watch(
        server, username="exporter", password=PASSWORD, poll=POLL, collectors=["info", "slowlog"], stalls=NO_STALLS
    )
    daemon.wait_for(lambda page: page.value("redis_slowlog_length") is not None)
    before = error_replies(server)
    server.run("ACL", "SETUSER", "exporter", "-slowlog")
    daemon.wait_for(lambda page: denied(page) == {"slowlog"})
    daemon.wait_for(lambda page: page.value("redis_slowlog_length") is None)  # as old as poll.max_age
    wait_for_polls(daemon)
    assert_sent_once(server, before, {"slowlog"})


@pytest.mark.parametrize("cause", ["missing", "select denied"])
def test_unreadable_database_affects_only_its_own_collector(
    software: str, start_server: Start, watch: Watch, cause: str
) -> None:
    """A refused connection to one database is no failure of the others, nor of the server."""
    server = start_server(software, **({"databases": "1"} if cause == "missing" else {}))
    server.run(
        "ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+@all", "~*", *(["-select"] if "denied" in cause else [])
    )
    chosen = {"info": {}, "key_counts": {"patterns": ["db3=user:*"]}, "slowlog": {}}
    daemon = watch(server, username="exporter", password=PASSWORD, poll=POLL, collectors=chosen, stalls=NO_STALLS)
    daemon.wait_until_up()
    page = wait_for_polls(daemon)
    for operation in ("info", "slowlog", "ping"):
        assert not page.reasons(operation).keys() & {"other", "permission", "rejected"}, operation
    assert page.value("redis_slowlog_length") == 0
