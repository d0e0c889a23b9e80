"""Replies of a poll, read with an eye on their size: a server must not take our memory.

redis-py reads whatever length a server announces. Here the length is compared with a limit before anything is read, and
what a list of many parts takes adds up. Until the connection is made (AUTH, SELECT) the limit is a small one.
"""

from collections.abc import Callable
from typing import Any

from redis._parsers import _AsyncRESP2Parser
from redis.exceptions import ConnectionError as RedisConnectionError

from redis_pulse.errors import ProtocolError

#: Bytes. While connecting, every answer is one line.
HANDSHAKE = 65536
#: Bytes of our memory that a part of a list takes besides its text.
OF_A_PART = 64
#: Lists inside of lists. The deepest reply that we ask for has five.
DEEPEST = 32


class BoundedParser(_AsyncRESP2Parser):
    """The parser of RESP2 whose replies are at most ``most`` bytes, once ``widen`` was called."""

    __slots__ = ("_left", "_limit", "_most")

    def __init__(self, socket_read_size: int, *, most: int) -> None:
        super().__init__(socket_read_size=socket_read_size)
        self._most = most
        self._limit = self._left = min(HANDSHAKE, most)

    def on_connect(self, connection: Any) -> None:
        """Begin with the small limit."""
        self._limit = min(HANDSHAKE, self._most)
        super().on_connect(connection)  # type: ignore[no-untyped-call]

    def widen(self) -> None:
        """Allow replies of the full size: the connection is made."""
        self._limit = self._most

    async def read_response(self, disable_decoding: bool = False) -> Any:
        """Read one reply. Raises ProtocolError when it is too large, or none: the connection is of no use then."""
        self._left = self._limit
        return await super().read_response(disable_decoding=disable_decoding)

    async def _read_response(self, disable_decoding: bool = False, depth: int = 0) -> Any:  # noqa: ARG002
        """Read one reply, or one part of a list. Texts stay bytes: nothing here decodes."""
        line = await self._line()
        if depth:
            self._take(len(line) + OF_A_PART)
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return self._error(rest)
        if kind not in (b":", b"$", b"*"):
            raise ProtocolError("an answer that is no reply")
        number = _integer(rest)
        if kind == b":":
            return number
        if number == -1:
            return None
        if number < 0:
            raise ProtocolError("an answer with a length below 0")
        if kind == b"$":
            self._take(number)
            return await self._read(number)
        return await self._list(number, depth + 1)

    async def _line(self) -> bytes:
        try:
            return bytes(await self._readline())
        except ValueError:  # asyncio reads no line of more than 64 KiB
            raise ProtocolError("a line of more than 65536 bytes") from None

    async def _list(self, length: int, depth: int) -> list[Any]:
        if depth > DEEPEST:
            raise ProtocolError(f"lists inside of lists, more than {DEEPEST} of them")
        if length * OF_A_PART > self._left:
            raise self._too_large(length * OF_A_PART)
        return [await self._read_response(depth=depth) for _ in range(length)]

    def _error(self, text: bytes) -> Any:
        """Return the error that the server answered; raise the one after which it closes the connection."""
        error = self.parse_error(text.decode("utf-8", errors="replace"))  # type: ignore[no-untyped-call]
        if isinstance(error, RedisConnectionError):
            self._clear()  # type: ignore[no-untyped-call]
            raise error
        return error

    def _take(self, size: int) -> None:
        if size > self._left:
            raise self._too_large(size)
        self._left -= size

    def _too_large(self, size: int) -> ProtocolError:
        at_least = self._limit - self._left + size
        what = "poll.max_reply" if self._limit == self._most else "what an answer to AUTH has"
        return ProtocolError(f"a reply of {at_least} bytes or more, which is larger than {what} ({self._limit})")


def bounded(most: int) -> Callable[..., BoundedParser]:
    """Return what makes the parsers of a target."""

    def make(socket_read_size: int) -> BoundedParser:
        return BoundedParser(socket_read_size, most=most)

    return make


def _integer(text: bytes) -> int:
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if not digits.isdigit() or len(digits) > 20:
        raise ProtocolError("an answer whose number is none")
    return int(text)
