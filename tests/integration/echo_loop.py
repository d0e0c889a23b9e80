"""Basis of the echo server: an event loop with epoll and timers, sockets with kernel timestamps, and a record."""

import heapq
import itertools
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from random import randrange

now, wall = time.monotonic, time.time_ns

_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
_CONTROL_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)


class Loop:
    """Calls the handlers of readable file descriptors, and callbacks that are due."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], object]] = {}
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self.is_running = True

    def run(self) -> None:
        """Run until ``is_running`` is false. There must always be a timer."""
        handlers, timers, poll = self._handlers, self._timers, self._poll.poll
        while self.is_running:
            for fd, _ in poll(max(0.0, timers[0][0] - now())):
                handler = handlers.get(fd)
                if handler is not None:
                    handler()
            while timers and timers[0][0] <= now():
                heapq.heappop(timers)[2]()

    def watch(self, fd: int, handler: Callable[[], object]) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        if self._handlers.pop(fd, None):
            self._poll.unregister(fd)

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        heapq.heappush(self._timers, (now() + seconds, next(self._order), callback))


def bind(port: int | None = None) -> socket.socket:
    """Return a bound socket whose connections have kernel timestamps.

    Without ``port`` it has a free port below those from which the kernel takes the ports of outgoing connections.
    """
    for _ in range(1000):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setblocking(False)
        try:
            sock.bind(("127.0.0.1", port or randrange(10240, 32768)))
        except OSError:
            sock.close()
        else:
            return sock
    raise OSError("no free port")


def receive(sock: socket.socket) -> tuple[bytes, int]:
    """Return what arrived (empty: the connection is closed) and when, in ns. Raises BlockingIOError without data."""
    try:
        data, control, _, _ = sock.recvmsg(65536, _CONTROL_BYTES)
    except (BlockingIOError, InterruptedError):
        raise
    except OSError:
        return b"", 0
    for level, kind, content in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            return data, seconds * 1_000_000_000 + nanoseconds
    return data, wall()


class Record:
    """A file with one line per PING, and at most ``max_lines`` lines. See ``echo_server``."""

    def __init__(self, file: Path, max_lines: int) -> None:
        self._file = file.open("w", buffering=1 << 20)
        self._file.write("port,connection,arrived_ns,left_ns,done_ns,fate\n")
        self._lines_left = max_lines

    def write(
        self, port: int, connection: int, arrived: int, fate: str, left: int | None = None, done: int | None = None
    ) -> None:
        self._lines_left -= 1
        if self._lines_left >= 0:
            self._file.write(f"{port},{connection},{arrived},{left or ''},{done or ''},{fate}\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()
