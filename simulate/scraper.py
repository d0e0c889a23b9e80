"""Clients of the daemon's pages: one request on a connection, read at any speed."""

from collections.abc import Callable

from simulate.network import Address, Network, Stream
from simulate.sockets import client_host

OnPage = Callable[[int, bytes], None]


class PageRequest:
    """One GET. ``done(status, body)`` is called once: with status 0 if there is no page.

    ``bytes_per_second`` makes the client slow. None: it reads at once. 0: it never reads.
    """

    def __init__(
        self,
        network: Network,
        client: str,
        path: str,
        done: OnPage,
        *,
        timeout: float = 10.0,
        bytes_per_second: float | None = None,
        method: str = "GET",
    ) -> None:
        self._network, self._done, self._speed = network, done, bytes_per_second
        self._data = b""
        self._is_over = False
        self._stream: Stream | None = None
        listener = network.add_host("127.0.0.1").listeners.get(9121)
        if listener is None:
            network.loop.call_soon(self._end, 0, b"")
            return
        host = client_host(network, client)
        daemon_end, self._stream = network.pair(host, ("10.255.0.1", 9121), _client_address(network, client))
        self._stream.on_event = self._on_event
        network.loop.call_later(host.latency, listener.accept, daemon_end)
        head = f"{method} {path} HTTP/1.1\r\nHost: 10.255.0.1:9121\r\nConnection: close\r\n"
        self._stream.send(f"{head}X-Prometheus-Scrape-Timeout-Seconds: {timeout:g}\r\n\r\n".encode())
        self._timer = network.loop.call_later(timeout, self._end, 0, b"")

    def _on_event(self) -> None:
        stream = self._stream
        if stream is None or self._is_over or self._speed == 0:
            return
        if stream.inbox:
            size = 1_000_000 if self._speed is None else max(1, int(self._speed / 10))
            self._data += stream.read(size)[0]
            if stream.inbox or self._speed is not None:
                self._network.loop.call_later(0.1 if self._speed is not None else 0.0, self._on_event)
                return
        if stream.error is not None or stream.eof:
            self._finish()

    def _finish(self) -> None:
        head, _, body = self._data.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        if b"transfer-encoding: chunked" in head.lower():
            body = _join_chunks(body)
        self._end(status, body)

    def _end(self, status: int, body: bytes) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._stream is not None:
            self._timer.cancel()
            self._stream.close()
        self._done(status, body)


def _client_address(network: Network, client: str) -> Address:
    return client, 40_000 + next(network.numbers) % 20_000


def _join_chunks(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        count = int(size.split(b";")[0], 16)
        if count == 0:
            break
        body += data[:count]
        data = data[count + 2 :]
    return body
