"""A server that answers PING and writes down when each arrived and when its answer left; a process of its own.

    python -m tests.integration.echo_server --ports 1000 --record FILE [--delay lognormal:0.001:1] [--behind PORT]

First it writes one line of JSON to its output, ``{"ports": […]}``. Every line of JSON on its input is one period of
trouble (see ``echo_script``), beginning when it is read, or ``{"tell": true}``: the counters come back as one line,
and the record is complete. It ends when its input does. One line of the record a PING, times in ns of CLOCK_REALTIME:

    port,connection,arrived_ns,left_ns,done_ns,fate

``arrived_ns`` is the kernel's stamp, ``left_ns`` the moment before the answer was sent, ``done_ns`` that after;
without an answer both are empty. Linux only, standard library only.
"""

import argparse
import gc
import itertools
import json
import math
import os
import resource
import socket
import struct
import sys
from collections import Counter, deque
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.integration.echo_answers import Answers, commands
from tests.integration.echo_loop import Loop, Record, bind, now, receive, wall
from tests.integration.echo_script import Fate, Period, Script

PONG = b"+PONG\r\n"
RESET = struct.pack("ii", 1, 0)
FLUSH = 0.5  # seconds between two writes of the record


class Connection:
    """``answers`` holds what is still to be sent: when, the data, and the stamp of the PING that it ends."""

    __slots__ = ("answers", "buffer", "hung", "latest", "number", "port", "sock")

    def __init__(self, sock: socket.socket, port: int, number: int) -> None:
        self.sock, self.port, self.number = sock, port, number
        self.buffer = b""
        self.answers: deque[tuple[float, bytes, int | None]] = deque()
        self.latest = 0.0  # an answer never overtakes the one before
        self.hung = False


class EchoServer:
    """So many ports; behind the last ``hang`` of them nobody ever accepts."""

    def __init__(self, count: int, record: Record, script: Script, answers: Answers, hang: int = 0) -> None:
        self._script, self._answers, self._record = script, answers, record
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
        self._loop.watch(sys.stdin.fileno(), self._obey)
        self._flush()
        self._loop.run()
        self._record.close()

    def take(self, period: Period) -> None:
        """Let a period of trouble come."""
        if period.do != "refuse":
            self._script.add([period])
            return
        ports = [port for port, number in self._numbers.items() if period.ports is None or number in period.ports]
        self._loop.after(period.begin - now(), lambda: self._refuse(ports))
        if period.end < math.inf:
            self._loop.after(period.end - now(), lambda: [self._listen(bind(port)) for port in ports])

    def _obey(self) -> None:
        text = os.read(sys.stdin.fileno(), 1 << 16)
        if not text:
            self._loop.is_running = False
        for line in text.splitlines():
            words = json.loads(line)
            if words.pop("tell", False):
                self._record.flush()
                say({**self.counters, "open": len(self._open)})
            else:
                self.take(Period.read(words, now()))

    def _flush(self) -> None:
        self._record.flush()
        self._loop.after(FLUSH, self._flush)

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
                connection = Connection(sock, port, next(self._connections))
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
        asked, connection.buffer = commands(connection.buffer + data)
        for words in asked:
            if words[0] == b"PING":
                self._ping(connection, arrived, words[1] if len(words) > 1 else None)
            else:
                self.counters[words[0].upper().decode()] += 1
                self._answer(connection, now(), self._answers.to(words), None)
        self._send(connection)

    def _ping(self, connection: Connection, arrived: int, word: bytes | None) -> None:
        self.counters["PING"] += 1
        fate = self._script.fate(self._numbers[connection.port], now())
        connection.hung = connection.hung or fate.do == "hang"
        if fate.do == "drop" or connection.hung:
            self._record.write(connection.port, connection.number, arrived, "hang" if connection.hung else "drop")
        else:
            self._pong(connection, arrived, fate, PONG if word is None else b"$%d\r\n%b\r\n" % (len(word), word))

    def _pong(self, connection: Connection, arrived: int, fate: Fate, pong: bytes) -> None:
        if fate.apart:
            self._answer(connection, fate.at, pong[:3], None)
            self._answer(connection, fate.at + fate.apart, pong[3:], arrived)
        else:
            self._answer(connection, fate.at, pong * (2 if fate.do == "twice" else 1), arrived)

    def _answer(self, connection: Connection, at: float, data: bytes, arrived: int | None) -> None:
        connection.latest = at = max(at, connection.latest)
        connection.answers.append((at, data, arrived))
        if at > now():
            self._loop.after(at - now(), lambda: self._send(connection))

    def _send(self, connection: Connection) -> None:
        """Send what is due, in one piece, and write it down."""
        answers, ripe, moment = connection.answers, [], now()
        while answers and answers[0][0] <= moment:
            ripe.append(answers.popleft())
        if not ripe:
            return
        data = b"".join([part for _, part, _ in ripe])
        left = wall()
        try:
            connection.sock.sendall(data)
        except OSError:
            return  # it is gone; the reading side finds out
        done = wall()
        self.counters["bytes_out"] += len(data)
        for _, _, arrived in ripe:
            if arrived is not None:
                self._record.write(connection.port, connection.number, arrived, "answer", left, done)

    def _close(self, connection: Connection) -> None:
        for _, _, arrived in connection.answers:
            if arrived is not None:
                self._record.write(connection.port, connection.number, arrived, "lost")
        connection.answers.clear()
        del self._open[connection.sock.fileno()]
        self._loop.unwatch(connection.sock.fileno())
        connection.sock.close()


def say(words: object) -> None:
    """Write one line of JSON to the output."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ports", type=int, default=1, help="so many, free ones of 127.0.0.1")
    parser.add_argument("--record", type=Path, default=Path(os.devnull), help="CSV, one line a PING")
    parser.add_argument("--most", type=int, default=2_000_000, help="lines of the record at most")
    parser.add_argument("--delay", default="0", help="seconds, uniform:LOW:HIGH or lognormal:MEDIAN:SIGMA")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hang", type=int, default=0, help="the last so many ports listen and never answer")
    parser.add_argument("--refuse", type=int, default=0, help="the so many before them refuse")
    parser.add_argument("--behind", type=int, help="port of a real server, asked once for whatever is not PING")
    parser.add_argument("--scenario", type=Path, help="JSON, a list of periods of trouble, from the start")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    record, script = Record(options.record, options.most), Script(options.delay, options.seed)
    server = EchoServer(options.ports, record, script, Answers(options.behind), options.hang)
    if options.refuse:
        last = options.ports - options.hang
        server.take(Period("refuse", now(), math.inf, ports=frozenset(range(last - options.refuse, last))))
    for words in json.loads(options.scenario.read_text()) if options.scenario else ():
        server.take(Period.read(words, now()))
    gc.disable()
    say({"ports": server.ports})
    server.run()


if __name__ == "__main__":
    main()
