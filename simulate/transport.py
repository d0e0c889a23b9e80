"""A transport of asyncio over one end of a simulated connection."""

import asyncio
from typing import Any

from simulate.loop import VirtualLoop
from simulate.network import WINDOW, Stream

_HIGH_WATER = 65_536


class StreamTransport(asyncio.Transport):
    """Passes data between a stream and a protocol, as asyncio's own transport of a socket does."""

    def __init__(self, loop: VirtualLoop, sock: Any, stream: Stream, protocol: Any) -> None:
        super().__init__(
            {"socket": sock, "peername": stream.remote, "sockname": stream.local},
        )
        self._loop, self._sock, self._stream, self._protocol = loop, sock, stream, protocol
        self._buffer = bytearray()
        self._is_closing = self._is_paused = self._is_lost = self._is_protocol_paused = False
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        self._has_eof = False

    def start(self, started: "asyncio.Future[None]") -> None:
        """Begin, and tell the protocol."""
        self._protocol.connection_made(self)
        self._stream.on_event = self._on_event
        if not started.done():
            started.set_result(None)
        if self._stream.is_readable:
            self._loop.call_soon(self._on_event)

    def _on_event(self) -> None:
        if self._is_lost:
            return
        stream = self._stream
        if self._buffer:
            self._flush()
        while stream.inbox and not self._is_paused and not self._is_closing:
            self._receive()
        if stream.error is not None:
            self._lose(stream.error)
        elif stream.eof and not stream.inbox and not self._is_paused and not self._has_eof:
            self._has_eof = True
            if not self._protocol.eof_received():
                self.close()

    def _receive(self) -> None:
        """Give the protocol what has arrived. A protocol with a buffer of its own gets as much as that can hold."""
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(self._stream.read(WINDOW)[0])
            return
        buffer = memoryview(self._protocol.get_buffer(-1))
        data = self._stream.read(len(buffer))[0]
        buffer[: len(data)] = data
        self._protocol.buffer_updated(len(data))

    def write(self, data: Any) -> None:
        """Send, or keep what there is no space for."""
        if self._is_lost or not data:
            return
        if not self._buffer:
            try:
                count = self._stream.send(bytes(data))
            except OSError as error:
                self._loop.call_soon(self._lose, error)
                return
            if count == len(data):
                return
            data = data[count:]
        self._buffer += data
        if len(self._buffer) > self._high and not self._is_protocol_paused:
            self._is_protocol_paused = True
            self._protocol.pause_writing()

    def _flush(self) -> None:
        try:
            count = self._stream.send(bytes(self._buffer))
        except OSError as error:
            self._lose(error)
            return
        del self._buffer[:count]
        if self._is_protocol_paused and len(self._buffer) <= self._low:
            self._is_protocol_paused = False
            self._protocol.resume_writing()
        if not self._buffer and self._is_closing:
            self._lose(None)

    def close(self) -> None:
        """Close when everything is sent."""
        if self._is_closing:
            return
        self._is_closing = True
        if not self._buffer:
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """Close now, without sending what is left."""
        self._is_closing = True
        self._buffer.clear()
        self._loop.call_soon(self._lose, None)

    def _lose(self, error: OSError | None) -> None:
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._buffer.clear()
        self._sock.close()
        self._protocol.connection_lost(error)

    def is_closing(self) -> bool:
        """Return whether it is closed or about to be."""
        return self._is_closing

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Read again."""
        if self._is_paused:
            self._is_paused = False
            self._loop.call_soon(self._on_event)

    def is_reading(self) -> bool:
        """Return whether it reads."""
        return not self._is_paused and not self._is_closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol must wait."""
        self._high = _HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait."""
        return len(self._buffer)

    def set_protocol(self, protocol: Any) -> None:
        """Give the connection another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self._protocol

    def can_write_eof(self) -> bool:
        """Return that half of a connection cannot be closed here."""
        return False
