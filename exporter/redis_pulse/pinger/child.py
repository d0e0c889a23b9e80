"""The process with the pings. It sends PINGs on the connections that the daemon lends, and reports what happened.

It makes no connection and decides nothing. The daemon resolves, connects, logs in, counts, and opens the breaker. So
this process needs no settings and no secret. It needs few modules, and little happens beside the pings.

A PING leaves at its moment on the grid, with the clocks read as in ``ProbeConnection.ping``. A reply has the timestamp
of the kernel. Reports are collected for ``BATCH`` seconds, so that the daemon wakes up rarely.
"""

import gc
import heapq
import os
import select
import socket
import sys
from collections.abc import Sequence
from errno import EAGAIN
from time import monotonic, time_ns

from redis_pulse.kernel_timestamps import SendTimestamps, receive_with_timestamp
from redis_pulse.pinger.messages import (
    BEAT,
    DATA,
    LEND,
    LOST,
    ORDER_BYTES,
    RETURNED,
    SENT,
    SKIPPED,
    WHOLE,
    Order,
    PingReport,
)
from redis_pulse.priority import raise_priority

#: Seconds for which reports are collected, and the longest time between two batches.
BATCH, BEAT_INTERVAL = 0.05, 1.0
#: Bytes of reports that may wait for a daemon that reads none. It is watched by others, so this process ends then.
MAX_WAITING = 16 * 1024**2
NUMBER_COUNT = 1_000_000
_PING, _PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"
_NUMBERED_PING, _NUMBERED_REPLY = b"*2\r\n$4\r\nPING\r\n$6\r\n%06d\r\n", b"$6\r\n%06d\r\n"
_RECEIVE_BYTES = 16384


class LentSocket:
    """A connected socket and its grid: the n-th PING from here is due at ``first + n * interval``."""

    __slots__ = (
        "_count",
        "is_numbered",
        "is_open",
        "key",
        "newest",
        "number",
        "order",
        "sent",
        "sock",
        "timestamps",
        "unanswered",
    )

    def __init__(self, order: Order, sock: socket.socket) -> None:
        self.key, self.order, self.sock = order.key, order, sock
        self.number, self.is_numbered = order.number, bool(order.is_numbered)
        self.timestamps = SendTimestamps.enable(sock)
        self._count = 0
        self.newest = -1  # the number of the newest PING
        self.is_open = True
        #: The report of the newest PING, if it is unanswered and not reported yet.
        self.sent: PingReport | None = None
        #: Whether a PING may be without its reply.
        self.unanswered = False

    @property
    def due(self) -> float:
        """The moment of the next PING."""
        return self.order.first + self._count * self.order.interval

    def claim(self, now: float) -> tuple[float, int]:
        """Return the newest moment that is due, and how many before it have passed."""
        missed = max(0, int((now - self.due) / self.order.interval))
        self._count += missed
        due = self.due
        self._count += 1
        return due, missed

    def next_ping(self) -> tuple[bytes, int]:
        """Return the next PING and its number."""
        number = self.newest = self.number
        if not self.is_numbered:
            return _PING, number
        self.number = (number + 1) % NUMBER_COUNT
        return _NUMBERED_PING % number, number

    def is_own_reply(self, data: bytes) -> bool:
        """Return whether this is the reply to the newest PING, and nothing else."""
        return data == (_NUMBERED_REPLY % self.newest if self.is_numbered else _PONG)


class Pinger:
    """Serves the moments, the sockets and the link to the daemon."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._link.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(link.fileno(), select.EPOLLIN)
        self._by_descriptor: dict[int, LentSocket] = {}
        self._by_key: dict[int, LentSocket] = {}
        self._grid: list[tuple[float, int, LentSocket]] = []
        self._open_pings: dict[int, LentSocket] = {}  # those whose newest PING is in no report yet
        self._reports: list[bytes] = []
        self._waiting = bytearray()
        self._known_until = monotonic()
        self._flush_at = self._known_until  # the first beat says that this process is ready
        self.is_running = True

    def run(self) -> None:
        """Serve until the daemon closes the link."""
        while self.is_running:
            self.step()

    def step(self) -> None:
        """Wait for the next moment or data, and serve it."""
        self._send_due()
        if monotonic() >= self._flush_at:
            self._flush()
        wake = min(self._grid[0][0], self._flush_at) if self._grid else self._flush_at
        # ``epoll`` waits for whole milliseconds only, ``select`` for microseconds.
        began = monotonic()
        if not select.select([self._poll], [], [], max(0.0, wake - began))[0]:
            self._known_until = began  # nothing had arrived that was not read
            return
        began = monotonic()
        for descriptor, _ in self._poll.poll(0):
            if descriptor == self._link.fileno():
                self._take_orders()
            elif (lent := self._by_descriptor.get(descriptor)) is not None:
                self._read(lent)
        self._known_until = began

    def _send_due(self) -> None:
        grid = self._grid
        while grid and grid[0][0] <= (now := monotonic()):
            _, key, lent = grid[0]
            if not lent.is_open:
                heapq.heappop(grid)
                continue
            due, missed = lent.claim(now)
            heapq.heapreplace(grid, (lent.due, key, lent))
            if missed:
                newest = due - lent.order.interval
                self._report_sent(lent)
                self._report(PingReport(key, SKIPPED, number=missed, due=newest))
            if lent.unanswered:
                self._read(lent)  # unread replies would merge with the next, and share its timestamp
                self._report_sent(lent)
            if lent.is_open:
                self._ping(lent, due)

    def _ping(self, lent: LentSocket, due: float) -> None:
        data, number = lent.next_ping()
        at, at_ns = monotonic(), time_ns()
        failure: int | None = None
        try:
            if lent.sock.send(data) != len(data):
                failure = EAGAIN
        except (BlockingIOError, InterruptedError):
            failure = EAGAIN
        except OSError as error:
            failure = error.errno or 0
        took, is_stamped = monotonic() - at, 0
        if failure is None and lent.timestamps is not None:
            left_ns = lent.timestamps.read(at_ns)
            if left_ns is not None and (delay := (left_ns - at_ns) / 1e9) <= took:
                at, at_ns, took, is_stamped = at + delay, left_ns, 0.0, 1
        lent.sent = PingReport(lent.key, SENT, is_stamped, 0, number, due, at, at_ns, took)
        lent.unanswered = True
        self._begin_batch()
        self._open_pings[lent.key] = lent
        if failure is not None:
            self._read(lent)  # a server that hung up may have said why
            self._lose(lent, failure)

    def _read(self, lent: LentSocket) -> None:
        try:
            data, timestamp = receive_with_timestamp(lent.sock, _RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            if lent.timestamps is not None:
                lent.timestamps.drain()
            return
        except OSError as error:
            self._lose(lent, error.errno or 0)
            return
        at_ns, at = time_ns(), monotonic()
        if not data:
            self._lose(lent, 0)
            return
        is_own = lent.is_own_reply(data)
        if is_own:
            lent.unanswered = False
        if is_own and lent.sent is not None:
            report = lent.sent._replace(kind=WHOLE, read=at, read_ns=at_ns, timestamp=timestamp or 0)
            lent.sent = None
            del self._open_pings[lent.key]
            self._report(report)
        else:
            self._report_sent(lent)
            report = PingReport(lent.key, DATA, size=len(data), read=at, read_ns=at_ns, timestamp=timestamp or 0)
            self._report(report, data)

    def _lose(self, lent: LentSocket, number: int) -> None:
        """Report the end of a connection, unless that is done."""
        if lent.is_open:
            self._report_sent(lent)
            self._report(PingReport(lent.key, LOST, number=number))
            self._give_back(lent)

    def _give_back(self, lent: LentSocket) -> None:
        """Close this copy of the socket, and report the moment and the number that come next."""
        self._report_sent(lent)
        self._poll.unregister(lent.sock.fileno())
        del self._by_descriptor[lent.sock.fileno()], self._by_key[lent.key]
        lent.sock.close()
        lent.is_open = False
        self._report(PingReport(lent.key, RETURNED, number=lent.number, due=lent.due))

    def _report_sent(self, lent: LentSocket) -> None:
        """Report the newest PING now, without a reply."""
        if lent.sent is not None:
            report, lent.sent = lent.sent, None
            del self._open_pings[lent.key]
            self._report(report)

    def _report(self, report: PingReport, data: bytes = b"") -> None:
        self._begin_batch()
        self._reports.append(report.encode() + data)

    def _begin_batch(self) -> None:
        if not self._reports and not self._open_pings:
            self._flush_at = monotonic() + BATCH

    def _flush(self) -> None:
        for lent in list(self._open_pings.values()):
            self._report_sent(lent)
        beat = PingReport(0, BEAT, read=self._known_until).encode()
        self._waiting += b"".join([*self._reports, beat])
        self._reports.clear()
        is_waiting = any(lent.unanswered for lent in self._by_key.values())
        self._flush_at = monotonic() + (BATCH if is_waiting else BEAT_INTERVAL)
        try:
            while self._waiting:
                del self._waiting[: self._link.send(self._waiting)]
        except (BlockingIOError, InterruptedError):
            self._flush_at = monotonic() + BATCH
            self.is_running = len(self._waiting) <= MAX_WAITING
        except OSError:
            self.is_running = False

    def _take_orders(self) -> None:
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self._link, ORDER_BYTES, 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                message, descriptors = b"", []
            if not message:
                self.is_running = False  # the daemon has ended
                return
            self._obey(Order.decode(message), descriptors)

    def _obey(self, order: Order, descriptors: Sequence[int]) -> None:
        if order.kind != LEND:
            if (lent := self._by_key.get(order.key)) is not None:
                self._give_back(lent)
                self._flush_at = 0.0
        elif not descriptors:  # there was no free file descriptor
            self._report(PingReport(order.key, RETURNED, number=order.number, due=order.first))
        else:
            lent = LentSocket(order, socket.socket(fileno=descriptors[0]))
            lent.sock.setblocking(False)
            self._by_descriptor[lent.sock.fileno()] = self._by_key[order.key] = lent
            self._poll.register(lent.sock.fileno(), select.EPOLLIN)
            heapq.heappush(self._grid, (order.first, order.key, lent))


def main(arguments: Sequence[str]) -> None:
    """Serve the link whose descriptor is the first argument. The second tells whether to raise the priority."""
    descriptor, priority = arguments
    if priority == "auto":
        raise_priority()
    gc.disable()  # there are no cycles
    Pinger(socket.socket(fileno=int(descriptor))).run()
    os._exit(0)  # nothing is left to do, and closing a thousand sockets one by one takes time


if __name__ == "__main__":
    main(sys.argv[1:])
