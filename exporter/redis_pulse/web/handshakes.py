"""Perform the TLS handshakes of new clients, so that many of them cost the pages little.

asyncio would make a transport, two tasks and 70 KB of buffers for each client before it has sent anything. Here an
unfinished handshake is a socket and the state of OpenSSL, which takes 45 KB. It begins when the client has sent its
first bytes. The newest client and the oldest one come in turn. A scraper that connects before an attack or after it is
not behind the attacker. A handshake takes some tenths of a millisecond, so a few begin in one turn of the event loop.
The oldest unfinished one is closed for a new one. asyncio takes over when a handshake is complete.
"""

import asyncio
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from redis_pulse.web.connection_accounting import Client, ClientLimits, ConnectionAccounting
from redis_pulse.web.tls import HANDSHAKE_TIMEOUT, SHUTDOWN_TIMEOUT, TlsAccess, TlsSource

#: Handshakes that have begun, of all addresses together and of one address.
UNFINISHED = ClientLimits(total=640, per_address=320)
#: Seconds of one turn of the event loop in which handshakes begin. One begins in any case.
_SLICE = 0.002
#: Bytes that are read at once from a client.
_READ = 16 * 1024
#: Attributes of asyncio's ``SSLProtocol`` that we set, or read.
SSL_PROTOCOL_ATTRIBUTES = ("_sslobj", "_incoming", "_outgoing", "_transport")
#: The first byte of a TLS handshake.
_TLS_HANDSHAKE = b"\x16"
_TEXT = b"This port has TLS: use https:// instead of http://\n"
#: What a client gets that speaks plain HTTP.
_NOT_TLS = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
    b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n%s" % (len(_TEXT), _TEXT)
)

MakeProtocol = Callable[[Client, TlsAccess | None], asyncio.Protocol]
#: Connects a socket of a client with the protocol that the factory makes.
Connect = Callable[[socket.socket, Client, Callable[[], asyncio.BaseProtocol]], object]


class Handshakes:
    """Passes each connection that ``add`` receives to ``connect``, after its TLS handshake."""

    def __init__(
        self, tls: TlsSource, make_protocol: MakeProtocol, connect: Connect, accounting: ConnectionAccounting
    ) -> None:
        self._tls = tls
        self._make_protocol = make_protocol
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        #: all clients whose handshake is not complete, with their deadlines
        self._deadlines: dict[Client, asyncio.TimerHandle] = {}
        #: clients that have sent something, in the order in which they did
        self._spoken: dict[Client, socket.socket] = {}
        self._sorter: asyncio.Task[None] | None = None
        #: clients whose handshake may begin, the newest one last
        self._ready: dict[Client, _Handshake] = {}
        self._is_scheduled = self._is_newest_next = False
        #: unfinished handshakes, as ``_limits`` counts them
        self._begun: dict[Client, Client] = {}
        self._limits = accounting.part(UNFINISHED)
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def add(self, connection: socket.socket, client: Client) -> None:
        """Begin the handshake of a client when it has sent something, and when it is its turn."""
        client.close = partial(self._drop, connection, client)
        self._is_idle.clear()
        self._deadlines[client] = self._loop.call_later(HANDSHAKE_TIMEOUT, client.close)
        if client.has_unread_bytes():
            self._on_first_bytes(connection, client)
        else:
            self._loop.add_reader(connection.fileno(), self._on_first_bytes, connection, client)

    async def wait(self) -> None:
        """Wait until every handshake is complete or has failed."""
        await self._is_idle.wait()

    def _drop(self, connection: socket.socket, client: Client) -> None:
        """Close a connection whose handshake is not complete."""
        self._forget(connection, client)
        client.left()
        connection.close()

    def _forget(self, connection: socket.socket, client: Client) -> None:
        self._loop.remove_reader(connection.fileno())
        self._deadlines.pop(client).cancel()
        self._spoken.pop(client, None)
        self._ready.pop(client, None)
        if unfinished := self._begun.pop(client, None):
            unfinished.left()
        if not self._deadlines:
            self._is_idle.set()

    def _on_first_bytes(self, connection: socket.socket, client: Client) -> None:
        self._loop.remove_reader(connection.fileno())
        self._spoken[client] = connection
        if self._sorter is None:
            self._sorter = self._loop.create_task(self._sort())

    async def _sort(self) -> None:
        """Find out whether clients get TLS or plain HTTP. They share one reading of the web configuration file."""
        try:
            while self._spoken:
                clients = list(self._spoken.items())
                tls = await self._tls.for_new_connection()
                for client, connection in clients:
                    if self._spoken.pop(client, None) is not None:  # otherwise it was closed meanwhile
                        self._prepare(connection, client, tls)
        finally:
            self._sorter = None

    def _prepare(self, connection: socket.socket, client: Client, tls: TlsAccess | None) -> None:
        if tls is None:
            self._forget(connection, client)
            self._connect(connection, client, partial(self._make_protocol, client, None))
        elif _first_byte(connection) == _TLS_HANDSHAKE:
            self._ready[client] = _Handshake(connection, tls)
            self._schedule()
        else:
            _refuse_plain_text(connection)
            self._drop(connection, client)

    def _schedule(self) -> None:
        if self._ready and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._begin_some)

    def _begin_some(self) -> None:
        self._is_scheduled = False
        end = self._loop.time() + _SLICE
        while self._ready:
            self._is_newest_next = not self._is_newest_next
            client = next(reversed(self._ready) if self._is_newest_next else iter(self._ready))
            handshake = self._ready.pop(client)
            self._begun[client] = unfinished = self._limits.add(client.address, client.close)
            unfinished.has_unread_bytes = client.has_unread_bytes
            handshake.begin()
            self._continue(client, handshake)
            if self._loop.time() >= end:
                break
        self._schedule()

    def _continue(self, client: Client, handshake: "_Handshake") -> None:
        """Process what a client has sent."""
        try:
            is_complete = handshake.advance()
        except OSError:
            client.close()
            return
        if is_complete:
            self._forget(handshake.connection, client)
            self._connect(handshake.connection, client, partial(self._protocol_after, handshake, client))
        else:
            self._loop.add_reader(handshake.connection.fileno(), self._continue, client, handshake)

    def _protocol_after(self, handshake: "_Handshake", client: Client) -> SSLProtocol:
        return _EstablishedTls(self._loop, self._make_protocol(client, handshake.tls), handshake)


class _Handshake:
    """The handshake of one connection."""

    def __init__(self, connection: socket.socket, tls: TlsAccess) -> None:
        self.connection, self.tls = connection, tls

    def begin(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.state = self.tls.context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def advance(self) -> bool:
        """Read what the client has sent, and respond. Return whether it is complete. Raises OSError."""
        try:
            data = self.connection.recv(_READ)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionResetError
        self.incoming.write(data)
        try:
            self.state.do_handshake()
        except ssl.SSLWantReadError:
            return self._send(False)
        except ssl.SSLError:
            self._send(False)  # the alert that tells the client why
            raise
        return self._send(True)

    def _send(self, is_complete: bool) -> bool:
        data = self.outgoing.read()
        # The buffer of the kernel is empty, and larger than a chain of certificates.
        if data and self.connection.send(data) < len(data):
            raise ConnectionAbortedError
        return is_complete


class _EstablishedTls(SSLProtocol):
    """asyncio's TLS for a connection whose handshake is complete. To asyncio it seems to complete at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, handshake: _Handshake) -> None:
        super().__init__(
            loop,
            protocol,
            handshake.tls.context,
            None,  # type: ignore[arg-type]  # nothing waits for the handshake
            server_side=True,
            ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
        )
        self._sslobj, self._incoming, self._outgoing = handshake.state, handshake.incoming, handshake.outgoing

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free the transport without the garbage collector, as ``LimitedProtocol`` does for a plain connection."""
        transport: Any = self._transport
        super().connection_lost(exc)
        if hasattr(transport, "_read_ready_cb"):
            transport._read_ready_cb = None  # noqa: SLF001


def _first_byte(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return b""


def _refuse_plain_text(connection: socket.socket) -> None:
    with suppress(OSError):
        if connection.recv(_READ):  # the kernel resets a connection whose bytes were not read
            connection.send(_NOT_TLS)
