"""Accept the connections of the listening socket, and make a protocol for each, perhaps after a TLS handshake.

``Acceptor`` takes the place of asyncio's own server. In one turn of the event loop asyncio accepts as often as its
backlog is long. Each time that no file descriptor is left, it logs a line and sets a timer. ``Acceptor`` accepts a few
connections a turn. If no descriptor is left, it ends the turn and tries again a second later.

``handshakes`` does what comes next if the port has TLS.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from redis_pulse import file_descriptors, log
from redis_pulse.web.connection_accounting import Client, ConnectionAccounting
from redis_pulse.web.handshakes import Handshakes
from redis_pulse.web.tls import TlsAccess, TlsSource

#: Connections that are accepted in one turn of the event loop. Pings may be due meanwhile.
_MAX_ACCEPTS = 16
#: The same for a port with TLS, where accepting one costs far less. The newest is the next to shake hands.
_MAX_TLS_ACCEPTS = 64
#: Seconds until the next try if no file descriptor was left.
PAUSE = 1.0
#: Seconds between two log lines about it.
_LOG_INTERVAL = 60.0

_log = log.get("web")


class Acceptor:
    """Gives every connection of a listening socket a protocol, until ``close``."""

    def __init__(
        self,
        sock: socket.socket,
        make_protocol: Callable[[Client], asyncio.Protocol],
        accounting: ConnectionAccounting,
        tls: TlsSource | None = None,
    ) -> None:
        self._sock = sock
        self._make_protocol = make_protocol
        self._accounting = accounting
        self._loop = asyncio.get_running_loop()
        self._handshakes = None if tls is None else Handshakes(tls, self._protocol_of, self._connect, accounting)
        self._max_accepts = _MAX_ACCEPTS if tls is None else _MAX_TLS_ACCEPTS
        self._tls = tls
        self._tasks: set[asyncio.Task[bool]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._logged_at: float | None = None
        self._is_closed = False
        self._resume()

    def close(self) -> None:
        """Accept the connections in the queue of the kernel, which would be reset, and close the socket."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        while self._accept_one():
            pass
        self._sock.close()

    async def wait_closed(self) -> None:
        """Wait until every accepted connection has its protocol."""
        if self._handshakes is not None:
            await self._handshakes.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _resume(self) -> None:
        self._timer = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(self._max_accepts):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """Accept a connection. Return whether there may be another one."""
        try:
            connection, address = self._sock.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            self._pause(error)
            return False
        connection.setblocking(False)
        client = self._accounting.add(str(address[0]), connection.close)
        client.has_unread_bytes = partial(_has_unread_bytes, connection)
        if self._handshakes is None:
            self._connect(connection, client, partial(self._protocol_of, client, None))
        else:
            self._handshakes.add(connection, client)
        if file_descriptors.is_reserved(connection.fileno()):
            self._accounting.close_half()
        return True

    def _connect(
        self, connection: socket.socket, client: Client, make_protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        """Begin to make the transport and the protocol of a connection."""
        task = self._loop.create_task(self._connect_protocol(connection, make_protocol))
        client.close = partial(task.cancel, "too many connections")
        self._tasks.add(task)
        task.add_done_callback(partial(self._on_connected, connection, client))

    async def _connect_protocol(
        self, connection: socket.socket, make_protocol: Callable[[], asyncio.BaseProtocol]
    ) -> bool:
        """Return whether it succeeded."""
        try:
            await self._loop.connect_accepted_socket(make_protocol, connection)
        except OSError:  # the client has left already
            return False
        return True

    def _protocol_of(self, client: Client, tls: TlsAccess | None) -> asyncio.Protocol:
        protocol: Any = self._make_protocol(client)
        if self._tls is not None:
            protocol.tls_source, protocol.tls = self._tls, tls
        return protocol  # type: ignore[no-any-return]

    def _on_connected(self, connection: socket.socket, client: Client, task: "asyncio.Task[bool]") -> None:
        self._tasks.discard(task)
        # A task is cancelled if a newer client needs the place.
        if task.cancelled() or not task.result():
            client.left()
            connection.close()

    def _pause(self, error: OSError) -> None:
        if error.errno in file_descriptors.SHORTAGE_ERRNOS:
            self._accounting.close_half()
        if not self._is_closed:
            self._loop.remove_reader(self._sock.fileno())  # the socket stays readable, and would wake the loop at once
            self._timer = self._loop.call_later(PAUSE, self._resume)
        now = self._loop.time()
        if self._logged_at is not None and now - self._logged_at < _LOG_INTERVAL:
            return
        self._logged_at = now
        is_shortage = error.errno in file_descriptors.SHORTAGE_ERRNOS
        hint = f"the limit of open files is {file_descriptors.limit()}" if is_shortage else ""
        _log.error("clients must wait: no connection can be accepted", error=error.strerror, cure=hint)


def _has_unread_bytes(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:  # there are none, or the connection is closed
        return False
