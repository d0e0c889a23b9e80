"""A server that replies to PING and records when each PING arrived and when its reply was sent. A separate process.

    python -m tests.integration.echo_server --ports 1000 --record FILE [--delay lognormal:0.001:1] [--behind PORT]

First it writes one line of JSON to its output, ``{"ports": […]}``. Each line of JSON on its input is one of these:

- A period of misbehaviour (see ``echo_script``), which begins when it is read.
- ``{"report": true}``: the server writes its counters as one line, and the record is complete.

The server ends with its input. The record has one line per PING, with times in ns of CLOCK_REALTIME:

    port,connection,arrived_ns,left_ns,done_ns,fate

``arrived_ns`` and ``left_ns`` are kernel timestamps. Where the kernel does not time sends, ``left_ns`` is the time just
before the reply was sent. ``done_ns`` is the time just after. Both are empty without a reply. Linux only, standard
library only: the truth must not come from the code that it judges.
"""

import argparse
import gc
import itertools
import json
import math
import os
import resource
import socket
import ssl
import struct
import sys
from collections import Counter, deque
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.integration.echo_answers import CannedReplies, split_commands
from tests.integration.echo_changing import ChangingReplies
from tests.integration.echo_loop import Loop, Record, bind, enable_send_times, now, receive, sent_at, wall
from tests.integration.echo_script import Fate, Period, Script
from tests.integration.echo_tls import TlsEnd, server_context

PONG = b"+PONG\r\n"
#: SO_LINGER of 0 seconds: closing the socket resets the connection.
RESET = struct.pack("ii", 1, 0)
#: Seconds between two writes of the record.
FLUSH_INTERVAL = 0.5


class Connection:
    """A connection. ``pending`` holds what must still be sent: time, data, and the timestamp of the PING it ends."""

    __slots__ = ("buffer", "hung", "latest", "number", "pending", "port", "sock", "tls")

    def __init__(self, sock: socket.socket, port: int, number: int) -> None:
        self.sock, self.port, self.number = sock, port, number
        self.buffer = b""
        self.pending: deque[tuple[float, bytes, int | None]] = deque()
        self.latest = 0.0  # a reply never overtakes the one before
        self.hung = False
        self.tls: TlsEnd | None = None


class EchoServer:
    """A server with ``count`` ports. On the last ``hang`` of them, no connection is ever accepted.

    The first ``tls`` ports speak TLS, with a context.
    """

    def __init__(
        self,
        count: int,
        record: Record,
        script: Script,
        replies: CannedReplies | ChangingReplies,
        hang: int = 0,
        tls: tuple[int, ssl.SSLContext] | None = None,
    ) -> None:
        self._script, self._replies, self._record = script, replies, record
        self._tls_count = tls[0] if tls else 0
        self._tls_context = tls[1] if tls else None
        self._loop = Loop()
        self._open: dict[int, Connection] = {}
        self._listeners: dict[int, socket.socket] = {}
        self._numbers: dict[int, int] = {}
        self._connections = itertools.count()
        self.counters: Counter[str] = Counter()
        for number in range(count):
            port = self._listen(bind(), accepting=number < count - hang)
            self._numbers[port] = number

    @property
    def ports(self) -> list[int]:
        return list(self._numbers)

    def run(self) -> None:
        """Serve until the input ends."""
        self._loop.watch(sys.stdin.fileno(), self._on_input)
        self._flush()
        self._loop.run()
        self._record.close()

    def schedule(self, period: Period) -> None:
        """Schedule a period of misbehaviour."""
        if period.do != "refuse":
            self._script.add([period])
            return
        ports = [port for port, number in self._numbers.items() if period.ports is None or number in period.ports]
        self._loop.after(period.begin - now(), lambda: self._refuse(ports))
        if period.end < math.inf:
            self._loop.after(period.end - now(), lambda: [self._listen(bind(port)) for port in ports])

    def _on_input(self) -> None:
        text = os.read(sys.stdin.fileno(), 1 << 16)
        if not text:
            self._loop.is_running = False
        for line in text.splitlines():
            message = json.loads(line)
            if message.pop("report", False):
                self._record.flush()
                write_json({**self.counters, "open": len(self._open)})
            else:
                self.schedule(Period.parse(message, now()))

    def _flush(self) -> None:
        self._record.flush()
        self._loop.after(FLUSH_INTERVAL, self._flush)

    def _listen(self, listener: socket.socket, *, accepting: bool = True) -> int:
        port: int = listener.getsockname()[1]
        listener.listen(64)
        self._listeners[port] = listener
        if accepting:
            self._loop.watch(listener.fileno(), lambda: self._accept(listener, port))
        return port

    def _accept(self, listener: socket.socket, port: int) -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                enable_send_times(sock)
                connection = Connection(sock, port, next(self._connections))
                if self._tls_context is not None and self._numbers[port] < self._tls_count:
                    connection.tls = TlsEnd(self._tls_context)
                self._open[sock.fileno()] = connection
                self.counters["connections"] += 1
                self._loop.watch(sock.fileno(), partial(self._read, connection))

    def _refuse(self, ports: list[int]) -> None:
        for port in ports:
            listener = self._listeners.pop(port)
            self._loop.unwatch(listener.fileno())
            listener.close()
        for connection in [one for one in self._open.values() if one.port in ports]:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._close(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data, arrived = receive(connection.sock)
        except BlockingIOError:
            return
        if not data:
            self._close(connection)
            return
        self.counters["bytes_in"] += len(data)
        if connection.tls is not None:
            try:
                data = connection.tls.receive(connection.sock, data)
            except (ssl.SSLError, OSError):
                self._close(connection)
                return
        commands, connection.buffer = split_commands(connection.buffer + data)
        for words in commands:
            if words[0] == b"PING":
                self._ping(connection, arrived, words[1] if len(words) > 1 else None)
            else:
                self.counters[words[0].upper().decode()] += 1
                self._reply(connection, now(), self._replies.reply_to(words, connection.port), None)
        self._send(connection)

    def _ping(self, connection: Connection, arrived: int, word: bytes | None) -> None:
        self.counters["PING"] += 1
        fate = self._script.decide(self._numbers[connection.port], now())
        connection.hung = connection.hung or fate.do == "hang"
        if fate.do == "drop" or connection.hung:
            self._record.write(connection.port, connection.number, arrived, "hang" if connection.hung else "drop")
        else:
            self._pong(connection, arrived, fate, PONG if word is None else b"$%d\r\n%b\r\n" % (len(word), word))

    def _pong(self, connection: Connection, arrived: int, fate: Fate, pong: bytes) -> None:
        if fate.apart:
            self._reply(connection, fate.at, pong[:3], None)
            self._reply(connection, fate.at + fate.apart, pong[3:], arrived)
        else:
            self._reply(connection, fate.at, pong * (2 if fate.do == "twice" else 1), arrived)

    def _reply(self, connection: Connection, at: float, data: bytes, arrived: int | None) -> None:
        connection.latest = at = max(at, connection.latest)
        connection.pending.append((at, data, arrived))
        if at > now():
            self._loop.after(at - now(), lambda: self._send(connection))

    def _send(self, connection: Connection) -> None:
        """Send all data that is due in one piece, and record it."""
        pending, due, moment = connection.pending, [], now()
        while pending and pending[0][0] <= moment:
            due.append(pending.popleft())
        if not due:
            return
        data = b"".join([part for _, part, _ in due])
        left = wall()
        try:
            if connection.tls is None:
                connection.sock.sendall(data)
            else:
                connection.tls.send(connection.sock, data)
        except OSError:
            return  # the connection is closed, and the next read will notice it
        done = wall()
        stamp = sent_at(connection.sock)
        if stamp is not None and left <= stamp <= done:
            left = stamp
        self.counters["bytes_out"] += len(data)
        for _, _, arrived in due:
            if arrived is not None:
                self._record.write(connection.port, connection.number, arrived, "answer", left, done)

    def _close(self, connection: Connection) -> None:
        for _, _, arrived in connection.pending:
            if arrived is not None:
                self._record.write(connection.port, connection.number, arrived, "lost")
        connection.pending.clear()
        del self._open[connection.sock.fileno()]
        self._loop.unwatch(connection.sock.fileno())
        connection.sock.close()


def write_json(message: object) -> None:
    """Write one line of JSON to the output."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ports", type=int, default=1, help="how many ports of 127.0.0.1 to serve")
    parser.add_argument("--record", type=Path, default=Path(os.devnull), help="CSV file, one line per PING")
    parser.add_argument("--max-lines", type=int, default=2_000_000, help="maximum number of lines of the record")
    parser.add_argument("--delay", default="0", help="seconds, uniform:LOW:HIGH or lognormal:MEDIAN:SIGMA")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hang", type=int, default=0, help="how many of the last ports listen but never reply")
    parser.add_argument("--refuse", type=int, default=0, help="how many of the ports before them refuse connections")
    parser.add_argument("--behind", type=int, help="port of a real server, which gets each other command once")
    parser.add_argument("--changing", type=int, help="the same, but most values of its replies change with time")
    parser.add_argument("--tls", type=int, default=0, help="how many of the first ports speak TLS")
    parser.add_argument("--certificate", help="PEM file with the certificate and the key for them")
    parser.add_argument("--scenario", type=Path, help="JSON file, a list of periods that begin at the start")
    options = parser.parse_args()
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    record, script = Record(options.record, options.max_lines), Script(options.delay, options.seed)
    replies = ChangingReplies(options.changing) if options.changing else CannedReplies(options.behind)
    tls = (options.tls, server_context(options.certificate)) if options.tls else None
    server = EchoServer(options.ports, record, script, replies, options.hang, tls)
    if options.refuse:
        last = options.ports - options.hang
        server.schedule(Period("refuse", now(), math.inf, ports=frozenset(range(last - options.refuse, last))))
    for message in json.loads(options.scenario.read_text()) if options.scenario else ():
        server.schedule(Period.parse(message, now()))
    gc.disable()
    write_json({"ports": server.ports})
    server.run()


if __name__ == "__main__":
    main()
