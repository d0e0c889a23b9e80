"""The name of the client is sent without an additional round trip, and not again after a refusal."""

import asyncio

import pytest

from redis_pulse import __version__
from redis_pulse.client.client_name import NAME, SET_LIBRARY, SET_NAME, ClientNaming
from redis_pulse.errors import AuthError, PermissionDeniedError, TargetError, UnknownCommandError
from tests.client.helpers import request
from tests.fakes import MAXCLIENTS, FakeServer, Reply, bulk, error
from tests.harness import TargetHarness, eventually

NAMING = ("CLIENT", "SETNAME", NAME)


@pytest.mark.parametrize(
    ("version", "knows"),
    [("", False), ("7.0.15", False), ("7.2.4", True), ("8.2.3", True), ("9.1.2", True), ("x", False)],
)
def test_library_is_sent_to_servers_that_know_setinfo(version: str, knows: bool) -> None:
    naming = ClientNaming()
    naming.set_server_version(version)
    assert list(naming.commands()) == [SET_NAME, *SET_LIBRARY[:1]][: 1 + knows]
    naming.record_reply(SET_LIBRARY[0], None)
    assert list(naming.commands()) == [SET_NAME, *SET_LIBRARY][: 1 + 2 * knows]


@pytest.mark.parametrize("refusal", [PermissionDeniedError("no"), UnknownCommandError("what")])
def test_refused_command_is_not_sent_again(refusal: PermissionDeniedError) -> None:
    naming = ClientNaming()
    naming.set_server_version("8.0")
    naming.record_reply(SET_NAME, AuthError("NOAUTH"))
    assert SET_NAME in naming.commands()
    naming.record_reply(SET_NAME, refusal)
    assert list(naming.commands()) == [SET_LIBRARY[0]]
    naming.record_reply(SET_LIBRARY[0], refusal)
    assert list(naming.commands()) == []


async def test_name_is_sent_once_per_connection_with_first_command(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    for _ in range(3):
        assert await request(harness, "INFO") is not None
    assert server.introduced == [NAMING]
    await server.drop()
    await request(harness, "INFO")
    assert server.introduced == [NAMING, NAMING]
    harness.client.naming.set_server_version("8.0")
    for _ in range(3):
        await request(harness, "INFO")
    lib = ("CLIENT", "SETINFO")
    assert server.introduced[2:] == [(*lib, "LIB-NAME", NAME), (*lib, "LIB-VER", __version__)]
    await harness.close()


async def test_denied_name_does_not_stop_polls_or_pings(server: FakeServer) -> None:
    server.script("CLIENT SETNAME", error("NOPERM no permissions to run the 'client|setname' command"))
    harness = TargetHarness(server.url)
    await harness.probe_due()
    await harness.ended(1)
    for _ in range(2):
        await request(harness, "INFO")
        await server.drop()
    assert harness.observer.reasons == ["ok"]
    assert len(server.introduced) == 1
    await harness.close()


async def test_name_is_sent_before_first_ping_without_waiting(server: FakeServer) -> None:
    server.script("CLIENT SETNAME", Reply(b"+OK\r\n", pieces=3))
    harness = TargetHarness(server.url)
    for count in (1, 2, 3):
        await harness.probes_due(1)
        await harness.ended(count)
    assert harness.observer.reasons == ["ok"] * 3
    assert server.introduced == [NAMING]
    await harness.close()


async def test_reason_instead_of_reply_to_name_fails_ping(server: FakeServer) -> None:
    server.script("CLIENT SETNAME", MAXCLIENTS)
    server.script("PING", "never")
    harness = TargetHarness(server.url)
    await harness.probe_due()
    await harness.ended(1)
    assert harness.observer.reasons == ["maxclients"]
    await harness.close()


async def test_renamed_command_is_sent_and_hidden_in_errors(server: FakeServer) -> None:
    """The name on the server is often a secret."""
    harness = TargetHarness(server.url, commands={"config": "s3cret-config"})
    server.script("S3CRET-CONFIG", bulk("x"), error("ERR unknown command 's3cret-config', with args beginning with: "))
    assert await request(harness, "CONFIG", "GET", "x") == b"x"
    with pytest.raises(UnknownCommandError, match="unknown command 'config'"):
        await request(harness, "CONFIG", "GET", "x")
    assert ("CONFIG", "GET", "x") not in server.received
    await eventually(lambda: server.count("s3cret-config") == 2)
    assert "s3cret" not in repr(harness.target)
    await harness.close()


@pytest.mark.parametrize("reason", [MAXCLIENTS, error("DENIED Redis is running in protected mode")])
async def test_reason_before_server_closes_fails_poll(server: FakeServer, reason: Reply) -> None:
    server.greeting = reason
    harness = TargetHarness(server.url)
    with pytest.raises(TargetError) as refused:
        await harness.client.commands("info", harness.clock() + 5).execute("INFO")
    # The kernel may deliver the RST before the text.
    assert refused.value.reason in ("reset", "maxclients" if reason is MAXCLIENTS else "auth")
    await harness.close()


async def test_name_is_not_sent_after_two_hang_ups() -> None:
    """Some proxies close the connection at an unknown command."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            if b"CLIENT" in data:
                break
            writer.write(b"+PONG\r\n" * data.count(b"PING"))
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    harness = TargetHarness(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    for count in range(1, 5):
        await harness.probes_due(1)
        await harness.ended(count)
    assert harness.observer.reasons[-1] == "ok"
    assert harness.observer.reasons[:2] == ["reset", "reset"]
    await harness.close()
    listener.close()
    await listener.wait_closed()
