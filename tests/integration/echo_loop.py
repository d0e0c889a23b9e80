"""Basis of the echo server: an event loop with epoll and timers, sockets with kernel timestamps, and a record."""

import heapq
import itertools
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import randrange

now, wall = time.monotonic, time.time_ns

_SO_TIMESTAMPNS, _SO_TIMESTAMPING = 35, 37
#: Times of the kernel: of sends, numbered and without their data, and of what arrives.
_SENDS_AND_RECEIVES = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 7 | 1 << 11
_TIMESPEC = struct.Struct("@ll")
_CONTROL_BYTES = socket.CMSG_SPACE(3 * _TIMESPEC.size)
_ERROR_BYTES = 256


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
        sent_at(sock)  # a time that is not read would wake the loop again and again
        raise
    except OSError:
        return b"", 0
    return data, _kernel_time(control) or wall()


def enable_send_times(sock: socket.socket) -> None:
    """Let the kernel also take the times of what is sent to a connected socket, where it can."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _SENDS_AND_RECEIVES)


def sent_at(sock: socket.socket) -> int | None:
    """Return when the kernel sent what was sent last, in ns, or None if it gives no such time."""
    found = None
    while True:
        try:
            control = sock.recvmsg(0, _ERROR_BYTES, socket.MSG_ERRQUEUE)[1]
        except OSError:
            return found
        found = _kernel_time(control) or found


def _kernel_time(control: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, content in control:
        if level == socket.SOL_SOCKET and kind in (_SO_TIMESTAMPNS, _SO_TIMESTAMPING):
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return None


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
