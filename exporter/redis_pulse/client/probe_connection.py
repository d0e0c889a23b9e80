"""RESP2 as far as a probe needs it: commands out, small replies in. Pure.

A PING, an AUTH and every error are answered by one line: ``+PONG``, ``+OK``, ``-LOADING …``; a PING with a word by that
word, a bulk string. Nothing else is expected on the connection of a probe, so nothing else is understood.

The prober's own connection: a PING leaves the moment it is written, what arrives bears the kernel's stamp.

Nothing waits here. ``ping()`` and ``receive()`` return at once; the moments just before the one and just after the
other are taken here, as near to the system call as Python allows.

A PING may carry a number, which the server gives back: so a reply that never came is told from one that did.
"""

import asyncio
import secrets
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis_pulse.client.error_mapping import map_error_reply
from redis_pulse.client.tls import TlsLayer
from redis_pulse.errors import MaxClientsError, OperationTimeoutError, ProtocolError, TargetError

_LINUX = sys.platform.startswith("linux")
#: Linux, not named by the module ``socket`` before Python 3.14: stamp what arrives, in nanoseconds of CLOCK_REALTIME.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
#: Room for the control message with the stamp.
_ROOM = socket.CMSG_SPACE(_TIMESPEC.size)
#: Bytes. Longer than any line that a server sends; beyond it, the peer is no server.
LONGEST = 16384
#: ``$`` and as many digits as a length of up to 99999 has.
_LONGEST_LENGTH = 6


def enable_kernel_timestamps(sock: socket.socket) -> None:
    """Have the kernel stamp what arrives, where it can: TCP on Linux; unix sockets are never stamped."""
    if _LINUX:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def receive(sock: socket.socket, size: int) -> tuple[bytes, int | None]:
    """Return what arrived (nothing: the peer closed) and when, in nanoseconds of CLOCK_REALTIME, if the kernel says.

    Data of several arrivals bears the stamp of the last. Raises BlockingIOError when there is nothing, OSError.
    """
    data, control, _, _ = sock.recvmsg(size, _ROOM)
    return data, _kernel_timestamp(control) if control else None


def _kernel_timestamp(control: list[tuple[int, int, Any]]) -> int | None:
    for level, kind, content in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(content) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return None


def encode_command(*words: str) -> bytes:
    """Write a command as an array of bulk strings."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded])


class RespLineReader:
    """Puts replies together from the pieces in which they arrive."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the replies that are complete now, without their ends; of a bulk string ``$`` and what it says.

        Raises ProtocolError when one never ends, or is not as long as it says: no word of a probe has a line's end.
        """
        if self._rest:
            data = self._rest + data
        *lines, rest = data.split(b"\r\n")
        if b"$" in data:
            if len(lines) == 2 and not rest and lines[0] == b"$%d" % len(lines[1]):
                self._rest = b""
                return [b"$" + lines[1]]  # nearly always
            lines, rest = _join_bulk_strings(lines, rest)
        if len(rest) > LONGEST:
            raise ProtocolError(f"a line of more than {LONGEST} bytes")
        self._rest = rest
        return lines


def _join_bulk_strings(lines: list[bytes], rest: bytes) -> tuple[list[bytes], bytes]:
    """Join the two lines of each bulk string; one whose second is not there yet goes back to the rest."""
    replies: list[bytes] = []
    following = iter(lines)
    for line in following:
        if line[:1] != b"$":
            replies.append(line)
        elif len(line) > _LONGEST_LENGTH:
            raise ProtocolError(f"a string of more than {LONGEST} bytes")
        elif (word := next(following, None)) is None:
            return replies, line + b"\r\n" + rest
        elif line[1:] == b"%d" % len(word):
            replies.append(b"$" + word)
        else:
            raise ProtocolError("a string that is not as long as it says")
    return replies, rest


def parse_error(line: bytes, expected: bytes) -> str | None:
    """Return None for the line that was expected, the text of an error reply; raises ProtocolError for all else."""
    if line == expected:
        return None
    if line.startswith(b"-"):
        return line[1:].decode(errors="replace")
    raise ProtocolError(f"an answer that is not {expected[1:].decode()}")


PING, PONG = encode_command("PING"), b"+PONG"
_NUMBERED = encode_command("PING", "000000").replace(b"000000", b"%06d")
#: How many numbers there are; the one after the last is 0 again.
NUMBERS = 1_000_000
#: What a server answers that knows no PING with a word: an answer all the same, and the moment of it.
_KNOWS_NO_NUMBER = "ERR wrong number of arguments"
_SIZE = 16384
#: Told the answer to a command: None when it is well, or the error.
Told = Callable[[TargetError | None], None]


class SentPing(NamedTuple):
    """A ping on its way: the moment before it left, in seconds on our clock and in ns on the wall's.

    The call took ``took`` seconds: so much later it may have left. ``number`` is what it carries, if it does.
    """

    at: float
    at_ns: int
    took: float
    number: int | None = None


class Received(NamedTuple):
    """Replies that arrived together, and when they were read, in seconds on our clock and in ns on the wall's.

    ``stamp`` is the kernel's, in ns on the wall's clock, if it gave one.
    """

    lines: list[bytes]
    at: float
    at_ns: int
    kernel_timestamp: int | None


class ProbeConnection:
    """One connection on which nothing but PING is sent. ``clock`` is in seconds, ``wall`` in ns of CLOCK_REALTIME."""

    __slots__ = (
        "_clock",
        "_hung_up",
        "_layer",
        "_lines",
        "_listening",
        "_next",
        "_replies_to_skip",
        "_sock",
        "_translate",
        "_wall",
        "numbered",
    )

    def __init__(
        self,
        sock: socket.socket,
        layer: TlsLayer | None,
        lines: RespLineReader,
        *,
        clock: Callable[[], float],
        wall: Callable[[], int],
        translator: Callable[[BaseException], TargetError],
    ) -> None:
        self._sock = sock
        self._layer = layer
        self._lines = lines
        self._clock = clock
        self._wall = wall
        self._translate = translator
        self._listening = False
        #: who is to be told the answers to the introduction that are still to come
        self._replies_to_skip: list[Told] = []
        self._hung_up: Callable[[], None] | None = None
        #: whether PINGs carry a number
        self.numbered = False
        # Not from 0: the reply to somebody else's PING must not fit.
        self._next = secrets.randbelow(NUMBERS)

    def listen(self, readable: Callable[[], None]) -> None:
        """Call ``readable()`` whenever something can be received, until it is closed."""
        asyncio.get_running_loop().add_reader(self._sock.fileno(), readable)
        self._listening = True

    @property
    def certificate_expires(self) -> float | None:
        """Unix time at which the server's certificate expires, if there is one and it was checked."""
        return self._layer.certificate_expires if self._layer else None

    def introduce(self, commands: Sequence[tuple[bytes, Told]], hung_up: Callable[[], None]) -> None:
        """Send commands whose answers are no replies to a PING; each is told its answer: None, or the error.

        Nobody waits for the answers. A connection that is gone shows at the PING that follows; ``hung_up()`` is called
        when it ends before any answer.
        """
        data = b"".join([text for text, _ in commands])
        if data:
            self._replies_to_skip, self._hung_up = [told for _, told in commands], hung_up
            with suppress(OSError, ssl.SSLError):
                self._sock.send(self._layer.encrypt(data) if self._layer else data)

    def ping(self) -> SentPing:
        """Send one PING now. Raises TargetError when it cannot leave: the connection is of no use then."""
        number, data = None, PING
        if self.numbered:
            number = self._next
            self._next = (number + 1) % NUMBERS
            data = _NUMBERED % number
        try:
            if self._layer:
                data = self._layer.encrypt(data)
            at = self._clock()
            at_ns = self._wall()
            count = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            count = 0
        except (OSError, ssl.SSLError) as error:
            raise self._translate(error) from error
        if count != len(data):
            raise OperationTimeoutError("the server reads nothing any more")
        return SentPing(at, at_ns, self._clock() - at, number)

    def receive(self) -> Received | None:
        """Return what has arrived, None when there is no reply in it. Raises TargetError when the connection is gone.

        What arrived without a reply (the first half of one, a session ticket of TLS) takes its stamp along.
        """
        try:
            data, stamp = receive(self._sock, _SIZE)
            at_ns = self._wall()
            at = self._clock()
            if not data:
                raise ConnectionResetError("closed by the server")
            lines = self._lines.feed(data if self._layer is None else self._decrypt(self._layer, data))
        except (BlockingIOError, InterruptedError):
            return None
        except (OSError, EOFError, ssl.SSLError) as error:
            if self._hung_up is not None:
                self._hung_up()
            raise self._translate(error) from error
        if lines:
            self._hung_up = None
        if self._replies_to_skip and lines:
            lines = self._without_introduction(lines)
        return Received(lines, at, at_ns, stamp) if lines else None

    def _without_introduction(self, lines: list[bytes]) -> list[bytes]:
        """Take the answers to the introduction away; a server that hangs up may say why instead of them.

        A PONG, or a number that comes back, answers a PING: a proxy swallowed the introduction.
        """
        while self._replies_to_skip and lines:
            if lines[0] == PONG or lines[0].startswith(b"$"):
                self._replies_to_skip.clear()
                break
            error = map_error_reply(lines[0][1:].decode(errors="replace")) if lines[0].startswith(b"-") else None
            if isinstance(error, MaxClientsError) or lines[0].startswith(b"-DENIED"):
                self._replies_to_skip.clear()
                break
            self._replies_to_skip.pop(0)(error)
            lines = lines[1:]
        return lines

    def parse_error(self, line: bytes) -> TargetError | None:
        """Return None for a PONG, the error that the server answered; raises ProtocolError for anything else.

        (Ask ``number_of`` first.) A server that knows no numbers says so: that is an answer too, and no further PING
        carries one.
        """
        if line == PONG:
            return None
        text = parse_error(line, PONG) or ""
        if text.startswith(_KNOWS_NO_NUMBER):
            self.numbered = False
            return None
        return self._translate(map_error_reply(text))

    @staticmethod
    def parse_sequence(line: bytes) -> int | None:
        """Return the number that a reply gives back; None when it gives none. Raises ProtocolError."""
        if not line.startswith(b"$"):
            return None
        try:
            return int(line[1:])
        except ValueError:
            raise ProtocolError("an answer that is not PONG") from None

    def close(self) -> None:
        """Close the connection; never waits for the server. May be called twice."""
        if self._listening:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._listening = False
        if self._layer is not None:
            with suppress(OSError):
                self._sock.send(self._layer.goodbye())
            self._layer = None
        self._sock.close()

    def _decrypt(self, layer: TlsLayer, data: bytes) -> bytes:
        plain = layer.decrypt(data)
        if wanted := layer.to_send():
            self._sock.send(wanted)
        return plain
