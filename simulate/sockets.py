"""The class that takes the place of ``socket.socket``, and the part of the event loop that serves it."""

import asyncio
import errno
import heapq
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from simulate.network import Address, Host, Network, Stream
from simulate.transport import StreamTransport

_SO_TIMESTAMPING, _TCP_INFO = 37, 11
#: The flag of ``SO_TIMESTAMPING`` that asks for the times of what is sent.
_TX_SOFTWARE = 1 << 1
_TIMESPEC = struct.Struct("@ll")
#: The rest of ``struct scm_timestamping``: no time of the hardware.
_NO_HARDWARE = bytes(2 * _TIMESPEC.size)
#: ``struct sock_extended_err`` of a time stamp, and the level and type of its message.
_EXTENDED_ERROR, _FROM_TIMESTAMPING, _IP_RECVERR = struct.Struct("=IBBBBII"), 4, 11
_TCP_INFO_BYTES = 160
#: milliseconds
_USER_TIMEOUT, _KEEP_IDLE = 18, 4
_AF_INET = socket.AF_INET


class Descriptors:
    """The numbers of open sockets: the kernel gives the lowest free one."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._next = 16
        self.sockets: dict[int, VirtualSocket] = {}

    def add(self, sock: "VirtualSocket") -> int:
        """Return the number of a new socket."""
        if self._free:
            number = heapq.heappop(self._free)
        else:
            number, self._next = self._next, self._next + 1
        self.sockets[number] = sock
        return number

    def remove(self, number: int) -> None:
        """Free the number of a closed socket."""
        del self.sockets[number]
        heapq.heappush(self._free, number)


class VirtualSocket:
    """A non-blocking socket of the simulated network. Its methods are those that the daemon uses."""

    network: Network
    descriptors: Descriptors

    def __init__(self, family: int = _AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0, *_: Any) -> None:  # noqa: A002
        self.family, self.type, self.proto = socket.AddressFamily(family), socket.SocketKind(type), proto
        self._number = self.descriptors.add(self)
        self.stream: Stream | None = None
        self.reader: Callable[[], object] | None = None
        self.pending: deque[VirtualSocket] = deque()
        self.is_listening = False
        self._address: Any = ("0.0.0.0", 0)  # nothing is bound
        self._has_timestamps = self._has_send_timestamps = False
        self._sent_bytes = 0
        #: the error queue: when something was sent, and the number of its last byte
        self._sent: deque[tuple[float, int]] = deque()
        self._user_timeout: float | None = None
        self._keepalive = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the number, or -1 after ``close``."""
        return self._number

    def setblocking(self, _flag: bool) -> None:  # the signature of ``socket``
        """Do nothing: no socket here blocks."""

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing."""

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Set what has an effect here: time stamps, and when a dead path ends the connection."""
        if level == socket.SOL_SOCKET and option == _SO_TIMESTAMPING:
            self._has_timestamps, self._has_send_timestamps = True, bool(value & _TX_SOFTWARE)
        elif level == socket.IPPROTO_TCP and option == _USER_TIMEOUT:
            self._user_timeout = value / 1000
        elif level == socket.IPPROTO_TCP and option == _KEEP_IDLE:
            self._keepalive = True
        self._apply()

    def _apply(self) -> None:
        if self.stream is not None:
            self.stream.user_timeout, self.stream.keepalive = self._user_timeout, self._keepalive

    def getsockopt(self, level: int, option: int, _size: int = 0) -> Any:
        """Return ``TCP_INFO``, or 0 for any other option."""
        if level != socket.IPPROTO_TCP or option != _TCP_INFO:
            return 0
        stream = self._connected()
        raw = bytearray(_TCP_INFO_BYTES)
        rtt = round(stream.host.latency * 2e6)
        raw[0] = 1
        struct.pack_into("=I", raw, 8, 204_000)
        struct.pack_into("=I", raw, 68, rtt)
        struct.pack_into("=I", raw, 100, stream.retransmits)
        struct.pack_into("=I", raw, 148, rtt)
        return bytes(raw)

    def attach(self, stream: Stream) -> None:
        """Connect the socket."""
        self.stream = stream
        stream.on_event = self._on_event
        self._apply()

    def detach_stream(self) -> Stream:
        """Give the connection to a transport. The socket keeps its number until ``close``."""
        return self._connected()

    def bind(self, address: Any) -> None:
        """Bind to an address of the daemon's own host."""
        self._address = address

    def listen(self, _backlog: int = 0) -> None:
        """Accept connections at the address."""
        if self._address[1] == 0:
            self._address = (self._address[0], 9121, *self._address[2:])
        own = self.network.add_host("127.0.0.1")
        if self._address[1] in own.listeners:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        own.listeners[self._address[1]] = _OwnListener(self)
        self.is_listening = True

    def accept(self) -> tuple["VirtualSocket", Any]:
        """Return a connection of a client. Raises BlockingIOError without one."""
        if not self.pending:
            raise BlockingIOError
        sock = self.pending.popleft()
        return sock, sock.getpeername()

    def getsockname(self) -> Any:
        """Return the own address."""
        return self.stream.local if self.stream is not None else self._address

    def getpeername(self) -> Any:
        """Return the address of the other end. Raises OSError without a connection."""
        return self._connected().remote

    def send(self, data: Any) -> int:
        """Send, and return how much. Raises BlockingIOError without space."""
        count = self._connected().send(bytes(data))
        if count == 0:
            raise BlockingIOError
        self._sent_bytes += count
        if self._has_send_timestamps:
            self._sent.append((self.network.loop.time(), self._sent_bytes - 1))
        return count

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive, or only look at it (MSG_PEEK). Raises BlockingIOError if nothing has arrived."""
        stream = self._connected()
        if flags & socket.MSG_PEEK and stream.inbox:
            return stream.inbox[0][0][:size]
        return stream.read(size)[0]

    def recvmsg(
        self, size: int, _control: int = 0, flags: int = 0
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        """Receive with the kernel's time stamp. Or take the time stamp of something sent (MSG_ERRQUEUE)."""
        if flags & socket.MSG_ERRQUEUE:
            if not self._sent:
                raise BlockingIOError
            at, number = self._sent.popleft()
            entry = _EXTENDED_ERROR.pack(errno.ENOMSG, _FROM_TIMESTAMPING, 0, 0, 0, 0, number)
            return b"", [self._stamp(at), (socket.IPPROTO_IP, _IP_RECVERR, entry)], flags, None
        data, at = self._connected().read(size)
        return data, [self._stamp(at)] if self._has_timestamps and data else [], 0, None

    def _stamp(self, at: float) -> tuple[int, int, bytes]:
        stamp = _TIMESPEC.pack(*divmod(self.network.loop.clock.wall_ns_at(at), 1_000_000_000))
        return socket.SOL_SOCKET, _SO_TIMESTAMPING, stamp + _NO_HARDWARE

    def shutdown(self, _how: int) -> None:
        """Do nothing: ``close`` ends both directions."""

    def close(self) -> None:
        """Close. A second call does nothing."""
        if self._number < 0:
            return
        self.descriptors.remove(self._number)
        self._number = -1
        self.reader = None
        if self.is_listening:
            self.network.add_host("127.0.0.1").listeners.pop(self._address[1], None)
        for sock in self.pending:
            sock.close()
        if self.stream is not None:
            self.stream.close()

    def _connected(self) -> Stream:
        if self.stream is None or self._number < 0:
            raise OSError(errno.ENOTCONN if self._number >= 0 else errno.EBADF, "Transport endpoint is not connected")
        return self.stream

    @property
    def is_readable(self) -> bool:
        """Whether a read or an accept would return at once."""
        return bool(self.pending) if self.is_listening else self.stream is not None and self.stream.is_readable

    def _on_event(self) -> None:
        self.wake()

    def wake(self) -> None:
        """Call the reader, and once more in the next turn as long as there is something to read."""
        if self.reader is not None and self.is_readable:
            self.reader()
            if self.reader is not None and self.is_readable:
                self.network.loop.call_soon(self.wake)


class _OwnListener:
    """The listening socket of the daemon, as the network sees it."""

    def __init__(self, sock: VirtualSocket) -> None:
        self._sock = sock

    def accept(self, stream: Stream) -> None:
        """Queue a connection until the daemon accepts it."""
        sock = VirtualSocket(_AF_INET)
        sock.attach(stream)
        self._sock.pending.append(sock)
        self._sock.wake()


class SocketConnector:
    """Serves simulated sockets below the event loop."""

    def __init__(self, network: Network, descriptors: Descriptors) -> None:
        self._network, self._descriptors = network, descriptors

    def add_reader(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Call ``callback()`` whenever the socket can be read."""
        sock = self._descriptors.sockets[descriptor]
        sock.reader = callback
        if sock.is_readable:
            self._network.loop.call_soon(sock.wake)

    def remove_reader(self, descriptor: int) -> bool:
        """Call the callback no more."""
        sock = self._descriptors.sockets.get(descriptor)
        if sock is None or sock.reader is None:
            return False
        sock.reader = None
        return True

    async def connect(self, sock: VirtualSocket, address: Address) -> None:
        """Connect a socket. Raises OSError."""
        sock.attach(await self._open(address))

    async def receive(self, sock: VirtualSocket, size: int) -> bytes:
        """Return what has arrived, or wait for it."""
        while True:
            try:
                return sock.recv(size)
            except BlockingIOError:
                pass
            arrived: asyncio.Future[None] = self._network.loop.create_future()
            sock.reader = lambda arrived=arrived: None if arrived.done() else arrived.set_result(None)
            try:
                await arrived
            finally:
                sock.reader = None

    async def open_transport(self, factory: Callable[[], Any], host: str, port: int) -> tuple[Any, Any]:
        """Connect, and return transport and protocol."""
        sock = VirtualSocket(_AF_INET)
        try:
            sock.attach(await self._open((host, port)))
        except BaseException:
            sock.close()
            raise
        return await self.accept_transport(factory, sock)

    async def accept_transport(self, factory: Callable[[], Any], sock: VirtualSocket) -> tuple[Any, Any]:
        """Return transport and protocol of a connected socket."""
        protocol = factory()
        transport = StreamTransport(self._network.loop, sock, sock.detach_stream(), protocol)
        started: asyncio.Future[None] = self._network.loop.create_future()
        self._network.loop.call_soon(transport.start, started)
        await started
        return transport, protocol

    async def _open(self, address: Address) -> Stream:
        result: asyncio.Future[Stream] = self._network.loop.create_future()

        def connected(stream: Stream) -> None:
            if result.done():
                stream.reset()
            else:
                result.set_result(stream)

        def failed(error: OSError) -> None:
            if not result.done():
                result.set_exception(error)

        attempt = self._network.connect((address[0], address[1]), connected, failed)
        try:
            return await result
        except asyncio.CancelledError:
            attempt.give_up()
            if result.done() and not result.cancelled() and result.exception() is None:
                result.result().reset()
            raise


def client_host(network: Network, address: str) -> Host:
    """Return the host of a client of the daemon's pages."""
    return network.add_host(address, 0.0005)
