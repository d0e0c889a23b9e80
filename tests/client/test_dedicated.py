"""What is set on a connection stays on it. It is made again after an error."""

from collections.abc import AsyncIterator

import pytest

from redis_pulse.client import ConnectLimiter, DedicatedConnection
from redis_pulse.client.credentials import Credentials
from redis_pulse.errors import (
    ConnectionRefusedByTargetError,
    ConnectionResetByTargetError,
    LoadingError,
    NoDatabaseError,
    OperationTimeoutError,
    TargetError,
    TooLargeError,
)
from tests.fakes import LOADING, FakeServer, bulk, error
from tests.harness import target_settings


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as fake:
        yield fake


def connect(server: FakeServer, max_reply: int = 10_000) -> DedicatedConnection:
    settings = target_settings(server.url, connection={"socket_timeout": 0.5, "socket_connect_timeout": 2.0})
    return DedicatedConnection(
        settings, Credentials(settings, on_not_renewed=lambda _reason: None), ConnectLimiter(), max_reply=max_reply
    )


async def test_replies_come_in_order_with_errors_as_values(server: FakeServer) -> None:
    connection = connect(server)
    server.script("GET", bulk("one"), LOADING, bulk("three"))
    first, second, third = await connection.exchange([("GET", "a"), ("GET", "b"), ("GET", "c")])
    await connection.aclose()
    assert (first, third) == (b"one", b"three")
    assert isinstance(second, LoadingError)


async def test_database_is_selected_only_when_it_changes(server: FakeServer) -> None:
    connection = connect(server)
    for db in (0, 3, 3, 0):
        await connection.exchange([("PING",)], db=db)
    await connection.aclose()
    assert [args for args in server.received if args[0] == "SELECT"] == [("SELECT", "3"), ("SELECT", "0")]
    assert server.accepted == 1


async def test_database_that_does_not_exist_returns_no_reply_of_another_one(server: FakeServer) -> None:
    connection = connect(server)
    server.script("SELECT", error("ERR DB index is out of range"))
    with pytest.raises(NoDatabaseError):
        await connection.exchange([("DBSIZE",)], db=99)
    assert await connection.exchange([("PING",)]) == [b"PONG"]
    await connection.aclose()
    assert server.accepted == 2


async def test_commands_for_each_connection_are_sent_once(server: FakeServer) -> None:
    connection = connect(server)
    once = [("CLIENT", "NO-TOUCH", "ON")]
    await connection.exchange([("PING",)], once=once)
    await connection.exchange([("PING",)], once=once)
    await connection.aclose()
    await connection.exchange([("PING",)], once=once)
    await connection.aclose()
    assert server.received.count(("CLIENT", "NO-TOUCH", "ON")) == 2


async def test_lost_connection_is_an_error_and_the_next_exchange_connects_again(server: FakeServer) -> None:
    connection = connect(server)
    await connection.exchange([("PING",)], db=3)
    server.script("DBSIZE", "reset")
    with pytest.raises(ConnectionResetByTargetError):
        await connection.exchange([("DBSIZE",)], db=3)
    server.script("DBSIZE", bulk("7"))
    assert await connection.exchange([("DBSIZE",)], db=3) == [b"7"]
    await connection.aclose()
    assert server.received.count(("SELECT", "3")) == 2


async def test_silence_is_a_timeout_and_closes_the_connection(server: FakeServer) -> None:
    connection = connect(server)
    server.script("DBSIZE", "never")
    with pytest.raises(OperationTimeoutError):
        await connection.exchange([("DBSIZE",)], within=0.1)
    server.script("DBSIZE", bulk("7"))
    assert await connection.exchange([("DBSIZE",)]) == [b"7"]
    await connection.aclose()


async def test_reply_above_the_limit_is_not_read(server: FakeServer) -> None:
    connection = connect(server)
    server.script("RANDOMKEY", bulk("x" * 20_000))
    with pytest.raises(TooLargeError):
        await connection.exchange([("RANDOMKEY",)])
    await connection.aclose()


async def test_renamed_command_has_its_name_on_this_server(server: FakeServer) -> None:
    settings = target_settings(server.url, commands={"scan": "s3cr3t"})
    connection = DedicatedConnection(
        settings, Credentials(settings, on_not_renewed=lambda _reason: None), ConnectLimiter(), max_reply=1000
    )
    await connection.exchange([("SCAN", 0)])
    await connection.aclose()
    assert ("s3cr3t", "0") in server.received


async def test_refused_connection_is_mapped() -> None:
    settings = target_settings("redis://127.0.0.1:1")
    connection = DedicatedConnection(
        settings, Credentials(settings, on_not_renewed=lambda _reason: None), ConnectLimiter(), max_reply=1000
    )
    with pytest.raises(TargetError) as raised:
        await connection.exchange([("PING",)])
    assert isinstance(raised.value, ConnectionRefusedByTargetError)
