"""What a server lacks or denies is asked once, logged once, and is no failure; it comes when the server allows it.

Proven by the server's own count of error replies, over many polls.
"""

import re
from collections.abc import Callable
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
#: Short, so that a test sees many of them.
POLL = {"interval": "150ms", "timeout": "150ms", "max_age": "5s"}
POLLS = 20
#: Every collector of the default set, and those of keys where they need no keys.
CHOSEN: dict[str, dict[str, list[str]]] = {name: {} for name, one in collectors.load().items() if one.default}
CHOSEN |= {"keys": {"patterns": ["user:*"]}, "key_counts": {"patterns": ["user:*"]}, "streams": {"patterns": ["s:*"]}}


def error_replies(server: RealServer) -> dict[str, int]:
    """Return how many errors of each kind the server has answered."""
    stats = server.run("INFO", "errorstats")
    return {name.removeprefix("errorstat_"): int(dict(counted)["count"]) for name, counted in stats.items()}


def unsupported(page: Page) -> set[str]:
    """Return the collectors that the server does not support; they count as successful."""
    found = page.matching("redis_collector_supported")
    names = {dict(labels)["collector"] for labels, value in found.items() if value == 0}
    for name in names:
        assert page.value("redis_collector_success", collector=name) == 1, name
        assert page.value("redis_sample_age_seconds", collector=name) is None, name
    return names


def denied(page: Page) -> set[str]:
    """Return the collectors that are denied what they read; they count as failed."""
    found = page.matching("redis_collector_denied")
    names = {dict(labels)["collector"] for labels, value in found.items() if value == 1}
    for name in names:
        assert page.value("redis_collector_success", collector=name) == 0, name
        assert page.value("redis_collector_supported", collector=name) == 1, name
    return names


def told_denied(daemon: Daemon) -> list[str]:
    """Return the collectors that were logged as not permitted, in order."""
    lines = [line for line in daemon.log.splitlines() if 'event="not permitted"' in line]
    return [name for line in lines for name in re.findall(r"collector=(\S+)", line)[0].split(",")]


def logged(daemon: Daemon) -> list[str]:
    """Return the collectors that were logged as not supported, in order."""
    lines = [line for line in daemon.log.splitlines() if "not supported by this server" in line]
    return [re.search(r"collector=(\w+)", line).group(1) for line in lines]  # type: ignore[union-attr]


def polled(daemon: Daemon, more: int = POLLS) -> Page:
    """Wait until so many further polls are done."""
    before = daemon.page().slots("info")
    return daemon.wait_for(lambda page: page.slots("info") >= before + more)


def refused_commands(names: set[str]) -> set[str]:
    """Return the commands of some collectors, without INFO, which is always asked."""
    return {command for name in names for command in collectors.load()[name].commands} - {"info"}


def assert_asked_once(server: RealServer, before: dict[str, int], names: set[str]) -> None:
    """The errors that the server answered since are at most one for each command of the collectors refused."""
    grown = sum(error_replies(server).values()) - sum(before.values())
    commands = {*refused_commands(names), "client|setname", "client|setinfo"}
    assert 0 < grown <= len(commands), f"{grown} error replies for {sorted(commands)}: {error_replies(server)}"


def test_what_a_user_may_not_do_is_asked_once_and_comes_when_it_is_granted_and_the_role_changes(
    software: str, start_server: Start, watch: Watch
) -> None:
    server = start_server(software)
    server.run("SET", "user:1", "hello")
    server.run("XADD", "s:1", "*", "n", 1)
    server.run("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+ping", "+info")
    before = error_replies(server)
    daemon = watch(server, username="exporter", password=PASSWORD, poll=POLL, collectors=CHOSEN)
    daemon.wait_until_up()
    page = polled(daemon)
    names = denied(page)
    assert {"clients", "config", "keys", "latency", "slowlog"} <= names
    assert "info" not in names
    assert page.value("redis_connected_clients") is not None
    assert_asked_once(server, before, names)
    assert sorted(told_denied(daemon)) == sorted(names)

    errors = error_replies(server)
    server.run("ACL", "SETUSER", "exporter", "%R~*", "+@all")
    polled(daemon, 5)
    assert error_replies(server) == errors, "nothing is asked again as long as the server is what it was"
    server.run("REPLICAOF", "127.0.0.1", free_port())
    page = daemon.wait_for(lambda page: page.value("redis_slowlog_length") is not None)
    page = daemon.wait_for(lambda page: not denied(page))
    assert page.value("redis_collector_success", collector="slowlog") == 1
    assert error_replies(server) == errors


def test_what_a_server_lacks_is_asked_once_and_comes_with_another_server(
    software: str, start_server: Start, watch: Watch, tmp_path: Path
) -> None:
    """Managed services rename commands away; a restart with another configuration brings them back."""
    renamed = tmp_path / "renamed.conf"
    gone = ("CONFIG", "SLOWLOG", "LATENCY", "CLIENT", *(["COMMANDLOG"] if software == "valkey" else []))
    renamed.write_text("".join(f'rename-command {command} ""\n' for command in gone))
    server = start_server(software, include=str(renamed))
    before = error_replies(server)
    daemon = watch(server, poll=POLL, collectors=CHOSEN)
    daemon.wait_until_up()
    page = polled(daemon)
    names = unsupported(page)
    expected = {"clients", "config", "latency", "latency_histogram", "slowlog"}
    assert names == expected | ({"commandlog"} if software == "valkey" else set())
    assert_asked_once(server, before, names)
    assert sorted(logged(daemon)) == sorted(names)
    assert page.up() == 1

    renamed.write_text("")
    server.kill()
    server.start()
    errors = error_replies(server)  # the client of this test says CLIENT SETINFO, which is unknown before 7.2
    daemon.wait_until_up()
    daemon.wait_for(lambda page: page.value("redis_slowlog_length") is not None and not unsupported(page))
    polled(daemon, 5)
    assert error_replies(server) == errors


def test_a_command_denied_later_is_a_state_of_its_own_and_is_asked_once(
    software: str, start_server: Start, watch: Watch
) -> None:
    server = start_server(software)
    server.run("ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+@all", "~*")
    daemon = watch(server, username="exporter", password=PASSWORD, poll=POLL, collectors=["info", "slowlog"])
    daemon.wait_for(lambda page: page.value("redis_slowlog_length") is not None)
    before = error_replies(server)
    server.run("ACL", "SETUSER", "exporter", "-slowlog")
    daemon.wait_for(lambda page: denied(page) == {"slowlog"})
    daemon.wait_for(lambda page: page.value("redis_slowlog_length") is None)  # as old as poll.max_age
    polled(daemon)
    assert_asked_once(server, before, {"slowlog"})


@pytest.mark.parametrize("why", ["there is none", "select is denied"])
def test_a_database_that_cannot_be_read_harms_only_who_wants_it(
    software: str, start_server: Start, watch: Watch, why: str
) -> None:
    """That a connection to one database is refused says nothing of the others, nor of the server."""
    server = start_server(software, **({"databases": "1"} if why == "there is none" else {}))
    server.run(
        "ACL", "SETUSER", "exporter", "on", f">{PASSWORD}", "+@all", "~*", *(["-select"] if "denied" in why else [])
    )
    chosen = {"info": {}, "key_counts": {"patterns": ["db3=user:*"]}, "slowlog": {}}
    daemon = watch(server, username="exporter", password=PASSWORD, poll=POLL, collectors=chosen)
    daemon.wait_until_up()
    page = polled(daemon)
    for operation in ("info", "slowlog", "ping"):
        assert not page.reasons(operation).keys() & {"other", "permission", "rejected"}, operation
    assert page.value("redis_slowlog_length") == 0
