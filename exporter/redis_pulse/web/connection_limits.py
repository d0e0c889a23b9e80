"""Bounds what one client may take: time, bytes and connections.

uvicorn keeps a connection open for as long as a client takes to send its request. Here a request has a deadline from
its first byte (or from the connection) to its last one, whatever trickles in between; its head and its body are
bounded; an answer that is not fetched is cut; and there is a most number of connections.

Of uvicorn this uses the callbacks that httptools calls, and what ``UVICORN_ATTRIBUTES`` lists:
a test fails when it goes away.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: Why a client was refused; the closed list of what ``on_refused`` is called with.
REFUSAL_REASONS = ("timeout", "bad_request", "head_too_large", "body_too_large", "too_many_connections", "not_fetched")
#: Attributes of uvicorn's protocol, and of its ``cycle`` (a request and its answer).
UVICORN_ATTRIBUTES = (
    ("connections", "transport", "loop", "pipeline", "cycle"),
    ("response_started", "response_complete", "disconnected", "keep_alive", "message_event"),
)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one client may take; times in seconds, sizes in bytes."""

    #: from the connection, or the first byte of a further request, to the end of the request
    request_timeout: float = 10.0
    #: from the end of the request until the client has fetched the answer
    response_timeout: float = 60.0
    #: idle between two requests; not 30 s, which would race with scrapes every 30 s
    keep_alive: int = 35
    #: how long a refused client may take to read why
    linger: float = 1.0
    head_bytes: int = 32 * 1024
    body_bytes: int = 64 * 1024
    connections: int = 512


def limited(limits: ConnectionLimits, on_refused: Callable[[str], None]) -> "partial[LimitedProtocol]":
    """Return what uvicorn makes its protocols with; ``on_refused`` is called with one of ``REFUSAL_REASONS``."""
    return partial(LimitedProtocol, limits=limits, on_refused=on_refused)


class LimitedProtocol(HttpToolsProtocol):
    """One client's connection."""

    def __init__(self, *args: Any, limits: ConnectionLimits, on_refused: Callable[[str], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self._on_refused = on_refused
        self._deadline: asyncio.TimerHandle | None = None
        self._response_timer: asyncio.TimerHandle | None = None
        self._refused = self._in_head = self._in_body = False
        self._head_size = self._body_size = self._head_bytes_seen = 0
        #: requests whose answers are not complete, in their order
        self._unanswered: list[RequestResponseCycle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client in, or say that there is no room."""
        super().connection_made(transport)
        excess = len(self.connections) - self.limits.connections
        if excess > self.limits.connections // 8:
            self._cut("too_many_connections")  # not even room to say so
        elif excess > 0:
            self._refuse(503, "Too many connections: try again later.", "too_many_connections")
        else:
            self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client."""
        self._stop_timers()
        for cycle in self._unanswered:
            # uvicorn tells only the newest of the requests that a client has sent one after the other.
            cycle.disconnected = True
            cycle.message_event.set()
        self._unanswered.clear()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer first when a client that has asked closes its side, as ``nc -N`` does."""
        if self._refused or self._in_body or self.cycle is None or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and bound what it has swallowed: a long line reaches the callbacks only when it ends."""
        if self._refused:
            return
        if self._deadline is None:
            self._start_deadline()
        was_in_head = self._in_head
        super().data_received(data)
        if not self._in_head:
            self._head_bytes_seen = 0
        elif was_in_head:
            self._head_bytes_seen += len(data)
        else:  # it began in this chunk, after the end of the request before it, if there was one
            self._head_bytes_seen = len(data) - (data.rfind(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else 0)
        if self._in_head and self._head_bytes_seen > self.limits.head_bytes:
            self._refuse_head()

    # Callbacks of the parser; after a refusal it may still be in the middle of a chunk of bytes.

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._refused:
            return
        if self._deadline is None:
            self._start_deadline()
        self._in_head = True
        self._head_size = self._body_size = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        self._head_size += len(url)
        if self._head_size > self.limits.head_bytes:
            self._refuse_head()
        else:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self.limits.head_bytes:
            self._refuse_head()
        elif name.lower() == b"content-length" and value.isdigit() and int(value[:20]) > self.limits.body_bytes:
            self._refuse_body()
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        if not self._refused:
            self._in_head, self._in_body = False, True
            super().on_headers_complete()
            self._unanswered = [cycle for cycle in self._unanswered if not cycle.response_complete]
            if self.cycle is not None:
                self._unanswered.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._refused:
            return
        self._body_size += len(body)
        if self._body_size > self.limits.body_bytes:
            self._refuse_body()
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request: now it is on us to answer, and on the client to fetch the answer."""
        if self._refused:
            return
        self._in_body = False
        self._stop_timers()
        self._start_delivery()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; uvicorn calls this when the parser gives up."""
        self._refuse(400, msg, "bad_request")

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.limits.request_timeout, self._deadline_passed)

    def _start_delivery(self) -> None:
        self._response_timer = self.loop.call_later(self.limits.response_timeout, self._delivery_passed)

    def _stop_timers(self) -> None:
        for timer in (self._deadline, self._response_timer):
            if timer is not None:
                timer.cancel()
        self._deadline = self._response_timer = None

    def _deadline_passed(self) -> None:
        if not self.transport.is_closing() and not self.transport.is_reading():
            # We stopped reading, since an earlier answer is still on its way: that is judged by its own deadline.
            self._start_deadline()
        elif self._in_head or (self._in_body and not self.cycle.response_complete):
            self._refuse(408, "The request did not end in time.", "timeout")
        else:
            # Opened and silent, or an answered request whose body never ends: nobody to talk to.
            self._cut("timeout")

    def _delivery_passed(self) -> None:
        if self.transport.get_write_buffer_size() > 0:
            self._cut("not_fetched")
        elif not self.cycle.response_complete:
            self._start_delivery()

    def _refuse_head(self) -> None:
        self._refuse(431, f"The head of a request is at most {self.limits.head_bytes} bytes.", "head_too_large")

    def _refuse_body(self) -> None:
        self._refuse(413, f"The body of a request is at most {self.limits.body_bytes} bytes.", "body_too_large")

    def _refuse(self, status: int, text: str, reason: str) -> None:
        """Say why, then close; what still arrives is dropped, so that the client gets to read it before a reset."""
        if self._refused:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            if self.pipeline or not self._in_body or self.cycle.response_started:
                # An answer to an earlier request is on its way: a text of ours would end up in the middle of it.
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
