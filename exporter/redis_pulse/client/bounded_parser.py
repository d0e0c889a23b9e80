"""Read the replies of a poll with a size limit, so that a server cannot exhaust the exporter's memory.

redis-py reads as many bytes as a server announces. This parser compares the announced length with the limit before it
reads. The sizes of the items of an array add up. Until the connection is made (AUTH, SELECT), the limit is small.
"""

from collections.abc import Callable
from typing import Any

from redis._parsers import _AsyncRESP2Parser
from redis.exceptions import ConnectionError as RedisConnectionError

from redis_pulse.errors import ProtocolError

#: Bytes. While connecting, every reply is one line.
MAX_HANDSHAKE_BYTES = 65536
#: Bytes of memory that an item of an array takes in addition to its text.
ITEM_OVERHEAD = 64
#: Levels of nested arrays. The deepest reply to a command of the exporter has five.
MAX_DEPTH = 32


class BoundedParser(_AsyncRESP2Parser):
    """A RESP2 parser for replies of at most ``max_bytes``, once ``allow_full_size`` was called."""

    __slots__ = ("_limit", "_max_bytes", "_remaining")

    def __init__(self, socket_read_size: int, *, max_bytes: int) -> None:
        super().__init__(socket_read_size=socket_read_size)
        self._max_bytes = max_bytes
        self._limit = self._remaining = min(MAX_HANDSHAKE_BYTES, max_bytes)

    def on_connect(self, connection: Any) -> None:
        """Start with the small limit."""
        self._limit = min(MAX_HANDSHAKE_BYTES, self._max_bytes)
        super().on_connect(connection)  # type: ignore[no-untyped-call]

    def allow_full_size(self) -> None:
        """Allow replies of the full size. Call it when the connection is made."""
        self._limit = self._max_bytes

    async def read_response(self, disable_decoding: bool = False) -> Any:
        """Return one reply. Raises ProtocolError when it is too large or invalid: the connection is then unusable."""
        self._remaining = self._limit
        return await super().read_response(disable_decoding=disable_decoding)

    async def _read_response(self, disable_decoding: bool = False, depth: int = 0) -> Any:  # noqa: ARG002
        """Return one reply, or one item of an array. Texts stay bytes: nothing is decoded."""
        line = await self._read_line()
        if depth:
            self._consume(len(line) + ITEM_OVERHEAD)
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
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
            return await self._read(number)
        return await self._read_array(number, depth + 1)

    async def _read_line(self) -> bytes:
        try:
            return bytes(await self._readline())
        except ValueError:  # asyncio reads no line of more than 64 KiB
            raise ProtocolError("a line of more than 65536 bytes") from None

    async def _read_array(self, length: int, depth: int) -> list[Any]:
        if depth > MAX_DEPTH:
            raise ProtocolError(f"more than {MAX_DEPTH} levels of nested lists")
        if length * ITEM_OVERHEAD > self._remaining:
            raise self._too_large(length * ITEM_OVERHEAD)
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

    def _too_large(self, size: int) -> ProtocolError:
        at_least = self._limit - self._remaining + size
        limit = "poll.max_reply" if self._limit == self._max_bytes else "the limit of a reply to AUTH"
        return ProtocolError(f"a reply of {at_least} bytes or more, which is larger than {limit} ({self._limit})")


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
