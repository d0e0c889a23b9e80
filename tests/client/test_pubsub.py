"""The subscription receives messages, and raises an error when it is denied, lost or silent."""

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


def subscription_to(server: FakeSentinel, *, patience: float = 10, **changes: object) -> PubSubConnection:
    """Return a subscription that sends a PING soon, and waits for its reply for ``patience`` seconds."""
    connection = ConnectionSettings(socket_timeout=patience, health_check_interval=0.05)
    return PubSubConnection(target_settings(server.url, connection=connection, **changes), ConnectLimiter())


@pytest.fixture
async def subscription(server: FakeSentinel) -> AsyncIterator[PubSubConnection]:
    one = subscription_to(server)
    yield one
    await one.aclose()


async def test_message_has_channel_and_text(server: FakeSentinel, subscription: PubSubConnection) -> None:
    await subscription.open(["+sdown", "-sdown"])
    await eventually(lambda: bool(server.subscribers))
    server.publish("+sdown", "master cart 10.0.0.1 6379")
    server.publish("-sdown", "master cart 10.0.0.1 6379")
    assert await subscription.message() == ("+sdown", "master cart 10.0.0.1 6379")
    assert await subscription.message() == ("-sdown", "master cart 10.0.0.1 6379")
    assert server.received == [("SUBSCRIBE", "+sdown", "-sdown")]


async def test_silent_server_receives_ping(server: FakeSentinel, subscription: PubSubConnection) -> None:
    server.script("PING", Reply(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"))
    await subscription.open(["+sdown"])
    waiting = asyncio.create_task(subscription.message())
    await server.arrived("PING", 2)
    await eventually(lambda: bool(server.subscribers))
    server.publish("+sdown", "x")
    assert await waiting == ("+sdown", "x")


async def test_server_without_reply_to_ping_is_lost(server: FakeSentinel) -> None:
    server.script("PING", "never")
    one = subscription_to(server, patience=0.1)
    await one.open(["+sdown"])
    with pytest.raises(errors.OperationTimeoutError):
        await one.message()
    await one.aclose()


async def test_lost_connection_raises_reset(server: FakeSentinel, subscription: PubSubConnection) -> None:
    await subscription.open(["+sdown"])
    await server.drop()
    with pytest.raises(errors.ConnectionResetByTargetError):
        await subscription.message()


async def test_denied_channel_raises_permission_denied(server: FakeSentinel, subscription: PubSubConnection) -> None:
    server.denied = {"SUBSCRIBE"}
    with pytest.raises(errors.PermissionDeniedError):
        await subscription.open(["+sdown"])


async def test_closed_port_raises_refused(server: FakeSentinel, subscription: PubSubConnection) -> None:
    await server.stop()
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await subscription.open(["+sdown"])


async def test_wrong_password_raises_auth_error_and_is_hidden(server: FakeSentinel) -> None:
    server.script("AUTH", NOAUTH)
    one = subscription_to(server, password="correct-horse")
    with pytest.raises(errors.AuthError) as caught:
        await one.open(["+sdown"])
    assert "correct-horse" not in str(caught.value)
    await one.aclose()


@pytest.mark.parametrize("invalid", [GARBAGE, Reply(b":1\r\n"), Reply(b"*0\r\n"), Reply(b"*1\r\n$7\r\nmessage\r\n")])
async def test_invalid_message_raises_protocol_error(
    server: FakeSentinel, subscription: PubSubConnection, invalid: Reply
) -> None:
    server.script("PING", invalid)
    await subscription.open(["+sdown"])
    with pytest.raises(errors.ProtocolError):
        await subscription.message()
