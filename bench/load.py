"""A small closed-loop HTTP client with few kept-alive connections.

Each connection sends its next request as soon as its response is complete. A response ends according to its
Content-Length, or with its last chunk. The client uses raw sockets in one thread, because the server replies faster
than a comfortable client can process.
"""

import math
import re
import selectors
import socket
import threading
import time

#: The headers that Prometheus sends.
PROMETHEUS = (
    "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\nUser-Agent: Prometheus/2.42.0\r\n"
)
LAST_CHUNK = b"\r\n0\r\n\r\n"


class Connection:
    """One kept-alive connection that requests ``/metrics``, or another path."""

    def __init__(self, port: int, headers: str, path: str = "/metrics") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
        self._sent = 0.0
        self.response = bytearray()

    def send_request(self) -> None:
        """Send a request. The previous response must be complete."""
        self.response.clear()
        self._sent = time.perf_counter()
        self.socket.sendall(self._request)

    def read(self) -> float | None:
        """Read the available data. Return the seconds since the request if the response is complete, or None."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("closed in the middle of a response")
        self.response += data
        return time.perf_counter() - self._sent if self._complete() else None

    def _complete(self) -> bool:
        end = self.response.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.response[:end])
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(head.decode(errors="replace"))
        if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
            return len(self.response) >= end + 4 + int(length[1])
        return self.response.endswith(LAST_CHUNK)


def body(response: bytes) -> bytes:
    """Return the body of a response, without the frames of its chunks."""
    head, _, rest = response.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return rest
    parts, position = [], 0
    while True:
        end = rest.index(b"\r\n", position)
        size = int(rest[position:end], 16)
        if not size:
            return b"".join(parts)
        parts.append(rest[end + 2 : end + 2 + size])
        position = end + 4 + size


def fetch(port: int, headers: str = PROMETHEUS) -> bytes:
    """Return one response, head and body."""
    connection = Connection(port, headers)
    with connection.socket:
        connection.send_request()
        while connection.read() is None:
            pass
        return bytes(connection.response)


def closed_loop(port: int, connections: int, requests: int, seconds: float) -> list[float]:
    """Return the latencies in seconds of at most ``requests`` responses, over ``connections``, in about ``seconds``."""
    latencies: list[float] = []
    clients = [Connection(port, PROMETHEUS) for _ in range(connections)]
    deadline = time.perf_counter() + seconds
    with selectors.DefaultSelector() as selector:
        for connection in clients:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send_request()
        waiting = connections
        while waiting:
            for key, _ in selector.select(5):
                latency = key.data.read()
                if latency is None:
                    continue
                latencies.append(latency)
                if len(latencies) + waiting <= requests and time.perf_counter() < deadline:
                    key.data.send_request()
                else:
                    waiting -= 1
    for connection in clients:
        connection.socket.close()
    return latencies


def page(port: int, headers: str, timeout: float) -> tuple[float, bytes]:
    """Return the seconds and the content of a response, or infinity and nothing after ``timeout``."""
    connection = Connection(port, headers)
    with connection.socket:
        connection.socket.settimeout(timeout)
        try:
            connection.send_request()
            while (seconds := connection.read()) is None:
                pass
        except TimeoutError:
            return math.inf, b""
        return seconds, bytes(connection.response)


def longest_wait(port: int, meanwhile: threading.Thread, timeout: float) -> float:
    """Request a small page repeatedly until ``meanwhile`` has ended. Return the longest duration in seconds."""
    longest = 0.0
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        meanwhile.start()
        while meanwhile.is_alive():
            began = time.perf_counter()
            connection.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                connection.recv(4096)
            except TimeoutError:
                return math.inf
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.005)
    meanwhile.join()
    return longest
