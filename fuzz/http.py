"""Give the web server random bytes, in this process and without a socket.

Everything above the transport is real: the parser, our limits, uvicorn, the rules of access, and the pages.
"""
# ruff: noqa: E501 - some tables have one line per row

import asyncio
import logging
import re
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from fuzz.inputs import Chooser
from redis_pulse.web import ConnectionLimits, build
from redis_pulse.web.connection_accounting import ClientLimits, ConnectionAccounting
from redis_pulse.web.connection_limits import limited_protocol
from tests.web.fakes import FakeDaemon

#: Turns of the event loop in which every request must be answered, or ended after its client has left.
_MAX_TURNS = 500
_REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text;q=0.5,text/plain\r\n"
    "Accept-Encoding: gzip\r\n\r\n"
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "TRACE", "get", "PRI", "G\x00T", "")
_PATHS = (
    *("/", "/metrics", "/scrape?target=cache", "/health", "/sd", "/stalls?limit=2", "/config", "/api/v1/status"),
    *("/-/healthy", "/-/ready", "/-/reload", "/redis/ping?target=cache", "/redis/stats", "/?target=cache", "*", "//"),
    *(
        "/metrics?collectors[]=info&name[]=redis_up",
        "/api/v1/openapi.json",
        "http://x/metrics",
        "/%00%ff",
        "/%0d%0aX:y",
    ),
)
_HEADERS = (
    *("Host: localhost", "Host: evil.example", "Host: [::1]:9121", "Host:", "Origin: http://evil", "Expect: 100-continue"),
    *("Content-Length: 5", "Content-Length: 99999999999", "Content-Length: -1", "Content-Length: 5, 5", "Connection: close"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Connection: upgrade", "Upgrade: websocket"),
    *("Authorization: Basic eDp5", "Authorization: Bearer x", "Accept: */*;q=nan", "Sec-Fetch-Site: cross-site", "Range: bytes=0-1"),
    *("X: " + "a" * 3000, " folded", "NoColon", "Name : blank", "X-Forwarded-For: 10.0.0.1", "HTTP2-Settings: AAMAAABk"),
)  # fmt: skip
_BODIES = (
    "",
    "hello",
    "5\r\nhello\r\n0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "-1\r\n\r\n",
    "0;x=y\r\nA: b\r\n\r\n",
    "\r\n\r\n",
)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z ]+\r\n")


def make(chooser: Chooser) -> list[bytes]:
    """Return what a client sends, in pieces."""
    texts = [_request(chooser) for _ in range(chooser.below(3) + 1)]
    text = "".join(texts)
    if chooser.random.random() < 0.5:
        text = chooser.mutated(text)
    data = text.encode("latin-1", errors="replace")
    if chooser.random.random() < 0.1:
        data += chooser.random.randbytes(chooser.below(40))
    pieces: list[bytes] = []
    while data and len(pieces) < 4 and chooser.random.random() < 0.4:
        end = int(chooser.random.random() * (len(data) + 1))
        pieces.append(data[:end])
        data = data[end:]
    return [*pieces, data]


def _request(chooser: Chooser) -> str:
    if chooser.random.random() < 0.3:
        return _REQUEST.format(path=chooser.one_of(_PATHS))
    path = chooser.one_of(_PATHS) if chooser.random.random() < 0.8 else "/" + chooser.text(4)
    version = chooser.one_of(("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", ""))
    headers = [chooser.one_of(_HEADERS) for _ in range(chooser.below(6))]
    if chooser.random.random() < 0.7:
        headers.insert(0, "Host: localhost")
    head = "\r\n".join((f"{chooser.one_of(_METHODS)} {path} {version}", *headers))
    return f"{head}\r\n\r\n{chooser.one_of(_BODIES)}"


class _Transport(asyncio.Transport):
    """Collects what the server writes. Its client reads everything at once."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 9121)})
        self.written = b""
        self.is_closed = False
        self.reads = True

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    abort = write_eof = close

    def is_closing(self) -> bool:
        return self.is_closed

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Keep nothing."""

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_reading(self) -> bool:
        return self.reads


class _Errors(logging.Handler):
    """Keeps what uvicorn logs when the application or its response is broken."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


class Server:
    """The web server, and a client for each input."""

    def __init__(self, loop: asyncio.AbstractEventLoop, daemon: FakeDaemon) -> None:
        self._loop = loop
        self._daemon = daemon
        self._refused: list[str] = []
        # A refused client is closed at once, so that no timers pile up.
        protocol: Any = limited_protocol(ConnectionLimits(linger=0), self._refused.append)
        self._config = uvicorn.Config(
            build(self._daemon),
            http=protocol,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        self._config.load()
        self._accounting = ConnectionAccounting(ClientLimits(), loop.time, on_closed=lambda: None)
        self._errors = _Errors()
        logging.getLogger("uvicorn.error").addHandler(self._errors)
        self._raised: list[dict[str, Any]] = []

    def read(self, pieces: list[bytes]) -> None:
        """Send the pieces, leave, and check what the server did."""
        self._loop.set_exception_handler(lambda _, context: self._raised.append(context))
        self._daemon.requests.clear()
        self._errors.texts.clear()
        self._raised.clear()
        written = self._loop.run_until_complete(self._converse(pieces))
        assert not self._raised, f"the event loop caught {self._raised[0]}"
        assert not self._errors.texts, f"uvicorn logged {self._errors.texts[0]}"
        failed = [request for request in self._daemon.requests if request[1] >= 500 and request[0] != "/health"]
        assert not failed, f"a page failed: {failed[0]}"
        head = written.removeprefix(_CONTINUE).partition(b"\r\n\r\n")[0]
        if head:
            assert _STATUS_LINE.match(head), f"no response: {head[:80]!r}"
            assert b"x-content-type-options: nosniff" in head, f"a response without common headers: {head!r}"

    async def _converse(self, pieces: list[bytes]) -> bytes:
        transport, state = _Transport(), ServerState()
        client = self._accounting.add("127.0.0.1", transport.abort)
        protocol: Any = self._config.http_protocol_class
        connection = protocol(client=client, config=self._config, server_state=state, app_state={})
        connection.connection_made(transport)
        for piece in pieces:
            if transport.is_closed:
                break
            connection.data_received(piece)
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        transport.is_closed = True
        connection.connection_lost(None)
        for _ in range(_MAX_TURNS):
            if not state.tasks:
                break
            await asyncio.sleep(0)
        assert not state.tasks, "a request does not end when its client has left"
        assert len(self._accounting) == 0, "a client that has left is still counted"
        return transport.written
