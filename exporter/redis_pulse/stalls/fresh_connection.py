"""A malformed command on a new connection: a running event loop refuses it at once, even while clients are paused."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from redis_pulse.client import TlsLayer

#: Address family and address of a server.
Peer = tuple[int, Any]
#: An inline command with an open quote: refused before any command runs.
_MALFORMED = b'"\r\n'
#: Seconds in which a connection must be made, and the malformed command refused, by a server that runs.
_TIMEOUT = 0.25


class FreshTls(NamedTuple):
    """What a TLS connection to a server needs."""

    context: Callable[[], Awaitable[ssl.SSLContext]]
    server_name: str


async def try_fresh_connection(peer: Peer, tls: FreshTls | None) -> tuple[bool, bool]:
    """Connect, and send a malformed command.

    Return whether the connection was made at once, and whether the command was refused at once. The kernel makes
    connections also for a stopped process. The handshake of TLS needs the process.
    """
    loop = asyncio.get_running_loop()
    family, address = peer
    connected = False
    with socket.socket(family, socket.SOCK_STREAM) as sock, suppress(OSError, ssl.SSLError, EOFError):
        sock.setblocking(False)
        async with asyncio.timeout(_TIMEOUT):  # it may read files
            context = None if tls is None else await tls.context()
        async with asyncio.timeout(_TIMEOUT):
            await loop.sock_connect(sock, address)
        connected = True
        async with asyncio.timeout(_TIMEOUT):
            if context is None or tls is None:
                await loop.sock_sendall(sock, _MALFORMED)
                return True, (await loop.sock_recv(sock, 256)).startswith(b"-")
            return True, await _is_refused(sock, TlsLayer(context, tls.server_name))
    return connected, False


async def _is_refused(sock: socket.socket, layer: TlsLayer) -> bool:
    loop = asyncio.get_running_loop()
    await layer.handshake(sock)
    await loop.sock_sendall(sock, layer.encrypt(_MALFORMED))
    reply = layer.decrypt(b"")
    while not reply:  # tickets of the session may come first
        data = await loop.sock_recv(sock, 4096)
        if not data:
            return False
        reply = layer.decrypt(data)
    return reply.startswith(b"-")
