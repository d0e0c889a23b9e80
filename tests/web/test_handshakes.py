"""Tests of ``Handshakes`` over real sockets: the order of clients, their limits, and what an unfinished one costs."""

import asyncio
import gc
import inspect
import socket
import ssl
import weakref
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trustme

from redis_pulse.web import bind, handshakes
from redis_pulse.web.acceptor import Acceptor
from redis_pulse.web.connection_accounting import Client, ClientLimits, ConnectionAccounting
from redis_pulse.web.handshakes import SSL_PROTOCOL_ATTRIBUTES
from redis_pulse.web.tls import TlsAccess
from tests.fakes import ManualClock
from tests.harness import eventually
from tests.patience import at_most

_AUTHORITY = trustme.CA()
_ANY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_ANY.check_hostname, _ANY.verify_mode = False, ssl.CERT_NONE


class HelloProtocol(asyncio.Protocol):
    """Sends hello and its number. The numbers show the order in which handshakes are complete."""

    made = 0
    tls_source = tls = None

    def __init__(self, client: Client) -> None:
        self.client = client
        HelloProtocol.made += 1
        self.number = HelloProtocol.made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.client.close = transport.abort
        transport.write(b"hello %d\n" % self.number)

    def connection_lost(self, exc: Exception | None) -> None:
        self.client.left()


class Source:
    """A source of TLS, whose gate delays the reading of the web configuration file."""

    def __init__(self, tls: TlsAccess | None) -> None:
        self.tls = tls
        self.gate = asyncio.Event()
        self.gate.set()
        self.readings = 0

    async def for_new_connection(self) -> TlsAccess | None:
        self.readings += 1
        await self.gate.wait()
        return self.tls

    def is_current(self, tls: TlsAccess | None) -> bool:
        return tls is self.tls


class Port:
    """A port with TLS, and clients of it."""

    def __init__(self, *, is_plain: bool = False) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _AUTHORITY.issue_cert("localhost").configure_cert(context)
        self.source = Source(None if is_plain else TlsAccess(context, requires_client=False))
        self.closed = 0
        self.accounting = ConnectionAccounting(ClientLimits(), ManualClock(), on_closed=self._count)
        self.sock = bind("127.0.0.1:0")
        self.acceptor = Acceptor(self.sock, HelloProtocol, self.accounting, self.source)
        self.address = self.sock.getsockname()
        self.clients: list[socket.socket] = []

    def _count(self) -> None:
        self.closed += 1

    def silent(self) -> socket.socket:
        """Connect, and send nothing."""
        client = socket.create_connection(self.address)
        client.setblocking(False)
        self.clients.append(client)
        return client

    def unfinished(self) -> socket.socket:
        """Send the first message of a handshake, and never the next one."""
        client, sent = self.silent(), ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            _ANY.wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
        client.sendall(sent.read())
        return client

    async def greeting(self) -> bytes:
        """Return what a client receives after its handshake."""
        reader, writer = await asyncio.open_connection(*self.address, ssl=_ANY)
        try:
            async with at_most(10):
                return await reader.readline()
        finally:
            writer.transport.abort()


@asynccontextmanager
async def port(*, is_plain: bool = False) -> AsyncIterator[Port]:
    """Serve a port, and check at its end that nothing of it is left."""
    made = Port(is_plain=is_plain)
    try:
        yield made
        for client in made.clients:
            client.close()
        await eventually(lambda: len(made.accounting) == 0)
    finally:
        made.acceptor.close()
        await made.acceptor.wait_closed()


def has_answer(client: socket.socket) -> bool:
    """Return whether a client can read, at least the end of its connection."""
    try:
        client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def is_closed(client: socket.socket) -> bool:
    """Read everything, and return whether the connection has ended."""
    try:
        while client.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


async def test_client_is_greeted_after_its_handshake() -> None:
    async with port() as served:
        assert (await served.greeting()).startswith(b"hello")
        assert served.closed == 0


async def test_newest_and_oldest_client_come_in_turn_and_share_one_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handshakes, "_SLICE", 0)
    async with port() as served:
        served.source.gate.clear()
        clients = [served.unfinished() for _ in range(5)]
        await eventually(lambda: len(served.accounting) == 5)
        served.source.readings = 0
        served.source.gate.set()
        order: list[int] = []
        while len(order) < 5:
            await asyncio.sleep(0)
            order += [at for at, client in enumerate(clients) if at not in order and has_answer(client)]
        assert order == [4, 0, 3, 1, 2]
        assert served.source.readings <= 1


async def test_oldest_unfinished_handshake_is_closed_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "UNFINISHED", ClientLimits(total=6, per_address=3))
    async with port() as served:
        clients = []
        for _ in range(5):
            clients.append(served.unfinished())
            await eventually(lambda: has_answer(clients[-1]))
        assert [is_closed(client) for client in clients] == [True, True, False, False, False]
        assert served.closed == 2
        assert (await served.greeting()).startswith(b"hello")


@pytest.mark.parametrize("state", ["silent", "spoken", "begun"])
async def test_client_can_be_closed_in_each_state(state: str) -> None:
    async with port() as served:
        if state == "spoken":
            served.source.gate.clear()
        client = served.silent() if state == "silent" else served.unfinished()
        await eventually(lambda: len(served.accounting) == 1)
        if state == "begun":
            await eventually(lambda: has_answer(client))
        for _ in range(20):
            await asyncio.sleep(0)
        (one,) = served.accounting._clients.in_order((0,))
        one.close()
        await eventually(lambda: is_closed(client))
        served.source.gate.set()
        assert (await served.greeting()).startswith(b"hello")


@pytest.mark.parametrize("begin", ["silent", "unfinished"])
async def test_handshake_has_a_deadline(begin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "HANDSHAKE_TIMEOUT", 0.05)
    async with port() as served:
        client = served.silent() if begin == "silent" else served.unfinished()
        await eventually(lambda: is_closed(client))


async def test_plain_request_is_told_to_use_https() -> None:
    async with port() as served:
        reader, writer = await asyncio.open_connection(*served.address)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        async with at_most(10):
            response = await reader.read()
        head, _, body = response.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"content-length: %d\r\n" % len(body) in head
        assert b"https://" in body
        writer.close()


async def test_client_without_tls_is_served_while_the_file_has_none() -> None:
    async with port(is_plain=True) as served:
        reader, writer = await asyncio.open_connection(*served.address)
        writer.write(b"x")
        async with at_most(10):
            assert (await reader.readline()).startswith(b"hello")
        writer.transport.abort()


def _garbage(served: Port) -> socket.socket:
    client = served.silent()
    client.sendall(b"\x16\x03\x01\x00\x10" + b"x" * 40)
    return client


def _leaves(served: Port) -> socket.socket:
    client = served.unfinished()
    client.shutdown(socket.SHUT_WR)
    return client


@pytest.mark.parametrize("attack", [_garbage, _leaves])
async def test_failed_handshake_needs_no_garbage_collection(
    attack: Callable[[Port], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of them would take 100 MB until the next full collection, and that would stop the loop."""
    alive: list[weakref.ref[object]] = []
    original = handshakes._Handshake.begin

    def begin(handshake: handshakes._Handshake) -> None:
        original(handshake)
        alive.append(weakref.ref(handshake))
        alive.append(weakref.ref(handshake.state))

    monkeypatch.setattr(handshakes._Handshake, "begin", begin)
    async with port() as served:
        gc.disable()
        try:
            client = attack(served)
            await eventually(lambda: is_closed(client))
            await eventually(lambda: len(alive) == 2 and all(one() is None for one in alive))
        finally:
            gc.enable()


async def test_connection_that_ends_needs_no_garbage_collection() -> None:
    async with port() as served:
        gc.collect()
        gc.disable()
        try:
            await served.greeting()
            await eventually(lambda: len(served.accounting) == 0)
            await asyncio.sleep(0)
            transports = [one for one in gc.get_objects() if type(one).__name__ == "_SelectorSocketTransport"]
            ours = [one for one in transports if one.get_extra_info("sockname") == served.address]
            del transports
            assert ours == []
        finally:
            gc.enable()


def test_python_has_the_attributes_that_we_use() -> None:
    """We pass a complete handshake to asyncio. This test shows if a new Python has renamed what that needs."""
    source = inspect.getsource(SSLProtocol)
    for name in SSL_PROTOCOL_ATTRIBUTES:
        assert f"self.{name} = " in source, name
    members: dict[str, Any] = dict(vars(SSLProtocol))
    assert "self._sslobj.do_handshake()" in inspect.getsource(members["_do_handshake"])
    assert "self._do_read()" in inspect.getsource(members["_on_handshake_complete"])


async def test_request_that_arrives_with_the_end_of_the_handshake_is_read() -> None:
    """A client may send both in one piece. Then no further bytes arrive that would wake the connection."""

    class Echo(HelloProtocol):
        def data_received(self, data: bytes) -> None:
            assert isinstance(self.client.close.__self__, asyncio.Transport)  # type: ignore[attr-defined]
            self.client.close.__self__.write(data)  # type: ignore[attr-defined]

    served = Port()
    served.acceptor._make_protocol = Echo
    client = socket.create_connection(served.address)
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _ANY.wrap_bio(received, sent)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    client.sendall(sent.read())
    client.setblocking(False)
    await eventually(lambda: has_answer(client))
    received.write(client.recv(65536))
    tls.do_handshake()
    tls.write(b"ping")
    client.sendall(sent.read())
    text = b""

    def read() -> bool:
        nonlocal text
        with suppress(BlockingIOError):
            received.write(client.recv(65536))
        with suppress(ssl.SSLWantReadError):
            text += tls.read(100)
        return b"ping" in text

    await eventually(read)
    client.close()
    await eventually(lambda: len(served.accounting) == 0)
    served.acceptor.close()
    await served.acceptor.wait_closed()
