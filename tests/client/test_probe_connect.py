"""Connecting for a probe: AUTH, TLS, DNS, the times of the phases, and the options of the socket."""

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import trustme

from redis_pulse import errors
from redis_pulse.client import phases_of, probe_connect
from redis_pulse.client.probe_connect import open_socket
from redis_pulse.config import BreakerSettings, ConnectionSettings, TlsSettings
from tests.client.helpers import probe_connection, read_errors, tls_server
from tests.fakes import GARBAGE, LOADING, MAXCLIENTS, FakeServer, Reply, error
from tests.harness import TargetHarness, target_settings

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a full backlog drops SYNs on Linux only")


async def test_only_auth_is_sent_before_first_ping(server: FakeServer) -> None:
    """HELLO, CLIENT SETINFO and SELECT would be denied to a restricted user."""
    async with probe_connection(server.url, username="me", password="hunter2", db=3) as (connection, phases):
        connection.ping()
        await read_errors(connection, 1)
    assert server.received == [("AUTH", "me", "hunter2"), ("PING",)]
    assert list(phases) == ["tcp", "auth"]


async def test_server_without_users_receives_password_only(server: FakeServer) -> None:
    server.script("AUTH", error("ERR wrong number of arguments for 'auth' command"), Reply(b"+OK\r\n"))
    async with probe_connection(server.url, username="me", password="hunter2"):
        assert server.received == [("AUTH", "me", "hunter2"), ("AUTH", "hunter2")]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error("WRONGPASS invalid username-password pair or user is disabled."), errors.AuthError),
        (error("ERR Client sent AUTH, but no password is set"), errors.AuthError),
        (LOADING, errors.LoadingError),
        (GARBAGE, errors.ProtocolError),
        (Reply(b"+OK\r\n+OK\r\n"), errors.ProtocolError),
        ("close", errors.ConnectionResetByTargetError),
        ("reset", errors.ConnectionResetByTargetError),
        ("never", errors.OperationTimeoutError),
    ],
)
async def test_failed_auth_has_reason_and_hides_password(
    server: FakeServer, reply: object, expected: type[errors.TargetError]
) -> None:
    server.script("AUTH", reply)  # type: ignore[arg-type]
    harness = TargetHarness(server.url, password="hunter2", connection=ConnectionSettings(socket_connect_timeout=0.2))
    with pytest.raises(expected) as raised:
        await harness.client.connect_probe()
    assert "hunter2" not in str(raised.value)
    assert harness.observer.connects == [expected.reason]
    await harness.close()


async def test_password_quoted_by_server_is_removed(server: FakeServer) -> None:
    server.script("AUTH", error("ERR unknown command 'AUTH', with args beginning with: 'hunter2' "))
    harness = TargetHarness(server.url, password="hunter2")
    with pytest.raises(errors.UnknownCommandError) as raised:
        await harness.client.connect_probe()
    assert "hunter2" not in str(raised.value)
    await harness.close()


async def test_password_file_is_read_for_each_connection(server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    harness = TargetHarness(server.url, password_file=file)
    for word in ("first", "second"):
        file.write_text(f"{word}\n")
        (await harness.client.connect_probe()).close()
    assert server.received == [("AUTH", "first"), ("AUTH", "second")]
    file.unlink()
    with pytest.raises(errors.AuthError, match="cannot read the password file"):
        await harness.client.connect_probe()
    await harness.close()


async def refused(server: FakeServer, **changes: Any) -> errors.TargetError:
    harness = TargetHarness(server.url, **changes)
    with pytest.raises(errors.TargetError) as raised:
        await harness.client.connect_probe()
    await harness.close()
    return raised.value


async def test_untrusted_certificate_or_wrong_name_is_tls_error(
    authority: trustme.CA, trusting: TlsSettings, tmp_path: Path
) -> None:
    async with FakeServer(tls=tls_server(authority, "redis.internal")) as server:
        for tls in (trusting, TlsSettings(), TlsSettings(ca_file=tmp_path / "none.pem")):
            assert isinstance(await refused(server, tls=tls), errors.TlsError)
        for tls in (trusting.model_copy(update={"server_name": "redis.internal"}), TlsSettings(cert_reqs="none")):
            async with probe_connection(server.url, tls=tls) as (connection, _):
                connection.ping()
                assert await read_errors(connection, 1) == [None]
        async with probe_connection(server.url, tls=TlsSettings(cert_reqs="none")) as (connection, _):
            assert connection.certificate_expires is None


@pytest.mark.parametrize(
    ("reply", "expected"),
    [(b"-ERR unknown command\r\n", errors.TlsError), (b"", errors.ConnectionResetByTargetError)],
    ids=["a plain port", "hangs up"],
)
async def test_peer_without_tls_handshake_fails(reply: bytes, expected: type[errors.TargetError]) -> None:
    was_closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(reply)
        writer.close()
        was_closed.set()

    plain = await asyncio.start_server(serve, "127.0.0.1", 0)
    harness = TargetHarness(f"rediss://127.0.0.1:{plain.sockets[0].getsockname()[1]}")
    with pytest.raises(expected):
        await harness.client.connect_probe()
    await was_closed.wait()
    await harness.close()
    plain.close()
    await plain.wait_closed()


async def test_error_right_after_tls_handshake_is_received(authority: trustme.CA, trusting: TlsSettings) -> None:
    async with FakeServer(tls=tls_server(authority, tickets=0)) as server:
        server.greeting = MAXCLIENTS
        harness = TargetHarness(server.url, tls=trusting, password="x")
        with pytest.raises((errors.MaxClientsError, errors.ConnectionResetByTargetError)):
            await harness.client.connect_probe()
        await harness.close()


async def test_name_is_resolved_and_all_addresses_are_tried(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like localhost, when a server listens on 127.0.0.1 and not on ::1."""
    requested = []

    def look_up(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        requested.append(host)
        addresses = ("127.0.0.2", server.host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with probe_connection(f"redis://redis.internal:{server.port}") as (connection, phases):
        connection.ping()
        assert await read_errors(connection, 1) == [None]
        assert list(phases) == ["dns", "tcp"]
    assert requested == ["redis.internal"]


async def test_name_that_does_not_resolve_is_dns_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    harness = TargetHarness("redis://no-such-host.invalid")
    phases: dict[str, float] = {}
    with pytest.raises(errors.NameResolutionError):
        await harness.client.connect_probe(phases.__setitem__)
    assert phases == {}, "a failed phase has no duration"
    await harness.close()


async def test_closed_port_is_refused_and_missing_socket_unreachable(tmp_path: Path) -> None:
    for url, expected in (
        ("redis://127.0.0.1:1", errors.ConnectionRefusedByTargetError),
        (f"unix://{tmp_path}/none", errors.UnreachableError),
    ):
        harness = TargetHarness(url)
        with pytest.raises(expected):
            await harness.client.connect_probe()
        await harness.close()


async def test_phase_cut_off_at_deadline_has_its_duration(server: FakeServer) -> None:
    """Otherwise the slowest AUTHs would be missing from their histogram."""
    server.script("AUTH", "never")
    limit = ConnectionSettings(socket_connect_timeout=0.5)
    harness = TargetHarness(server.url, password="x", clock=monotonic, connection=limit)
    phases: dict[str, float] = {}
    with pytest.raises(errors.OperationTimeoutError):
        await harness.client.connect_probe(phases.__setitem__)
    assert list(phases) == ["tcp", "auth"]
    assert sum(phases.values()) >= 0.4
    await harness.close()


def test_phases_depend_on_url_and_password() -> None:
    assert phases_of(target_settings("redis://127.0.0.1:1")) == ["tcp"]
    assert phases_of(target_settings("redis://[::1]:1", password="x")) == ["tcp", "auth"]
    assert phases_of(target_settings("rediss://redis.internal:1")) == ["dns", "tcp", "tls"]
    assert phases_of(target_settings("unix:///run/redis.sock")) == ["tcp"]


async def test_tcp_options_are_set(server: FakeServer) -> None:
    async with probe_connection(server.url) as (connection, _):
        sock = connection._sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4_000
    async with probe_connection(server.url, connection=ConnectionSettings(socket_keepalive=False)) as (connection, _):
        assert not connection._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@contextmanager
def unresponsive_address(host: str, port: int = 0) -> Iterator[tuple[str, int]]:
    """Yield an address where SYNs are dropped, because the queue of a listener that never accepts is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, port), backlog=0))
        address = listener.getsockname()[:2]
        while True:
            client = stack.enter_context(socket.socket())
            client.settimeout(0.2)
            try:
                client.connect(address)
            except TimeoutError:
                break
        yield address


@linux_only
async def test_trial_gives_up_tcp_handshake_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next trial sends a new SYN before the kernel would repeat the old one."""
    monkeypatch.setattr(probe_connect, "TRIAL_CONNECT_TIMEOUT", 0.05)
    with unresponsive_address("127.0.0.1") as (host, port):
        harness = TargetHarness(f"redis://{host}:{port}", breaker=BreakerSettings(failure_threshold=1))
        permit = harness.breaker.acquire()
        assert permit is not None
        permit.failure(errors.OperationTimeoutError("no answer in time"))
        with pytest.raises(errors.OperationTimeoutError):
            await harness.client.connect_probe()
        await harness.close()


@linux_only
async def test_dead_address_leaves_time_for_next_one(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(_host: str, _port: object, **_options: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.2", server.host)]

    monkeypatch.setattr(probe_connect, "TRIAL_CONNECT_TIMEOUT", 0.05)
    with unresponsive_address("127.0.0.2", server.port):
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        async with probe_connection(f"redis://redis.internal:{server.port}") as (connection, _):
            connection.ping()
            assert await read_errors(connection, 1) == [None]


def test_option_that_platform_lacks_is_omitted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE"):
        monkeypatch.delattr(socket, name, raising=False)
    with open_socket(socket.AF_INET, keepalive=True, dead_after=30) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not on this platform")
def test_socket_with_invalid_option_is_closed() -> None:
    with pytest.raises((TypeError, OverflowError)):
        open_socket(socket.AF_INET, keepalive=True, dead_after=10**300)
