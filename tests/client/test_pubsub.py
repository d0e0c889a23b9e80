"""Messages come on a connection of their own, which says when it is denied, lost or silent."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from redis_pulse import errors
from redis_pulse.client import ConnectLimiter
from redis_pulse.client.pubsub import PubSubConnection
from redis_pulse.config import ConnectionSettings
from tests.discovery.sentinel.fake_sentinels import FakeSentinel
from tests.fakes import GARBAGE, NOAUTH, Reply
from tests.harness import eventually, target_settings


@pytest.fixture
async def server() -> AsyncIterator[FakeSentinel]:
    async with FakeSentinel() as server:
        yield server


def to(server: FakeSentinel, *, patience: float = 10, **changes: object) -> PubSubConnection:
    """Make a subscription that finds a server silent soon, and waits for ``patience`` seconds."""
    connection = ConnectionSettings(socket_timeout=patience, health_check_interval=0.05)
    return PubSubConnection(target_settings(server.url, connection=connection, **changes), ConnectLimiter())


@pytest.fixture
async def subscription(server: FakeSentinel) -> AsyncIterator[PubSubConnection]:
    one = to(server)
    yield one
    await one.aclose()


async def test_messages_come_with_their_channel(server: FakeSentinel, subscription: PubSubConnection) -> None:
    await subscription.open(["+sdown", "-sdown"])
    await eventually(lambda: bool(server.listeners))
    server.publish("+sdown", "master cart 10.0.0.1 6379")
    server.publish("-sdown", "master cart 10.0.0.1 6379")
    assert await subscription.message() == ("+sdown", "master cart 10.0.0.1 6379")
    assert await subscription.message() == ("-sdown", "master cart 10.0.0.1 6379")
    assert server.received == [("SUBSCRIBE", "+sdown", "-sdown")]


async def test_a_server_that_is_silent_is_asked_whether_it_is_there(
    server: FakeSentinel, subscription: PubSubConnection
) -> None:
    server.script("PING", Reply(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"))
    await subscription.open(["+sdown"])
    waiting = asyncio.create_task(subscription.message())
    await server.arrived("PING", 2)
    await eventually(lambda: bool(server.listeners))
    server.publish("+sdown", "x")
    assert await waiting == ("+sdown", "x")


async def test_a_server_that_does_not_answer_is_gone(server: FakeSentinel) -> None:
    server.script("PING", "never")
    one = to(server, patience=0.1)
    await one.open(["+sdown"])
    with pytest.raises(errors.OperationTimeoutError):
        await one.message()
    await one.aclose()


async def test_a_connection_that_is_lost_is_said(server: FakeSentinel, subscription: PubSubConnection) -> None:
    await subscription.open(["+sdown"])
    await server.drop()
    with pytest.raises(errors.ConnectionResetByTargetError):
        await subscription.message()


async def test_a_denial_is_said(server: FakeSentinel, subscription: PubSubConnection) -> None:
    server.denied = {"SUBSCRIBE"}
    with pytest.raises(errors.PermissionDeniedError):
        await subscription.open(["+sdown"])


async def test_a_server_that_cannot_be_reached_is_said(server: FakeSentinel, subscription: PubSubConnection) -> None:
    await server.stop()
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await subscription.open(["+sdown"])


async def test_a_wrong_password_is_said_and_not_repeated(server: FakeSentinel) -> None:
    server.script("AUTH", NOAUTH)
    one = to(server, password="correct-horse")
    with pytest.raises(errors.AuthError) as caught:
        await one.open(["+sdown"])
    assert "correct-horse" not in str(caught.value)
    await one.aclose()


@pytest.mark.parametrize("nonsense", [GARBAGE, Reply(b":1\r\n"), Reply(b"*0\r\n"), Reply(b"*1\r\n$7\r\nmessage\r\n")])
async def test_what_is_no_message_is_a_breach_of_the_protocol(
    server: FakeSentinel, subscription: PubSubConnection, nonsense: Reply
) -> None:
    server.script("PING", nonsense)
    await subscription.open(["+sdown"])
    with pytest.raises(errors.ProtocolError):
        await subscription.message()
