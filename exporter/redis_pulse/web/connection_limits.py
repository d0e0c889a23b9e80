"""Limit the time, the bytes and the connections that clients can take.

uvicorn keeps a connection open for as long as a client takes to send its request. Here a request has a deadline.
It begins with the connection, or with the first byte of a later request. It holds for the last byte of the request,
however the bytes trickle in.
Head and body of a request have a maximum size. A response that the client does not fetch is cut off.
The number of connections is limited too.

``LimitedProtocol`` overrides the callbacks that httptools calls. It and ``server`` also use the attributes of uvicorn
in ``UVICORN_ATTRIBUTES``. A test fails if an upgrade of uvicorn removes one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: Why a client was refused: the closed list of values that ``on_refused`` receives.
REFUSAL_REASONS = ("timeout", "bad_request", "head_too_large", "body_too_large", "too_many_connections", "not_fetched")
#: Attributes and methods that we use of each class of uvicorn. ``RequestResponseCycle`` is a request and its response.
UVICORN_ATTRIBUTES = {
    "HttpToolsProtocol": ("connections", "transport", "loop", "pipeline", "cycle"),
    "RequestResponseCycle": (
        "response_started",
        "response_complete",
        "disconnected",
        "keep_alive",
        "message_event",
    ),
    "Server": (
        # read or set
        *("config", "server_state", "lifespan", "servers", "started", "should_exit", "force_exit"),
        # overridden, and called by ``Server.serve``
        *("startup", "main_loop", "shutdown", "capture_signals"),
    ),
    "ServerState": ("connections", "tasks"),
    "Config": ("http_protocol_class",),
    "LifespanOff": ("state",),
}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits for clients. Times are in seconds, sizes in bytes."""

    #: from the connection, or the first byte of a later request, to the end of the request
    request_timeout: float = 10.0
    #: from the end of the request until the client has fetched the response
    response_timeout: float = 60.0
    #: idle time between two requests; 30 s would be a race with scrapes every 30 s
    keep_alive: int = 35
    #: time for a refused client to read the reason
    linger: float = 1.0
    head_bytes: int = 32 * 1024
    body_bytes: int = 64 * 1024
    #: of all clients together
    connections: int = 512


def limited_protocol(limits: ConnectionLimits, on_refused: Callable[[str], None]) -> "partial[LimitedProtocol]":
    """Return a factory of protocols for uvicorn. ``on_refused`` is called with one of ``REFUSAL_REASONS``."""
    return partial(LimitedProtocol, limits=limits, on_refused=on_refused)


class LimitedProtocol(HttpToolsProtocol):
    """The connection of one client."""

    def __init__(self, *args: Any, limits: ConnectionLimits, on_refused: Callable[[str], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self._on_refused = on_refused
        self._request_timer: asyncio.TimerHandle | None = None
        self._response_timer: asyncio.TimerHandle | None = None
        self._refused = self._in_head = self._in_body = False
        self._head_size = self._body_size = self._head_bytes_seen = 0
        #: requests without a complete response, in their order
        self._unanswered: list[RequestResponseCycle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a client, or refuse it if there are too many connections."""
        super().connection_made(transport)
        excess = len(self.connections) - self.limits.connections
        if excess > self.limits.connections // 8:
            self._cut("too_many_connections")  # too many even to send the reason
        elif excess > 0:
            self._refuse(503, "Too many connections: try again later.", "too_many_connections")
        else:
            self._start_request_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and end all requests of this client."""
        self._stop_timers()
        for cycle in self._unanswered:
            # If a client has sent several requests, uvicorn ends only the newest.
            cycle.disconnected = True
            cycle.message_event.set()
        self._unanswered.clear()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Respond before closing if a client closes its side after a request, as ``nc -N`` does."""
        if self._refused or self._in_body or self.cycle is None or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and limit the bytes of a head that it has read.

        The callbacks alone cannot do that: they receive a long line only when it ends.
        """
        if self._refused:
            return
        if self._request_timer is None:
            self._start_request_timer()
        was_in_head = self._in_head
        super().data_received(data)
        if not self._in_head:
            self._head_bytes_seen = 0
        elif was_in_head:
            self._head_bytes_seen += len(data)
        else:  # the head began in this chunk, after the end of the previous request, if there was one
            self._head_bytes_seen = len(data) - (data.rfind(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else 0)
        if self._in_head and self._head_bytes_seen > self.limits.head_bytes:
            self._refuse_head()

    # Callbacks of the parser. After a refusal the parser may still call them for the rest of a chunk of bytes.

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._refused:
            return
        if self._request_timer is None:
            self._start_request_timer()
        self._in_head = True
        self._head_size = self._body_size = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Receive a piece of the URL."""
        self._head_size += len(url)
        if self._head_size > self.limits.head_bytes:
            self._refuse_head()
        else:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Receive one header."""
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self.limits.head_bytes:
            self._refuse_head()
        elif name.lower() == b"content-length" and value.isdigit() and int(value[:20]) > self.limits.body_bytes:
            self._refuse_body()
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to respond."""
        if not self._refused:
            self._in_head, self._in_body = False, True
            super().on_headers_complete()
            self._unanswered = [cycle for cycle in self._unanswered if not cycle.response_complete]
            if self.cycle is not None:
                self._unanswered.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Receive a piece of the body."""
        if self._refused:
            return
        self._body_size += len(body)
        if self._body_size > self.limits.body_bytes:
            self._refuse_body()
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request. Now the daemon must respond, and the client must fetch the response."""
        if self._refused:
            return
        self._in_body = False
        self._stop_timers()
        self._start_response_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Respond to bytes that are not HTTP. uvicorn calls this if the parser fails."""
        self._refuse(400, msg, "bad_request")

    def _start_request_timer(self) -> None:
        self._request_timer = self.loop.call_later(self.limits.request_timeout, self._request_timed_out)

    def _start_response_timer(self) -> None:
        self._response_timer = self.loop.call_later(self.limits.response_timeout, self._response_timed_out)

    def _stop_timers(self) -> None:
        for timer in (self._request_timer, self._response_timer):
            if timer is not None:
                timer.cancel()
        self._request_timer = self._response_timer = None

    def _request_timed_out(self) -> None:
        if not self.transport.is_closing() and not self.transport.is_reading():
            # Reading is paused until an earlier response is sent. That response has its own timer.
            self._start_request_timer()
        elif self._in_head or (self._in_body and not self.cycle.response_complete):
            self._refuse(408, "The request was not complete in time.", "timeout")
        else:
            # The client sent nothing, or it got its response and its body never ends. It does not wait for a text.
            self._cut("timeout")

    def _response_timed_out(self) -> None:
        if self.transport.get_write_buffer_size() > 0:
            self._cut("not_fetched")
        elif not self.cycle.response_complete:
            self._start_response_timer()

    def _refuse_head(self) -> None:
        self._refuse(431, f"A request head may have {self.limits.head_bytes} bytes at most.", "head_too_large")

    def _refuse_body(self) -> None:
        self._refuse(413, f"A request body may have {self.limits.body_bytes} bytes at most.", "body_too_large")

    def _refuse(self, status: int, text: str, reason: str) -> None:
        """Send the text, then close. Bytes that still arrive are dropped, so the client can read it before a reset."""
        if self._refused:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            if self.pipeline or not self._in_body or self.cycle.response_started:
                # The response to an earlier request may be half sent. The text would end up in the middle of it.
                self._cut(reason)
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._refused = True
        self._on_refused(reason)
        self._stop_timers()
        body = f"{text}\n"
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write((head + body).encode("ascii"))
        self.transport.write_eof()
        self.loop.call_later(self.limits.linger, self.transport.abort)

    def _cut(self, reason: str) -> None:
        self._refused = True
        self._on_refused(reason)
        self._stop_timers()
        self.transport.abort()
