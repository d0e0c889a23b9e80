"""Pooled connections of redis-py: what they send, TLS, closing, and what they need of redis-py."""

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
import trustme
from redis._parsers import _AsyncRESP2Parser
from redis.asyncio import UnixDomainSocketConnection

from redis_pulse import errors
from redis_pulse.client.pool import REDIS_PY_INTERNALS
from redis_pulse.config import TlsSettings
from tests.client.helpers import request, tls_server
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually

INSTANCES: dict[type, Callable[[], object]] = {
    UnixDomainSocketConnection: lambda: UnixDomainSocketConnection(path="/none"),
    _AsyncRESP2Parser: lambda: _AsyncRESP2Parser(socket_read_size=1),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in REDIS_PY_INTERNALS for name in names])
def test_redis_py_still_has_internal_attribute(kind: type, name: str) -> None:
    """The client reads and overrides undocumented attributes: this names the one that an upgrade removed."""
    instance = INSTANCES.get(kind, kind)()
    assert hasattr(instance, name), f"redis-py has no {kind.__name__}.{name} any more"


@pytest.mark.parametrize("username", [None, "me"])
async def test_target_without_password_has_no_credential_provider(server: FakeServer, username: str | None) -> None:
    harness = TargetHarness(server.url, username=username)
    await request(harness, "INFO")
    assert server.received == [("INFO",)]
    (pool,) = harness.client._pools.values()
    assert pool.connection_kwargs["credentials"] is None
    await harness.close()


async def test_password_file_without_entry_sends_no_auth(server: FakeServer, tmp_path: Path) -> None:
    """redis-py sends no AUTH when its credential provider returns an empty tuple."""
    (tmp_path / "p.json").write_text('{"redis://elsewhere:6379": "hunter2"}')
    harness = TargetHarness(server.url, password_file=tmp_path / "p.json")
    await request(harness, "INFO")
    assert server.received == [("INFO",)]
    await harness.close()


async def test_connection_is_reused(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    for _ in range(3):
        await request(harness, "INFO")
    assert server.accepted == 1
    await harness.close()
    assert harness.breaker.successes == 3


async def test_credentials_and_database_are_sent_once_per_connection(server: FakeServer) -> None:
    harness = TargetHarness(server.url, username="me", password="hunter2", db=3)
    await request(harness, "INFO")
    await request(harness, "INFO")
    assert server.received == [("AUTH", "me", "hunter2"), ("SELECT", "3"), ("INFO",), ("INFO",)]
    await harness.close()


async def test_password_file_is_read_for_each_connection(server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    harness = TargetHarness(server.url, password_file=file)
    await request(harness, "INFO")
    file.write_text("second\n")
    await server.drop()
    await request(harness, "INFO")
    assert [command for command in server.received if command[0] == "AUTH"] == [("AUTH", "first"), ("AUTH", "second")]
    file.unlink()
    await server.drop()
    with pytest.raises(errors.AuthError, match="cannot read the password file"):
        await request(harness, "INFO")
    await harness.close()


async def test_unix_socket_works(tmp_path: Path) -> None:
    async with FakeServer(unix_path=tmp_path / "s") as server:
        harness = TargetHarness(server.url)
        assert await request(harness, "PING") == b"PONG"
        await harness.close()


async def test_certificate_is_checked_against_authority_and_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with FakeServer(tls=tls_server(authority, "redis.internal")) as server:
        trusting = TargetHarness(server.url, tls=TlsSettings(ca_file=tmp_path / "ca.pem", server_name="redis.internal"))
        assert await request(trusting, "PING") == b"PONG"
        wrong_name = TargetHarness(server.url, tls=TlsSettings(ca_file=tmp_path / "ca.pem"))
        untrusting = TargetHarness(server.url, tls=TlsSettings(server_name="redis.internal"))
        for harness in (wrong_name, untrusting):
            with pytest.raises(errors.TlsError):
                await request(harness, "PING")
        unchecked = TargetHarness(server.url, tls=TlsSettings(cert_reqs="none"))
        assert await request(unchecked, "PING") == b"PONG"
        missing = TargetHarness(server.url, tls=TlsSettings(ca_file=tmp_path / "none.pem"))
        with pytest.raises(errors.TlsError):
            await request(missing, "PING")
        for harness in (trusting, wrong_name, untrusting, unchecked, missing):
            await harness.close()


async def test_client_certificate_is_sent(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client_certificate = authority.issue_cert("client")
    client_certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    context = tls_server(authority, "localhost")
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    async with FakeServer(tls=context) as server:
        tls = TlsSettings(ca_file=tmp_path / "ca.pem", cert_file=tmp_path / "client.pem", server_name="localhost")
        harness = TargetHarness(server.url, tls=tls)
        assert await request(harness, "PING") == b"PONG"
        await harness.close()


async def test_certificate_file_that_is_a_fifo_fails_at_once(server: FakeServer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    harness = TargetHarness(server.url.replace("redis://", "rediss://"), tls=TlsSettings(ca_file=tmp_path / "ca.pem"))
    with pytest.raises(errors.TargetError, match="not a regular file"):
        await harness.client.connect_probe()
    with pytest.raises(errors.TargetError, match="not a regular file"):
        await request(harness, "INFO")
    await harness.close()


async def test_close_does_not_wait_for_silent_tls_server() -> None:
    """redis-py would wait for the whole connect timeout of a stopped process, and then raise."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with authority.cert_pem.tempfile() as ca:
        async with FakeServer(tls=context) as server:
            relay = await SilentRelay.start(server.port)
            harness = TargetHarness(f"rediss://127.0.0.1:{relay.port}", tls=TlsSettings(ca_file=Path(ca)))
            await harness.client.commands("info", harness.clock() + 5).execute("INFO")
            [pool] = harness.client._pools.values()
            [connection] = pool._available_connections
            assert connection._writer is not None
            sock = connection._writer.get_extra_info("socket")
            relay.is_silent = True
            await asyncio.wait_for(harness.client.aclose(), 1)
            # A loop that ends just after, as that of doctor, would leave the socket. asyncio closes it in two steps.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert sock.fileno() == -1
            await eventually(lambda: relay.is_closed_by_client)
            await harness.close()
            await relay.stop()


class SilentRelay:
    """Forwards bytes between a client and a server. While ``is_silent``, it drops them and keeps the connection."""

    def __init__(self, port: int) -> None:
        self.is_silent = self.is_closed_by_client = False
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    async def start(cls, port: int) -> Self:
        relay = cls(port)
        relay._server = await asyncio.start_server(relay._serve, "127.0.0.1", 0)
        return relay

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._tasks.add(asyncio.ensure_future(self._forward(reader, server_writer, is_from_client=True)))
        self._tasks.add(asyncio.ensure_future(self._forward(server_reader, writer)))

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_from_client: bool = False
    ) -> None:
        try:
            while data := await source.read(65536):
                if not self.is_silent:
                    sink.write(data)
        except ConnectionError:
            pass
        finally:
            self.is_closed_by_client = self.is_closed_by_client or is_from_client
            sink.close()
