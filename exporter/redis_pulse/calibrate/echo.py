"""A server for pings that records when each arrived and when its reply left, by its own kernel timestamps.

It is a process of its own, so that it delays no ping of the process that measures. It holds replies back for the times
``HELD`` in turn. So the report shows whether the error depends on the length of a round trip.
"""

import gc
import heapq
import multiprocessing
import selectors
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from time import monotonic, time_ns
from typing import NamedTuple

from redis_pulse.kernel_timestamps import SendTimestamps, enable_receive_timestamps, receive_with_timestamp

#: Seconds for which replies are held back, in turn.
HELD = (0.0, 0.001, 0.005, 0.02)
_RECEIVE_BYTES = 16384
_BACKLOG = 1024
#: Seconds that the process gets to end.
_END_TIMEOUT = 5.0


class EchoedPing(NamedTuple):
    """A ping as the server saw it. Times are in ns of CLOCK_REALTIME, ``held`` is in seconds."""

    port: int
    number: int
    arrived: int
    left: int
    held: float
    #: Whether the kernel gave both times.
    by_kernel: bool


class EchoProcess:
    """The server, seen from the process that measures."""

    def __init__(self, ports: list[int], pipe: Connection) -> None:
        self.ports = ports
        self._pipe = pipe

    def record(self) -> list[EchoedPing]:
        """End the server and return its record of all pings. Raises OSError and EOFError if it is gone."""
        self._pipe.send(None)
        record: list[EchoedPing] = self._pipe.recv()
        return record


@contextmanager
def echo_process(count: int) -> Iterator[EchoProcess]:
    """Run a server with ``count`` ports of 127.0.0.1. Raises OSError."""
    context = multiprocessing.get_context("fork")  # it costs a few milliseconds, and there is no thread yet
    with ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)) for _ in range(count)
        ]
        ports = [listener.getsockname()[1] for listener in listeners]
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(listeners, ours, theirs), daemon=True)
        process.start()
        theirs.close()
    try:
        with ours:
            yield EchoProcess(ports, ours)
    finally:
        process.join(_END_TIMEOUT)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(listeners: list[socket.socket], parents_end: Connection, pipe: Connection) -> None:
    """Serve until the other process asks for the record, or is gone."""
    parents_end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that measures ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    gc.disable()  # nothing that is made here has cycles
    server = EchoServer(listeners, pipe)
    server.run()
    with suppress(OSError):
        pipe.send(server.record)


class _EchoConnection:
    """A connection. Replies leave in the order of the pings."""

    __slots__ = ("data", "latest", "port", "sock", "timestamps")

    def __init__(self, sock: socket.socket, port: int) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        enable_receive_timestamps(sock)
        self.sock = sock
        self.port = port
        self.timestamps = SendTimestamps.enable(sock)
        self.data = b""
        self.latest = 0.0


class EchoServer:
    """Replies to PING with its number, and to every other command with OK."""

    def __init__(self, listeners: list[socket.socket], pipe: Connection) -> None:
        self._selector = selectors.DefaultSelector()
        self._pipe = pipe
        self._is_running = True
        self._held: list[tuple[float, int, _EchoConnection, bytes, int, bool]] = []
        self._pings = 0
        self.record: list[EchoedPing] = []
        for listener in listeners:
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener))
        self._selector.register(pipe, selectors.EVENT_READ, self._stop)

    def run(self) -> None:
        """Serve until something arrives in the pipe, or its other end is closed."""
        held = self._held
        while self._is_running:
            for key, _ in self._selector.select(max(0.0, held[0][0] - monotonic()) if held else None):
                key.data()
            while held and held[0][0] <= monotonic():
                self._reply(*heapq.heappop(held)[1:])

    def close(self) -> None:
        """Close all connections."""
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self._pipe:
                key.fileobj.close()  # type: ignore[union-attr]  # a socket
        self._selector.close()

    def _stop(self) -> None:
        self._is_running = False

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            sock, _ = listener.accept()
            connection = _EchoConnection(sock, listener.getsockname()[1])
            self._selector.register(sock, selectors.EVENT_READ, partial(self._read, connection))

    def _read(self, connection: _EchoConnection) -> None:
        try:
            data, arrived = receive_with_timestamp(connection.sock, _RECEIVE_BYTES)
            read_at = time_ns()
        except (BlockingIOError, InterruptedError):
            if connection.timestamps is not None:
                connection.timestamps.drain()
            return
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection.sock)
            connection.sock.close()
            return
        commands, connection.data = split_commands(connection.data + data)
        for words in commands:
            if words[0] != b"PING":
                self._reply(-1, connection, b"+OK\r\n", 0, False)
                continue
            self._pings += 1
            connection.latest = at = max(connection.latest, monotonic() + HELD[self._pings % len(HELD)])
            number = int(words[1]) if len(words) > 1 else -1
            word = b"$%d\r\n%b\r\n" % (len(words[1]), words[1]) if number >= 0 else b"+PONG\r\n"
            heapq.heappush(self._held, (at, self._pings, connection, word, arrived or read_at, arrived is not None))

    def _reply(self, order: int, connection: _EchoConnection, data: bytes, arrived: int, by_kernel: bool) -> None:
        left = time_ns()
        try:
            connection.sock.send(data)
        except OSError:
            return  # the connection is closed, and the next read notices it
        timestamp = None if connection.timestamps is None else connection.timestamps.read(left)
        if order >= 0:
            number = int(data.split(b"\r\n")[1]) if data.startswith(b"$") else -1
            held = HELD[order % len(HELD)]
            is_timed = by_kernel and timestamp is not None
            self.record.append(EchoedPing(connection.port, number, arrived, timestamp or left, held, is_timed))


def split_commands(data: bytes) -> tuple[list[list[bytes]], bytes]:
    """Return the commands that are complete, as words, and the rest. A client of our own sends no invalid data."""
    commands: list[list[bytes]] = []
    while True:
        words: list[bytes] = []
        header, found, rest = data.partition(b"\r\n")
        for _ in range(int(header[1:]) if found else 0):
            length, found, rest = rest.partition(b"\r\n")
            size = int(length[1:]) if found else 0
            if not found or len(rest) < size + 2:
                return commands, data
            words.append(rest[:size])
            rest = rest[size + 2 :]
        if not words:
            return commands, data
        commands.append(words)
        data = rest
