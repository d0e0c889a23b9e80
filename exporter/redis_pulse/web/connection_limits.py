"""Limit the time, the bytes and the connections that clients can take.

uvicorn keeps a connection open for as long as a client takes to send its request. Here a request has a deadline.
It begins with the connection, or with the first byte of a later request. It holds for the last byte of the request,
however the bytes trickle in.
Head and body of a request have a maximum size. A response that the client does not fetch is cut off.
A client may send many requests in one piece. They are parsed one after the other, as the client fetches the responses.
``connection_accounting`` limits the number of clients.

``LimitedProtocol`` overrides the callbacks that httptools calls. It and ``server`` also use the attributes of uvicorn
in ``UVICORN_ATTRIBUTES``. A test fails if an upgrade of uvicorn removes one.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from redis_pulse.web.connection_accounting import Client, ClientLimits
from redis_pulse.web.tls import TlsAccess, TlsSource

#: Why a client was refused: the closed list of values that ``on_refused`` receives.
REFUSAL_REASONS = (
    "timeout",
    "bad_request",
    "head_too_large",
    "body_too_large",
    "too_many_connections",
    "not_fetched",
    "client_certificate",
)
#: Attributes and methods that we use of each class of uvicorn. ``RequestResponseCycle`` is a request and its response.
UVICORN_ATTRIBUTES = {
    "HttpToolsProtocol": (
        *("connections", "transport", "loop", "pipeline", "cycle", "flow", "scope"),
        "_unset_keepalive_if_required",
    ),
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
#: The key of the ``Client`` in the state of an ASGI scope.
CLIENT = "redis_pulse.client"
#: Bytes that a client may let wait in the write buffer. A piece of a page is longer, so at most one piece waits.
_WRITE_BUFFER = 8 * 1024
#: Bytes that the kernel keeps for a client that has fetched a part of a response. Before, it keeps fewer bytes.
_SEND_BUFFER_OF_READER = 1024 * 1024
#: Bytes that are read from a client at once.
_READ_BUFFER = 16 * 1024
#: Bytes that are parsed at once. They hold about a dozen of the shortest requests.
_PARSED_AT_ONCE = 256


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
    clients: ClientLimits = field(default_factory=ClientLimits)


def limited_protocol(limits: ConnectionLimits, on_refused: Callable[[str], None]) -> "partial[LimitedProtocol]":
    """Return a factory of protocols for uvicorn. ``on_refused`` is called with one of ``REFUSAL_REASONS``."""
    return partial(LimitedProtocol, limits=limits, on_refused=on_refused)


class LimitedProtocol(HttpToolsProtocol):
    """The connection of one client."""

    def __init__(
        self, *args: Any, client: Client, limits: ConnectionLimits, on_refused: Callable[[str], None], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self._client = client
        self._on_refused = on_refused
        #: the TLS of this connection, and where it is from; ``Acceptor`` sets both
        self.tls: TlsAccess | None = None
        self.tls_source: TlsSource | None = None
        self._request_timer: asyncio.TimerHandle | None = None
        self._response_timer: asyncio.TimerHandle | None = None
        self._refused = self._in_head = self._in_body = False
        self._head_size = self._body_size = self._head_bytes_seen = 0
        #: requests without a complete response, in their order
        self._unanswered: list[RequestResponseCycle] = []
        #: received bytes that wait until the client has fetched earlier responses
        self._unparsed = b""
        self._has_ended = self._head_ended = self._has_fetched = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a client."""
        super().connection_made(transport)
        self._client.close = self._abort
        if self.tls is not None and not self.tls.permits(transport):
            self._cut("client_certificate")
            return
        transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        if hasattr(transport, "max_size"):  # of a plain socket; it is 256 KiB by default
            transport.max_size = _READ_BUFFER
        self._start_request_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and end all requests of this client."""
        self._stop_timers()
        for cycle in self._unanswered:
            # If a client has sent several requests, uvicorn ends only the newest.
            cycle.disconnected = True
            cycle.message_event.set()
        self._unanswered.clear()
        self._unparsed = b""
        self._client.left()
        self._client.cancel_request()
        super().connection_lost(exc)
        # After a reset uvicorn would keep this object for the idle time. A flood would take 8 KB for each client.
        self._unset_keepalive_if_required()
        self.pipeline.clear()  # its requests refer to this object
        # asyncio keeps a method of the transport in the transport. Without this cycle the transport is freed now.
        # With it, it waits for the garbage collector. It is never freed if all objects are frozen meanwhile.
        if hasattr(self.transport, "_read_ready_cb"):
            self.transport._read_ready_cb = None  # noqa: SLF001

    def eof_received(self) -> bool:  # type: ignore[override]
        """Respond before closing if a client closes its side after a request, as ``nc -N`` does."""
        if self._refused or self.tls is not None:  # TLS cannot close one direction only
            return False
        if self._unparsed:
            self._has_ended = True
            return True
        if self._in_body or self.cycle is None or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Feed the parser, or keep the bytes while a request waits for an earlier response."""
        if self._refused:
            return
        if self._request_timer is None:
            self._start_request_timer()
        self._unparsed += data
        self._parse()

    def _parse(self) -> None:
        """Feed the parser with small pieces, until a request must wait for the response to an earlier one.

        The parser makes objects of all requests in a piece. They take a hundred times the bytes of the text.
        """
        while self._unparsed and not self.pipeline and not self._refused and not self.transport.is_closing():
            piece, self._unparsed = self._unparsed[:_PARSED_AT_ONCE], self._unparsed[_PARSED_AT_ONCE:]
            self._feed(piece)
        if self._refused or self.transport.is_closing():
            self._unparsed = b""
        elif self._unparsed:
            self.flow.pause_reading()
        elif self._has_ended:
            if self.cycle is None or self.cycle.response_complete or self._in_head or self._in_body:
                self.transport.close()
            else:
                self.cycle.keep_alive = False

    def _feed(self, piece: bytes) -> None:
        """Feed the parser, and limit the bytes of a head that it has read.

        The callbacks alone cannot do that: they receive a long line only when it ends.
        """
        self._head_ended = False
        super().data_received(piece)
        if not self._in_head:
            self._head_bytes_seen = 0
        elif self._head_ended:  # the head in progress began in this piece
            self._head_bytes_seen = len(piece) - (piece.rfind(b"\r\n\r\n") + 4 if b"\r\n\r\n" in piece else 0)
        else:
            self._head_bytes_seen += len(piece)
        if self._in_head and self._head_bytes_seen > self.limits.head_bytes:
            self._refuse_head()

    def on_response_complete(self) -> None:
        """Continue with the next request of this client."""
        super().on_response_complete()
        self._update_client()
        if self._unparsed and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_soon(self._parse_rest)

    def _parse_rest(self) -> None:
        self._parse()
        if not self._unparsed and not self.pipeline and not self._refused and not self.transport.is_closing():
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Wait until the client fetches more."""
        super().pause_writing()
        self._client.stalls()

    def resume_writing(self) -> None:
        """Send more to the client."""
        super().resume_writing()
        self._update_client()
        if not self._has_fetched:
            self._has_fetched = True
            sock = self.transport.get_extra_info("socket")
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_OF_READER)

    def _update_client(self) -> None:
        if any(not cycle.response_complete and not cycle.more_body for cycle in self._unanswered):
            self._client.works()
        elif self.transport.get_write_buffer_size() > 0:
            self._client.stalls()
        else:
            self._client.waits()

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
        self.scope["state"][CLIENT] = self._client

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
            self._in_head, self._in_body, self._head_ended = False, True, True
            super().on_headers_complete()
            self._unanswered = [cycle for cycle in self._unanswered if not cycle.response_complete]
            if self.cycle is not None:
                self._unanswered.append(self.cycle)
                if self.tls_source is not None and not self.tls_source.is_current(self.tls):
                    self.cycle.keep_alive = False  # a certificate was renewed: the client must connect again

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
        self._update_client()

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
        if self.transport.can_write_eof():  # TLS cannot
            self.transport.write_eof()
        self.loop.call_later(self.limits.linger, self.transport.abort)

    def _cut(self, reason: str) -> None:
        self._on_refused(reason)
        self._abort()

    def _abort(self) -> None:
        self._refused = True
        self._stop_timers()
        self.transport.abort()
