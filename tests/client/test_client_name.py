"""The server is told who we are, at no round trip's cost, and what it refuses is not said again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from redis_pulse import __version__
from redis_pulse.client.client_name import NAME, SET_LIBRARY, SET_NAME, ClientNaming
from redis_pulse.errors import AuthError, PermissionDeniedError, TargetError, UnknownCommandError
from tests.fakes import MAXCLIENTS, FakeServer, Reply, bulk, error
from tests.harness import TargetHarness, eventually

SAID = ("CLIENT", "SETNAME", NAME)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def ask(watched: TargetHarness, *args: str) -> object:
    return await watched.client.commands("info", watched.clock() + 5).execute(*args)


@pytest.mark.parametrize(
    ("version", "knows"),
    [("", False), ("7.0.15", False), ("7.2.4", True), ("8.2.3", True), ("9.1.2", True), ("x", False)],
)
def test_the_library_is_named_where_the_server_knows_how(version: str, knows: bool) -> None:
    naming = ClientNaming()
    naming.learn(version)
    assert naming.commands() == [SET_NAME, *SET_LIBRARY[:1]][: 1 + knows]
    naming.record_reply(SET_LIBRARY[0], None)
    assert naming.commands() == [SET_NAME, *SET_LIBRARY][: 1 + 2 * knows]


@pytest.mark.parametrize("refusal", [PermissionDeniedError("no"), UnknownCommandError("what")])
def test_what_is_refused_is_not_said_again(refusal: PermissionDeniedError) -> None:
    naming = ClientNaming()
    naming.learn("8.0")
    naming.record_reply(SET_NAME, AuthError("NOAUTH"))
    assert SET_NAME in naming.commands()
    naming.record_reply(SET_NAME, refusal)
    assert naming.commands() == [SET_LIBRARY[0]]
    naming.record_reply(SET_LIBRARY[0], refusal)
    assert naming.commands() == []


async def test_a_poll_says_it_once_a_connection_together_with_its_first_command(server: FakeServer) -> None:
    watched = TargetHarness(server.url)
    for _ in range(3):
        assert await ask(watched, "INFO") is not None
    assert server.introduced == [SAID]
    await server.drop()
    await ask(watched, "INFO")
    assert server.introduced == [SAID, SAID]
    watched.client.naming.learn("8.0")
    for _ in range(3):
        await ask(watched, "INFO")
    lib = ("CLIENT", "SETINFO")
    assert server.introduced[2:] == [(*lib, "LIB-NAME", NAME), (*lib, "LIB-VER", __version__)]
    await watched.close()


async def test_a_user_who_may_not_say_it_is_served_all_the_same(server: FakeServer) -> None:
    server.script("CLIENT SETNAME", error("NOPERM no permissions to run the 'client|setname' command"))
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    for _ in range(2):
        await ask(watched, "INFO")
        await server.drop()
    assert watched.heard.reasons == ["ok"]
    assert len(server.introduced) == 1
    await watched.close()


async def test_the_pings_say_it_before_the_first_one_and_do_not_wait(server: FakeServer) -> None:
    server.script("CLIENT SETNAME", Reply(b"+OK\r\n", pieces=3))
    watched = TargetHarness(server.url)
    for count in (1, 2, 3):
        await watched.slots(1)
        await watched.ended(count)
    assert watched.heard.reasons == ["ok"] * 3
    assert server.introduced == [SAID]
    await watched.close()


async def test_a_server_that_hangs_up_instead_of_answering_says_why(server: FakeServer) -> None:
    server.script("CLIENT SETNAME", MAXCLIENTS)
    server.script("PING", "never")
    watched = TargetHarness(server.url)
    await watched.probe_due()
    await watched.ended(1)
    assert watched.heard.reasons == ["maxclients"]
    await watched.close()


async def test_a_renamed_command_is_sent_by_its_name_and_called_by_its_usual_one(server: FakeServer) -> None:
    """The name is often chosen to be kept secret."""
    watched = TargetHarness(server.url, commands={"config": "s3cret-config"})
    server.script("S3CRET-CONFIG", bulk("x"), error("ERR unknown command 's3cret-config', with args beginning with: "))
    assert await ask(watched, "CONFIG", "GET", "x") == b"x"
    with pytest.raises(UnknownCommandError, match="unknown command 'config'"):
        await ask(watched, "CONFIG", "GET", "x")
    assert ("CONFIG", "GET", "x") not in server.received
    await eventually(lambda: server.count("s3cret-config") == 2)
    assert "s3cret" not in repr(watched.target.settings)
    await watched.close()


@pytest.mark.parametrize("farewell", [MAXCLIENTS, error("DENIED Redis is running in protected mode")])
async def test_what_a_server_says_before_it_hangs_up_is_the_reason_of_the_poll(
    server: FakeServer, farewell: Reply
) -> None:
    server.greeting = farewell
    watched = TargetHarness(server.url)
    with pytest.raises(TargetError) as refused:
        await watched.client.commands("info", watched.clock() + 5).execute("INFO")
    # The kernel may deliver the RST before the text.
    assert refused.value.reason in ("reset", "maxclients" if farewell is MAXCLIENTS else "auth")
    await watched.close()


async def test_a_proxy_that_hangs_up_on_our_name_is_told_it_no_more() -> None:
    """Some proxies close the connection at a command that they do not know."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            if b"CLIENT" in data:
                break
            writer.write(b"+PONG\r\n" * data.count(b"PING"))
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    watched = TargetHarness(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    for count in range(1, 5):
        await watched.slots(1)
        await watched.ended(count)
    assert watched.heard.reasons[-1] == "ok"
    assert watched.heard.reasons[:2] == ["reset", "reset"]
    await watched.close()
    listener.close()
    await listener.wait_closed()
