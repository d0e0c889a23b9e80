"""Read the replies of a poll with a size limit, so that a server cannot exhaust the exporter's memory.

redis-py reads as many bytes as a server announces. This parser compares the announced length with the limit before it
reads. The sizes of the items of an array add up. Until the connection is made (AUTH, SELECT), the limit is small.

hiredis reads what is small and usual. It is fast, but it has no limits of its own. It gets only bytes from which it
cannot build much, and its replies are checked. Everything else is read here, from the start of the batch.

A reply that has arrived is read in slices. Between them other tasks run, for example pings.
"""

import asyncio
import re
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import hiredis
from redis._parsers import _AsyncRESP2Parser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from redis_pulse.errors import ProtocolError, TooLargeError
from redis_pulse.parse.reply import SimpleString

#: Bytes. While connecting, every reply is one line.
MAX_HANDSHAKE_BYTES = 65536
#: Bytes of memory that an item of an array takes in addition to its text.
ITEM_OVERHEAD = 64
#: Levels of nested arrays. The deepest reply to a command of the exporter has five.
MAX_DEPTH = 32
#: Elements of one reply, those of nested arrays included. The largest of a healthy server has 20 000.
MAX_ELEMENTS = 100_000
#: Elements, and bytes of a string, after which other tasks may run.
_ELEMENTS_PER_SLICE, _BYTES_PER_SLICE = 250, 262_144
#: Bytes that hiredis may hold. A poll with 300 clients has 120 kB.
_MAX_FAST_BYTES = 131_072
#: Lengths of lists, added up, for which hiredis may reserve memory. So many elements take half a millisecond.
_MAX_FAST_ELEMENTS = 10_000
#: Received bytes → most bytes that the limit counts for them. The shortest element has 3 bytes and counts as 65.
_COUNTED_PER_BYTE = 22
#: Bytes of a line. asyncio reads no longer one.
_MAX_LINE = 65_536
READ_SIZE = 65_536
#: Bytes before a part in which the beginning of a list may be cut.
_OVERLAP = 24
_LIST = re.compile(rb"\*([0-9]+)\r")
#: What hiredis must not read: long strings, and the lists of RESP3, for which it reserves memory too.
_FORBIDDEN = tuple(
    (pattern[:1], re.compile(re.escape(pattern[:1]) + pattern[1:]))
    for pattern in (b"$[0-9]{6}", b">[0-9]", b"~[0-9]", b"|[0-9]")
)
#: How often a byte is searched, which is quick if it is rare. The regular expression then reads the rest.
_MAX_FINDS = 8
#: What the parser returns if it has no whole reply.
NO_REPLY: Final = object()


class BoundedParser(_AsyncRESP2Parser):
    """A RESP2 parser for replies of at most ``max_bytes``, once ``allow_full_size`` was called."""

    __slots__ = ("_elements", "_fast", "_is_careful", "_limit", "_max_bytes", "_remaining", "_skip")

    def __init__(self, socket_read_size: int, *, max_bytes: int) -> None:
        super().__init__(socket_read_size=socket_read_size)
        self._max_bytes = max_bytes
        self._limit = self._remaining = min(MAX_HANDSHAKE_BYTES, max_bytes)
        self._elements = 0
        self._fast: _FastBatch | None = None
        #: Whether replies are read here and not by hiredis, and how many of them hiredis has returned already.
        self._is_careful, self._skip = False, 0

    def on_connect(self, connection: Any) -> None:
        """Start with the small limit."""
        self._limit = min(MAX_HANDSHAKE_BYTES, self._max_bytes)
        super().on_connect(connection)  # type: ignore[no-untyped-call]
        self._stream = RewindableStream(self._stream)  # type: ignore[assignment,arg-type]
        self._fast, self._is_careful, self._skip = None, False, 0

    def allow_full_size(self) -> None:
        """Allow replies of the full size. Call it when the connection is made."""
        self._limit = self._max_bytes

    async def read_response(self, disable_decoding: bool = False) -> Any:
        """Return one reply. Raises ProtocolError when it is too large or invalid: the connection is then unusable."""
        while not self._is_careful:
            if (reply := self.next_reply()) is not NO_REPLY:
                if isinstance(reply, RedisConnectionError):
                    raise reply
                return reply
            if not self._is_careful:
                await self._receive()
        return await self._read_carefully(disable_decoding)

    @property
    def is_fresh(self) -> bool:
        """Whether nothing has arrived that was not read, and the stream has not ended."""
        stream: Any = self._stream
        return self._fast is None and not self._is_careful and stream is not None and stream.is_empty()

    @property
    def is_careful(self) -> bool:
        """Whether ``read_response`` must read what has arrived."""
        return self._is_careful

    def next_reply(self) -> Any:
        """Return the next reply of hiredis, with an error reply as an exception, or NO_REPLY."""
        batch = self._fast
        if batch is None:
            return NO_REPLY
        try:
            reply = batch.reader.gets(False)
        except Exception:  # noqa: BLE001  # its errors have several classes; the careful reader finds the right one
            return self._be_careful()
        if reply is False:
            return NO_REPLY
        if not _is_plain(reply) or batch.has_long_line():
            return self._be_careful()
        batch.returned += 1
        if not batch.reader.has_data():
            self._fast = None  # the reader would keep its buffer
        return reply

    async def _receive(self) -> None:
        """Wait until something has arrived, and feed it."""
        if not self._connected:
            raise RedisConnectionError("closed by the server")
        data = await self._stream.read(READ_SIZE)  # type: ignore[union-attr]
        if data:
            self.feed(data)
        elif self._fast is not None:
            self._be_careful()  # what is wrong may be more than the end
        else:
            raise RedisConnectionError("Connection closed by server.")

    def feed(self, data: bytes) -> None:
        """Give hiredis what has arrived, or decide that it must not read it."""
        batch = self._fast
        if batch is None:
            batch = self._fast = _FastBatch(self.parse_error)
        if not batch.feed(data, min(_MAX_FAST_BYTES, self._limit // _COUNTED_PER_BYTE)):
            self._be_careful()

    def _be_careful(self) -> Any:
        """Read the batch again, without hiredis. Replies that it has returned are skipped."""
        if (batch := self._fast) is not None:
            self._stream.put_back(b"".join(batch.parts))  # type: ignore[union-attr]
            self._skip, self._fast = batch.returned, None
        self._is_careful = True
        return NO_REPLY

    async def _read_carefully(self, disable_decoding: bool) -> Any:
        while True:
            self._remaining, self._elements = self._limit, 0
            reply = await super().read_response(disable_decoding=disable_decoding)
            self._is_careful = self._stream.has_front  # type: ignore[union-attr]
            if not self._skip:
                return reply
            self._skip -= 1

    async def _read_response(self, disable_decoding: bool = False, depth: int = 0) -> Any:  # noqa: ARG002
        """Return one reply, or one item of an array. Texts stay bytes: nothing is decoded."""
        line = await self._read_line()
        if depth:
            self._consume(len(line) + ITEM_OVERHEAD)
            self._elements += 1
            if self._elements % _ELEMENTS_PER_SLICE == 0:
                await asyncio.sleep(0)
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return SimpleString(rest)
        if kind == b"-":
            return self._parse_error_reply(rest)
        if kind not in (b":", b"$", b"*"):
            raise ProtocolError("an answer that is not a reply of the protocol")
        number = _parse_integer(rest)
        if kind == b":":
            return number
        if number == -1:
            return None
        if number < 0:
            raise ProtocolError("an answer with a length below 0")
        if kind == b"$":
            self._consume(number)
            return await self._read_string(number)
        return await self._read_array(number, depth + 1)

    async def _read_line(self) -> bytes:
        try:
            return bytes(await self._readline())
        except ValueError:  # asyncio reads no line of more than 64 KiB
            raise TooLargeError("a line of more than 65536 bytes") from None

    async def _read_string(self, length: int) -> bytes:
        """Return a bulk string. A long one is read in pieces, so that the stream holds only a part of it.

        The parser of redis-py keeps what was read (``_chunks``), because a read that was cancelled starts again.
        """
        if length <= _BYTES_PER_SLICE or self._buffer:
            return bytes(await self._read(length))
        # It grows without a copy, and its value is no copy either. Pieces and their sum would take twice the memory.
        value, left = BytesIO(), length
        try:
            while left:
                piece = await self._stream.readexactly(min(left, _BYTES_PER_SLICE))  # type: ignore[union-attr]
                left -= value.write(piece)
                await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            raise RedisConnectionError("closed by the server") from None
        finally:
            self._chunks.append(value.getvalue())
            self._pos += length - left
        await self._read(0)  # the CRLF
        return value.getvalue()

    async def _read_array(self, length: int, depth: int) -> list[Any]:
        if depth > MAX_DEPTH:
            raise TooLargeError(f"more than {MAX_DEPTH} levels of nested lists")
        if length * ITEM_OVERHEAD > self._remaining:
            raise self._too_large(length * ITEM_OVERHEAD)
        if length + self._elements > MAX_ELEMENTS:
            raise TooLargeError(f"a reply of more than {MAX_ELEMENTS} elements")
        return [await self._read_response(depth=depth) for _ in range(length)]

    def _parse_error_reply(self, text: bytes) -> Any:
        """Return an error reply as an exception. Raise it if the server closes the connection after it."""
        error = self.parse_error(text.decode("utf-8", errors="replace"))  # type: ignore[no-untyped-call]
        if isinstance(error, RedisConnectionError):
            self._clear()  # type: ignore[no-untyped-call]
            raise error
        return error

    def _consume(self, size: int) -> None:
        if size > self._remaining:
            raise self._too_large(size)
        self._remaining -= size

    def _too_large(self, size: int) -> TooLargeError:
        at_least = self._limit - self._remaining + size
        limit = "poll.max_reply" if self._limit == self._max_bytes else "the limit of a reply to AUTH"
        return TooLargeError(f"a reply of {at_least} bytes or more, which is larger than {limit} ({self._limit})")


class _FastBatch:
    """Bytes that hiredis reads, from the start of a reply on. It ends where a reply and the received bytes end."""

    __slots__ = ("_announced", "_size", "parts", "reader", "returned")

    def __init__(self, parse_error: Callable[[str], Exception]) -> None:
        self.reader = hiredis.Reader(replyError=parse_error)
        #: All bytes of the batch, to read them again if hiredis must not.
        self.parts: list[bytes] = []
        #: How many replies were returned.
        self.returned = 0
        self._size = self._announced = 0

    def feed(self, data: bytes, max_bytes: int) -> bool:
        """Let hiredis read some bytes. Return False if it must not."""
        is_line = not self.parts and data[:1] == b"+"  # hiredis does not tell such a text from a bulk string
        before = self.parts[-1][-_OVERLAP:] if self.parts else b""
        self.parts.append(data)
        self._size += len(data)
        seen = before + data
        if b"*" in seen:
            self._announced += sum(map(int, _LIST.findall(seen)))
        if (
            is_line
            or self._size > max_bytes
            or self._announced > _MAX_FAST_ELEMENTS
            or any(_has(first, pattern, seen) for first, pattern in _FORBIDDEN)
        ):
            return False
        self.reader.feed(data)
        return True

    def has_long_line(self) -> bool:
        """Return whether there may be a line that is too long."""
        return self._size > _MAX_LINE and max(map(len, b"".join(self.parts).split(b"\r\n"))) > _MAX_LINE


def _has(first: bytes, pattern: re.Pattern[bytes], data: bytes) -> bool:
    """Return whether the data has the pattern, which begins with the byte ``first``."""
    at = -1
    for _ in range(_MAX_FINDS):
        if (at := data.find(first, at + 1)) < 0:
            return False
        if pattern.match(data, at):
            return True
    return pattern.search(data, at) is not None


class RewindableStream:
    """A stream that can take bytes back."""

    __slots__ = ("_at", "_front", "_stream")

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        #: The bytes that are read next, before those of the stream, and how many of them were read.
        self._front, self._at = b"", 0

    @property
    def has_front(self) -> bool:
        """Whether bytes that were taken back are left."""
        return self._at < len(self._front)

    def put_back(self, data: bytes) -> None:
        """Read these bytes next."""
        self._front, self._at = data + self._front[self._at :], 0

    def _take(self, end: int) -> bytes:
        """Return the bytes that were taken back, up to an index. Slices of all the rest would be quadratic."""
        data, self._at = self._front[self._at : end], end
        if self._at >= len(self._front):
            self._front, self._at = b"", 0
        return data

    async def read(self, size: int) -> bytes:
        """Return some bytes, or none at the end of the stream."""
        return self._take(self._at + size) if self.has_front else await self._stream.read(size)

    async def readexactly(self, size: int) -> bytes:
        """Return so many bytes. Raises IncompleteReadError."""
        if not self.has_front:
            return await self._stream.readexactly(size)
        left = len(self._front) - self._at
        if size <= left:
            return self._take(self._at + size)
        # The rest comes first: if it does not come, nothing is lost.
        rest = await self._stream.readexactly(size - left)
        return self._take(len(self._front)) + rest

    async def readline(self) -> bytes:
        """Return the bytes up to a line feed, or to the end of the stream. Raises ValueError for a long line."""
        if not self.has_front:
            return await self._stream.readline()
        if end := self._front.find(b"\n", self._at) + 1:
            data = self._take(end)
        else:
            rest = await self._stream.readline()
            data = self._take(len(self._front)) + rest
        if len(data) > _MAX_LINE + 1:
            raise ValueError("a long line")
        return data

    @property
    def _buffer(self) -> bytes | bytearray:
        """What has arrived. redis-py looks at it."""
        if self.has_front:
            return self._front[self._at :]
        return self._stream._buffer  # type: ignore[attr-defined,no-any-return] # noqa: SLF001

    def is_empty(self) -> bool:
        """Return whether there are no bytes to read now, and more may come."""
        return not self._buffer and not self._stream.at_eof() and self._stream.exception() is None

    def at_eof(self) -> bool:
        """Return whether nothing more will come."""
        return not self.has_front and self._stream.at_eof()


def _is_plain(reply: Any, depth: int = 0) -> bool:
    """Return whether a reply has only types of RESP2, and not too many levels."""
    kind = type(reply)
    if kind is list:
        if depth >= MAX_DEPTH:
            return False
        for item in reply:
            kind = type(item)
            if kind is not int and kind is not bytes and not _is_plain(item, depth + 1):
                return False
        return True
    return kind is bytes or kind is int or reply is None or isinstance(reply, ResponseError | RedisConnectionError)


def parser_factory(max_bytes: int) -> Callable[..., BoundedParser]:
    """Return the function with which redis-py makes the parsers of a target."""

    def make(socket_read_size: int) -> BoundedParser:
        return BoundedParser(socket_read_size, max_bytes=max_bytes)

    return make


def _parse_integer(text: bytes) -> int:
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if not digits.isdigit() or len(digits) > 20:
        raise ProtocolError("an answer with an invalid number")
    return int(text)
