"""A malformed command on a new connection tells a running event loop from a stopped process."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trustme

from redis_pulse.stalls.fresh_connection import FreshTls, Peer, try_fresh_connection


@asynccontextmanager
async def serving(reply: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Serve one connection: send a reply, and read until the client has closed."""
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        with suppress(OSError):
            await reader.read()
            writer.close()
            await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    sock = server.sockets[0]
    yield int(sock.family), sock.getsockname()
    await closed.wait()
    server.close()
    await server.wait_closed()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def client_tls(authority: trustme.CA) -> FreshTls:
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def ready() -> ssl.SSLContext:
        return context

    return FreshTls(ready, "localhost")


@pytest.mark.parametrize(("reply", "expected"), [(b"-ERR Protocol error\r\n", (True, True)), (b"", (True, False))])
async def test_fresh_connection_tells_whether_the_server_refuses(reply: bytes, expected: tuple[bool, bool]) -> None:
    async with serving(reply) as peer:
        assert await try_fresh_connection(peer, None) == expected


async def test_closed_port_makes_no_connection() -> None:
    async with serving(b"") as peer:
        await try_fresh_connection(peer, None)
    assert await try_fresh_connection(peer, None) == (False, False)


async def test_server_with_tls_is_tested_too(authority: trustme.CA, client_tls: FreshTls) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with serving(b"-ERR Protocol error\r\n", context) as peer:
        assert await try_fresh_connection(peer, client_tls) == (True, True)


async def test_stopped_server_with_tls_accepts_but_makes_no_handshake(client_tls: FreshTls) -> None:
    async with serving(b"") as peer:
        assert await try_fresh_connection(peer, client_tls) == (True, False)
