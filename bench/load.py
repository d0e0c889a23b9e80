"""A small closed-loop HTTP client: few connections, kept alive, each asks again as soon as its answer is complete.

Raw sockets in one thread, since what is measured answers in less time than a comfortable client needs. An answer is
complete by its Content-Length or its last chunk.
"""

import math
import re
import selectors
import socket
import threading
import time

#: What Prometheus sends.
PROMETHEUS = (
    "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\nUser-Agent: Prometheus/2.42.0\r\n"
)
LAST_CHUNK = b"\r\n0\r\n\r\n"


class Connection:
    """One kept-alive connection that asks for ``/metrics``."""

    def __init__(self, port: int, headers: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
        self._sent = 0.0
        self.answer = bytearray()

    def ask(self) -> None:
        """Send a request; the answer before must be complete."""
        self.answer.clear()
        self._sent = time.perf_counter()
        self.socket.sendall(self._request)

    def read(self) -> float | None:
        """Read what is there: the seconds since the request when the answer is complete, else None."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("closed in the middle of an answer")
        self.answer += data
        return time.perf_counter() - self._sent if self._complete() else None

    def _complete(self) -> bool:
        end = self.answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.answer[:end])
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(head.decode(errors="replace"))
        if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
            return len(self.answer) >= end + 4 + int(length[1])
        return self.answer.endswith(LAST_CHUNK)


def fetch(port: int, headers: str = PROMETHEUS) -> bytes:
    """Fetch one answer, head and body as they came."""
    connection = Connection(port, headers)
    with connection.socket:
        connection.ask()
        while connection.read() is None:
            pass
        return bytes(connection.answer)


def closed_loop(port: int, connections: int, requests: int, seconds: float) -> list[float]:
    """Return the latencies (seconds) of at most ``requests`` answers over ``connections``, within about ``seconds``."""
    latencies: list[float] = []
    open_ones = [Connection(port, PROMETHEUS) for _ in range(connections)]
    deadline = time.perf_counter() + seconds
    with selectors.DefaultSelector() as selector:
        for connection in open_ones:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.ask()
        waiting = connections
        while waiting:
            for key, _ in selector.select(5):
                latency = key.data.read()
                if latency is None:
                    continue
                latencies.append(latency)
                if len(latencies) + waiting <= requests and time.perf_counter() < deadline:
                    key.data.ask()
                else:
                    waiting -= 1
    for connection in open_ones:
        connection.socket.close()
    return latencies


def page(port: int, headers: str, patience: float) -> tuple[float, bytes]:
    """Fetch an answer: seconds, head and body; infinite and nothing when it does not come within ``patience``."""
    connection = Connection(port, headers)
    with connection.socket:
        connection.socket.settimeout(patience)
        try:
            connection.ask()
            while (seconds := connection.read()) is None:
                pass
        except TimeoutError:
            return math.inf, b""
        return seconds, bytes(connection.answer)


def longest_wait(port: int, meanwhile: threading.Thread, patience: float) -> float:
    """Ask for a small page, again and again until ``meanwhile`` has ended; the longest that it took, in seconds."""
    longest = 0.0
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as door:
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        meanwhile.start()
        while meanwhile.is_alive():
            began = time.perf_counter()
            door.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                door.recv(4096)
            except TimeoutError:
                return math.inf
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.005)
    meanwhile.join()
    return longest
