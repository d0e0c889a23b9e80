"""The session with one target: deadlines, retries, reconnect delays, and the verdicts of the breaker."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from redis_pulse import errors, file_descriptors
from redis_pulse.client import ConnectLimiter
from redis_pulse.config import ConnectionSettings, PollSettings
from tests.client.helpers import request
from tests.fakes import GARBAGE, LOADING, MAXCLIENTS, NOAUTH, FakeServer, bulk, error
from tests.harness import TargetHarness


async def test_command_returns_raw_reply_and_sends_nothing_else(server: FakeServer) -> None:
    """CLIENT SETINFO and HELLO would be denied to a restricted user, and the server would count errors."""
    harness = TargetHarness(server.url)
    assert await request(harness, "INFO") == server.info.data.split(b"\r\n", 1)[1].removesuffix(b"\r\n")
    assert server.received == [("INFO",)]
    assert harness.observer.connects == ["ok"]
    await harness.close()


async def test_deadline_covers_whole_operation(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    server.script("INFO", "never")
    await request(harness, "PING")  # connects without a hurry: a connect that is cut off would delay the next one
    with pytest.raises(errors.OperationTimeoutError):
        await request(harness, "INFO", within=0.05)
    assert harness.breaker.failures == 1
    server.script("INFO", bulk("x"))
    assert await request(harness, "INFO") == b"x"  # on a new connection, because a late reply may arrive on the old one
    assert server.accepted == 2
    await harness.close()


async def test_operation_that_queues_until_its_deadline_is_skipped(
    server: FakeServer,
) -> None:
    """A target must not look dead because a thousand others connect."""
    harness = TargetHarness(server.url)
    harness.client.connect_limiter = ConnectLimiter(1, max_hold_seconds=60)
    commands = harness.client.commands("info", harness.clock() + 0.05)
    async with harness.client.connect_limiter.acquire():
        with pytest.raises(errors.SkippedError):
            await commands.execute("INFO")
        assert commands.is_queueing
    assert (harness.breaker.failures, harness.breaker.releases) == (0, 1)
    assert (server.accepted, harness.observer.connects) == (0, [])
    assert await request(harness, "INFO")
    await harness.close()


async def test_connect_that_hangs_is_timeout_of_target(server: FakeServer) -> None:
    server.script("AUTH", "never")
    harness = TargetHarness(server.url, password="x")
    commands = harness.client.commands("info", harness.clock() + 0.05)
    with pytest.raises(errors.OperationTimeoutError):
        await commands.execute("INFO")
    assert not commands.is_queueing
    assert harness.breaker.failures == 1
    await harness.close()


async def test_open_breaker_sends_nothing_and_raises_its_cause(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    for _ in range(5):
        permit = harness.breaker.acquire()
        assert permit is not None
        permit.failure(errors.ConnectionRefusedByTargetError("nothing listens"))
    with pytest.raises(errors.ConnectionRefusedByTargetError, match="nothing listens"):
        await request(harness, "INFO")
    assert server.accepted == 0
    await harness.close()


async def test_reply_to_ping_ends_reconnect_delay(server: FakeServer) -> None:
    """After a ping has closed the breaker, an older failed attempt to connect does not count."""
    harness = TargetHarness(server.url, breaker={"failure_threshold": 1})
    await server.stop()
    harness.clock.advance(1)
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await request(harness, "INFO")
    harness.client._reconnect_after = harness.clock() + 60
    await server.start()
    harness.clock.advance(1)
    permit = harness.breaker.acquire_probe(harness.clock())
    assert permit is not None
    permit.success()
    await request(harness, "INFO")
    await harness.close()


async def test_read_on_dead_connection_is_retried_and_counted(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    await request(harness, "INFO")
    await server.drop()
    await request(harness, "INFO")
    assert harness.observer.retries == ["info"]
    assert server.count("INFO") == 2
    await harness.close()


async def test_write_is_never_sent_twice(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    server.script("SET", "reset")
    with pytest.raises(errors.ConnectionResetByTargetError):
        await request(harness, "SET", "a", "b")
    assert harness.observer.retries == []
    assert server.count("SET") == 1
    await harness.close()


async def test_read_is_retried_as_often_as_configured(server: FakeServer) -> None:
    harness = TargetHarness(server.url, poll=PollSettings(retries=2))
    server.script("INFO", "reset")
    with pytest.raises(errors.ConnectionResetByTargetError):
        await request(harness, "INFO")
    assert server.count("INFO") == 3
    await harness.close()


async def test_read_that_timed_out_is_retried_if_configured(server: FakeServer) -> None:
    connection = ConnectionSettings(socket_timeout=0.02, retry_on_timeout=True)
    harness = TargetHarness(server.url, connection=connection)
    server.script("INFO", "never", bulk("x"))
    assert await request(harness, "INFO") == b"x"
    assert harness.observer.retries == ["info"]
    await harness.close()


async def test_connect_after_failure_waits_for_backoff() -> None:
    harness = TargetHarness("redis://127.0.0.1:1", breaker={"failure_threshold": 50})
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await request(harness, "INFO")
    harness.client._reconnect_after = harness.clock() + 1
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await request(harness, "INFO")
    assert harness.observer.connects == ["refused"]
    harness.clock.advance(1)
    with pytest.raises(errors.ConnectionRefusedByTargetError):
        await request(harness, "INFO")
    assert harness.observer.connects == ["refused", "refused"]
    await harness.close()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (LOADING, errors.LoadingError),
        (NOAUTH, errors.AuthError),
        (GARBAGE, errors.ProtocolError),
        (error("NOPERM this user has no permissions"), errors.PermissionDeniedError),
        (error("BUSY Redis is busy running a script."), errors.BusyError),
    ],
)
async def test_error_reply_raises_target_error(
    server: FakeServer, reply: object, expected: type[errors.TargetError]
) -> None:
    server.script("INFO", reply)  # type: ignore[arg-type]
    harness = TargetHarness(server.url)
    with pytest.raises(expected):
        await request(harness, "INFO")
    await harness.close()


async def test_full_server_is_reported_as_maxclients(server: FakeServer) -> None:
    server.greeting = MAXCLIENTS
    harness = TargetHarness(server.url, poll=PollSettings(retries=0))
    with pytest.raises((errors.MaxClientsError, errors.ConnectionResetByTargetError)):
        await request(harness, "INFO")
    await harness.close()


async def test_cancelled_call_releases_its_permit(server: FakeServer) -> None:
    server.script("INFO", "never")
    harness = TargetHarness(server.url)
    call = asyncio.create_task(request(harness, "INFO"))
    await server.arrived("INFO")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (harness.breaker.releases, harness.breaker.outstanding) == (1, 0)
    await harness.close()


async def test_other_database_has_separate_connections(server: FakeServer) -> None:
    """A SELECT on a shared connection would move the commands of others."""
    harness = TargetHarness(server.url)
    commands = harness.client.commands("keys", harness.clock() + 5)
    for db in (None, 3, 3, None):
        await commands.execute("DBSIZE", db=db)
    assert server.received.count(("SELECT", "3")) == 1
    assert server.accepted == 2
    await harness.close()


async def test_noauth_names_password_file_without_entry(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"redis://elsewhere:6379": "hunter2"}')
    server.script("INFO", NOAUTH)
    harness = TargetHarness(server.url, password_file=tmp_path / "p.json")
    with pytest.raises(errors.AuthError) as refused:
        await request(harness, "INFO")
    assert str(refused.value) == f"the password file has no entry for {server.host}:{server.port}"
    (tmp_path / "p.json").write_text('[{"hunter2": 1}]')
    with pytest.raises(errors.AuthError, match="JSON of another form") as refused:
        await request(harness, "INFO")
    assert "hunter2" not in str(refused.value)
    await harness.close()


async def test_noauth_without_password_file_keeps_server_text(server: FakeServer) -> None:
    server.script("INFO", NOAUTH)
    harness = TargetHarness(server.url)
    with pytest.raises(errors.AuthError, match="Authentication required"):
        await request(harness, "INFO")
    await harness.close()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_lack_of_descriptors_or_memory_is_skipped(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("redis_pulse.client.pool.check_descriptor_available", refuse)
    monkeypatch.setattr("redis_pulse.client.probe_connect.reject_reserved", refuse)
    before = file_descriptors.shortages
    harness = TargetHarness(server.url)
    with pytest.raises(errors.SkippedError):
        await request(harness, "INFO")
    with pytest.raises(errors.SkippedError):
        await harness.client.connect_probe()
    assert (harness.breaker.failures, harness.breaker.releases) == (0, 1)
    assert harness.observer.connects == ["skipped", "skipped"]
    assert harness.client.reconnect_delay_error() is None
    assert file_descriptors.shortages > before
    await harness.close()
