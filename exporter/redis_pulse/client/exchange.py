"""Packs commands that are sent at once, and reads their replies without the streams of asyncio.

A stream wakes a task for each part that arrives, and each reply passes through six coroutines. That costs more than to
parse a short reply. Here the event loop gives what has arrived to ``BoundedParser``, and the task wakes once.

This is for usual replies. The stream gets the connection back when it ends, or at a reply that hiredis must not read.
It then continues where the parser stands.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from redis_pulse.client.bounded_parser import NO_REPLY, READ_SIZE, BoundedParser
from redis_pulse.commands import Args

#: All connections share it: what was read into it is copied before anything else can read.
_BUFFER = memoryview(bytearray(READ_SIZE))


def pack(args: Args) -> bytes:
    """Return a command as the protocol has it."""
    words = [word if type(word) is bytes else str(word).encode() for word in args]
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


#: The same few commands are sent in each poll.
_pack_usual = lru_cache(maxsize=256)(pack)


def _is_usual(args: Args) -> bool:
    return len(args) <= 8 and set(map(type, args)) == {str} and max(map(len, args)) < 40  # type: ignore[arg-type]


def pack_all(commands: Iterable[Args]) -> bytes:
    """Return commands as the protocol has them."""
    return b"".join([_pack_usual(args) if _is_usual(args) else pack(args) for args in commands])


class QuickExchange(asyncio.BufferedProtocol):
    """Waits for ``count`` replies. ``on_reply`` is called with each of them, with error replies as exceptions.

    While it lasts it is the protocol of the transport. Otherwise the stream is.
    """

    __slots__ = ("_count", "_on_end", "_on_reply", "_parser", "_stream", "_transport")

    def __init__(
        self, transport: asyncio.Transport, parser: BoundedParser, count: int, on_reply: Callable[[Any], None]
    ) -> None:
        self._transport = transport
        self._parser = parser
        self._count = count
        self._on_reply = on_reply
        self._stream: Any = transport.get_protocol()
        self._on_end: Callable[[int], None] = lambda _left: None

    async def run(self) -> int:
        """Wait for the replies. Return how many are left for the caller to read from the stream."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.start(lambda _left: None if ended.done() else ended.set_result(None))  # a cancelled task has ended
        try:
            await ended
        finally:
            self.leave()
        return self._count

    def start(self, on_end: Callable[[int], None]) -> None:
        """Begin, without a task. ``on_end`` is called with the number of replies that are left for the stream."""
        self._on_end = on_end
        self._transport.set_protocol(self)

    def leave(self) -> None:
        """Give the connection back to the stream."""
        if self._transport.get_protocol() is self:
            self._transport.set_protocol(self._stream)

    def _end(self) -> None:
        self.leave()
        self._on_end(self._count)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Return where to read to."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Read the replies that are complete now."""
        parser = self._parser
        parser.feed(bytes(_BUFFER[:nbytes]))
        while self._count and (reply := parser.next_reply()) is not NO_REPLY:
            self._count -= 1
            self._on_reply(reply)
        if not self._count or parser.is_careful:
            self._end()

    def eof_received(self) -> bool | None:
        """Leave the end to the stream."""
        self._end()
        return bool(self._stream.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the loss to the stream."""
        self._end()
        self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the stream, whose writer waits."""
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        """Tell the stream, whose writer waits."""
        self._stream.resume_writing()
