"""Connections share one token. A rejected one is renewed at once, and old connections are replaced."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from time import time
from typing import Any

import pytest

from redis_pulse.client import TargetClient, phases_of
from redis_pulse.config import AwsSettings, CredentialsSettings, TargetSettings
from redis_pulse.errors import AuthError, OverloadedError, SkippedError
from redis_pulse.tokens import RenewalError, SharedToken, Token, TokenRegistry
from tests.client.helpers import request
from tests.fakes import OK, FakeServer, error
from tests.harness import RecordingObserver, TargetHarness, target_settings
from tests.tokens.test_renewal import Source

SETTINGS = CredentialsSettings.model_validate({"command": ["/bin/token"], "timeout": "1s"})
AWS = CredentialsSettings(aws=AwsSettings(name="cache", user="me", region="eu-west-1"))
WRONGPASS = error("WRONGPASS invalid username-password pair or user is disabled.")


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()
    source.now = time()
    yield source
    source.released.set()


def harness_with(
    server: FakeServer, source: Source, settings: CredentialsSettings = SETTINGS, registry: TokenRegistry | None = None
) -> TargetHarness:
    harness = TargetHarness(server.url, token_source=settings)
    registry = registry or TokenRegistry(lambda _settings: source)
    harness.client = TargetClient(
        harness.target, harness.breaker, harness.observer, clock=harness.clock, tokens=registry
    )
    return harness


async def renewed(shared: SharedToken | None) -> None:
    """Renew a token now, and wait for the end of it."""
    assert shared is not None
    shared._start()
    assert shared._task is not None
    await asyncio.wait([shared._task])


def logins(server: FakeServer) -> list[tuple[str, ...]]:
    return [command[1:] for command in server.received if command[0] == "AUTH"]


async def test_all_connections_of_a_target_share_one_token(server: FakeServer, source: Source) -> None:
    harness = harness_with(server, source)
    probe = await harness.client.connect_probe()
    await request(harness, "PING")
    await harness.client.ask([("INFO",)], 1.0)
    assert logins(server) == [("me", "p1")] * 2
    assert source.calls == 1
    assert harness.client.credentials.secret == "p1"
    assert "auth" in phases_of(harness.target)
    probe.close()
    await harness.close()


async def test_targets_with_the_same_source_share_it(server: FakeServer, source: Source) -> None:
    """All nodes of a cluster are such targets."""
    registry = TokenRegistry(lambda _settings: source)
    harnesses = [harness_with(server, source, registry=registry) for _ in range(5)]
    await asyncio.gather(*(request(harness, "PING") for harness in harnesses))
    assert source.calls == 1
    source.error = RenewalError("identity", "gone")
    await renewed(registry.shared(SETTINGS))
    assert [harness.observer.not_renewed for harness in harnesses] == [["identity"]] * 5
    for harness in harnesses:
        await harness.close()


async def test_rejected_token_is_renewed_on_the_same_connection(server: FakeServer, source: Source) -> None:
    harness = harness_with(server, source)
    server.script("AUTH", WRONGPASS, OK)
    connection = await harness.client.connect_probe()
    assert logins(server) == [("me", "p1"), ("me", "p2")]
    assert (server.accepted, connection.login.password) == (1, "p2")
    connection.close()
    await harness.close()


async def test_rejected_token_of_a_poll_is_renewed_within_its_deadline(server: FakeServer, source: Source) -> None:
    harness = harness_with(server, source)
    server.script("AUTH", WRONGPASS, OK)
    assert await request(harness, "PING") == b"PONG"
    assert logins(server) == [("me", "p1"), ("me", "p2")]
    await harness.close()


async def test_token_that_stays_rejected_is_auth_and_no_flood(server: FakeServer, source: Source) -> None:
    harness = harness_with(server, source)
    server.script("AUTH", WRONGPASS)
    for _ in range(10):
        with pytest.raises(AuthError):
            await harness.client.connect_probe()
    assert source.calls <= 3
    await harness.close()


async def test_busy_iam_service_renews_nothing(server: FakeServer, source: Source) -> None:
    harness = harness_with(server, source)
    server.script("AUTH", error("ERR (ERR_IAM_EXHAUSTED) Memorystore IAM authentication backend quota exceeded."))
    with pytest.raises(OverloadedError):
        await harness.client.connect_probe()
    assert source.calls == 1
    await harness.close()


async def test_failed_source_is_auth_with_its_reason(server: FakeServer, source: Source) -> None:
    source.error = RenewalError("program", "the program failed with exit code 1")
    harness = harness_with(server, source)
    with pytest.raises(AuthError, match="there is no login: the program failed with exit code 1"):
        await harness.client.connect_probe()
    with pytest.raises(AuthError, match="there is no login"):
        await request(harness, "PING")
    assert server.accepted == 0, "without a login no connection is of use"
    await harness.close()


async def test_ping_that_waits_for_the_first_token_is_skipped(server: FakeServer, source: Source) -> None:
    """The exporter is slow then, not the server."""
    harness = harness_with(server, source)
    source.released.clear()
    attempt = asyncio.ensure_future(harness.client.connect_probe())
    await asyncio.sleep(0.01)
    assert isinstance(harness.client.connect_timeout_error(), SkippedError)
    source.released.set()
    (await attempt).close()
    assert not isinstance(harness.client.connect_timeout_error(), SkippedError)
    await harness.close()


async def test_connection_is_replaced_before_the_next_poll(server: FakeServer, source: Source) -> None:
    harness = harness_with(server, source)
    await request(harness, "PING")
    (pool,) = harness.client._pools.values()
    connection: Any = pool._available_connections[-1]
    connection.serves_until = 0.0
    await request(harness, "PING")
    assert server.accepted == 1, "there is no newer token, so another connection would end as soon"
    await renewed(harness.client.credentials.shared)
    await request(harness, "PING")
    assert (server.accepted, logins(server)[-1]) == (2, ("me", "p2"))
    assert harness.observer.retries == []
    await harness.close()


async def test_connection_for_pings_says_when_it_must_be_replaced(server: FakeServer, source: Source) -> None:
    harness = harness_with(server, source, AWS)
    connection = await harness.client.connect_probe()
    assert not harness.client.must_replace(connection)
    harness.clock.advance(11 * 3600)
    assert not harness.client.must_replace(connection), "there is no newer token"
    await renewed(harness.client.credentials.shared)
    assert harness.client.must_replace(connection)
    connection.close()
    await harness.close()


async def test_failed_spare_connection_delays_no_poll(server: FakeServer, source: Source) -> None:
    harness = harness_with(server, source)
    await request(harness, "PING")
    server.script("AUTH", error("ERR (ERR_IAM_OTHER) Memorystore IAM authentication backend error."))
    with suppress(OverloadedError):
        await harness.client.connect_probe(is_spare=True)
    assert harness.client.reconnect_delay_error() is None
    await harness.close()


async def test_user_of_the_target_completes_a_bare_password(server: FakeServer) -> None:
    harness = TargetHarness(server.url, token_source=SETTINGS, username="exporter")
    registry = TokenRegistry(lambda _settings: lambda: Token("bare"))
    harness.client = TargetClient(
        harness.target, harness.breaker, RecordingObserver(), clock=harness.clock, tokens=registry
    )
    (await harness.client.connect_probe()).close()
    assert logins(server) == [("exporter", "bare")]
    await harness.close()


@pytest.mark.parametrize(
    ("changes", "user"),
    [({}, "default"), ({"token_source": AWS}, "me"), ({"token_source": SETTINGS, "username": "x"}, "x")],
)
def test_user_of_a_target_is_known_as_far_as_settings_name_it(changes: dict[str, Any], user: str) -> None:
    settings: TargetSettings = target_settings(**changes)
    assert settings.user == user
    assert settings.has_login is bool(changes)
