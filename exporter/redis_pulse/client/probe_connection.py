"""The connection for pings: RESP2 as far as a probe needs it, and exact times of pings and replies.

Nothing waits here. ``ping()`` and ``receive()`` return at once. ``ping()`` reads the clocks just before it sends, and
``receive()`` just after it has read. That is as close to the system call as Python allows. The kernel adds the times of
the departure and of the arrival (``kernel_timestamps``).

The server replies to PING, to AUTH and to every error with one line: ``+PONG``, ``+OK``, ``-LOADING …``. It replies to
a PING with a word by that word, a bulk string. A probe expects no other reply, so it parses no other reply.

A PING may carry a number, which the server returns. So a lost reply can be distinguished from a late one.
"""

import asyncio
import errno
import os
import secrets
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis_pulse.client.credentials import ServerLogin
from redis_pulse.client.error_mapping import map_error_reply
from redis_pulse.client.tcp_info import TcpInfo, read_tcp_info
from redis_pulse.client.tls import TlsLayer
from redis_pulse.errors import MaxClientsError, OperationTimeoutError, ProtocolError, TargetError
from redis_pulse.kernel_timestamps import SendTimestamps, receive_with_timestamp

_RECEIVE_BYTES = 16384
#: No server sends a longer line. A peer that does is not a server.
MAX_LINE_BYTES = 16384
#: Characters of ``$`` and a length of at most 99999.
_MAX_LENGTH_CHARACTERS = 6


def encode_command(*words: str) -> bytes:
    """Return a command as an array of bulk strings."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded])


class RespLineReader:
    """Joins received data into replies."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def is_empty(self) -> bool:
        """Whether no part of a reply waits for its end."""
        return not self._rest

    def feed(self, data: bytes) -> list[bytes]:
        """Return the replies that are complete now, without CRLF. A bulk string is returned as ``$`` and its text.

        Raises ProtocolError when a reply is too long, or when a bulk string does not have its announced length. No bulk
        string that a probe receives contains CRLF.
        """
        if self._rest:
            data = self._rest + data
        *lines, rest = data.split(b"\r\n")
        if b"$" in data:
            if len(lines) == 2 and not rest and lines[0] == b"$%d" % len(lines[1]):
                self._rest = b""
                return [b"$" + lines[1]]  # the usual case: one whole reply
            lines, rest = _join_bulk_strings(lines, rest)
        if len(rest) > MAX_LINE_BYTES:
            raise ProtocolError(f"a line of more than {MAX_LINE_BYTES} bytes")
        self._rest = rest
        return lines


def _join_bulk_strings(lines: list[bytes], rest: bytes) -> tuple[list[bytes], bytes]:
    """Join the two lines of each bulk string. A bulk string without its second line is returned in the rest."""
    replies: list[bytes] = []
    remaining = iter(lines)
    for line in remaining:
        if line[:1] != b"$":
            replies.append(line)
        elif len(line) > _MAX_LENGTH_CHARACTERS:
            raise ProtocolError(f"a string of more than {MAX_LINE_BYTES} bytes")
        elif (text := next(remaining, None)) is None:
            return replies, line + b"\r\n" + rest
        elif line[1:] == b"%d" % len(text):
            replies.append(b"$" + text)
        else:
            raise ProtocolError("a string that does not have its announced length")
    return replies, rest


def parse_error(line: bytes, expected: bytes) -> str | None:
    """Return None for the expected line, or the text of an error reply. Raises ProtocolError for any other line."""
    if line == expected:
        return None
    if line.startswith(b"-"):
        return line[1:].decode(errors="replace")
    raise ProtocolError(f"an answer that is not {expected[1:].decode()}")


PING, PONG = encode_command("PING"), b"+PONG"
_NUMBERED_PING = encode_command("PING", "000000").replace(b"000000", b"%06d")
#: Pings have the numbers 0 to NUMBER_COUNT - 1. After the last number follows 0.
NUMBER_COUNT = 1_000_000
#: The reply of a server whose PING takes no argument. It still is a reply, at its time.
_NUMBER_REJECTED = "ERR wrong number of arguments"
#: Receives the reply to a command: None if it succeeded, or the error.
OnReply = Callable[[TargetError | None], None]


class SentPing(NamedTuple):
    """A sent ping, and when it left: in seconds of the clock and in ns of the wall clock.

    With ``is_stamped``, the kernel timed it, and ``took`` is 0. Otherwise the time is just before the system call. That
    took ``took`` seconds, so the ping may have left that much later. ``number`` is the number that it carries, if any.
    """

    at: float
    at_ns: int
    took: float
    number: int | None = None
    is_stamped: bool = False


class Received(NamedTuple):
    """Replies read together, and the time just after: in seconds of the clock and in ns of the wall clock.

    ``kernel_timestamp`` is the kernel's time of the arrival, in ns of the wall clock, or None.
    """

    lines: list[bytes]
    at: float
    at_ns: int
    kernel_timestamp: int | None


class ProbeConnection:
    """One connection on which only PING is sent. ``clock`` is in seconds, ``wall_clock`` in ns of CLOCK_REALTIME."""

    __slots__ = (
        "_clock",
        "_is_listening",
        "_lines",
        "_map_error",
        "_next_number",
        "_on_hang_up",
        "_on_introduction_reply",
        "_send_timestamps",
        "_sock",
        "_tls",
        "_wall_clock",
        "is_numbered",
        "login",
        "serves_until",
    )

    def __init__(
        self,
        sock: socket.socket,
        tls: TlsLayer | None,
        lines: RespLineReader,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], int],
        map_error: Callable[[BaseException], TargetError],
        login: ServerLogin = ServerLogin(),  # noqa: B008  # it does not change
    ) -> None:
        self._sock = sock
        self._tls = tls
        self._lines = lines
        self._clock = clock
        self._wall_clock = wall_clock
        self._map_error = map_error
        self._send_timestamps: SendTimestamps | None = None
        self._is_listening = False
        #: one callback for each reply to the introduction that is still expected
        self._on_introduction_reply: list[OnReply] = []
        self._on_hang_up: Callable[[], None] | None = None
        #: what the connection is logged in with, and when another one must take its place
        self.login = login
        self.serves_until = clock() + login.life
        #: whether PINGs carry a number
        self.is_numbered = False
        # Starts at a random number, so that a reply to the ping of another client does not match.
        self._next_number = secrets.randbelow(NUMBER_COUNT)

    def listen(self, on_readable: Callable[[], None]) -> None:
        """Call ``on_readable()`` whenever data can be received, until the connection is closed."""
        asyncio.get_running_loop().add_reader(self._sock.fileno(), on_readable)
        self._is_listening = True

    def stop_listening(self) -> None:
        """Call back no more. Data that arrives stays in the kernel."""
        if self._is_listening:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._is_listening = False

    @property
    def certificate_expires(self) -> float | None:
        """Unix time at which the server's certificate expires, or None without TLS or without a check."""
        return self._tls.certificate_expires if self._tls else None

    @property
    def tls_version(self) -> str:
        """The version of TLS, such as ``TLSv1.3``, or an empty text without TLS."""
        return self._tls.version if self._tls else ""

    @property
    def can_be_lent(self) -> bool:
        """Whether another process can send pings on it: without TLS, and with replies to pings only."""
        return self._is_listening and self._tls is None and not self._on_introduction_reply and self._lines.is_empty

    def lend(self) -> tuple[int, int]:
        """Read no more. Return the file descriptor for another process, and the number of the next PING."""
        self.stop_listening()
        return self._sock.fileno(), self._next_number

    def take_back(self, number: int, on_readable: Callable[[], None]) -> None:
        """Read again. The next PING has this number."""
        self._next_number = number
        self.listen(on_readable)

    def decode(self, data: bytes, at: float, at_ns: int, kernel_timestamp: int | None) -> Received | None:
        """Return the replies in data that another process has read. Raises ProtocolError."""
        lines = self._lines.feed(data)
        return Received(lines, at, at_ns, kernel_timestamp) if lines else None

    def loss(self, number: int) -> TargetError:
        """Return the error of a connection that another process lost. ``number`` is the errno; 0 is its end."""
        if number == errno.EAGAIN:
            return OperationTimeoutError("the server has stopped reading")
        cause = OSError(number, os.strerror(number)) if number else ConnectionResetError("closed by the server")
        return self._map_error(cause)

    def tcp_info(self) -> TcpInfo | None:
        """Return what the kernel knows about the connection now, or None where it tells nothing (``tcp_info``)."""
        return read_tcp_info(self._sock)

    def introduce(self, commands: Sequence[tuple[bytes, OnReply]], on_hang_up: Callable[[], None]) -> None:
        """Send commands before the first ping. Each callback receives the reply to its command: None, or the error.

        The method does not wait for the replies. If the connection is broken, the next ping fails. ``on_hang_up()`` is
        called when the connection ends before any reply. From then on the kernel times what is sent.
        """
        data = b"".join([encoded for encoded, _ in commands])
        if data:
            self._on_introduction_reply, self._on_hang_up = [on_reply for _, on_reply in commands], on_hang_up
            with suppress(OSError, ssl.SSLError):
                self._sock.send(self._tls.encrypt(data) if self._tls else data)
        self._send_timestamps = SendTimestamps.enable(self._sock)

    @property
    def peer(self) -> tuple[int, Any] | None:
        """Address family and address of the server, or None if the connection is lost."""
        try:
            return int(self._sock.family), self._sock.getpeername()
        except OSError:
            return None

    def ping(self) -> SentPing:
        """Send one PING now. Raises TargetError when it cannot be sent: the connection is then unusable."""
        number, data = None, PING
        if self.is_numbered:
            number = self._next_number
            self._next_number = (number + 1) % NUMBER_COUNT
            data = _NUMBERED_PING % number
        try:
            if self._tls:
                data = self._tls.encrypt(data)
            at = self._clock()
            at_ns = self._wall_clock()
            count = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            count = 0
        except (OSError, ssl.SSLError) as error:
            raise self._map_error(error) from error
        if count != len(data):
            raise OperationTimeoutError("the server has stopped reading")
        took = self._clock() - at
        if self._send_timestamps is not None:
            left_ns = self._send_timestamps.read(at_ns)
            # A packet that left later had to wait for the network or the server. A client waits for that too.
            if left_ns is not None and (delay := (left_ns - at_ns) / 1e9) <= took:
                return SentPing(at + delay, left_ns, 0.0, number, is_stamped=True)
        return SentPing(at, at_ns, took, number)

    def receive(self) -> Received | None:
        """Return the replies that have arrived, or None. Raises TargetError when the connection is lost.

        The replies have the timestamp of the data that completes them. Data without a complete reply (the first half of
        one, a session ticket of TLS) loses its timestamp.
        """
        try:
            data, kernel_timestamp = receive_with_timestamp(self._sock, _RECEIVE_BYTES)
            at_ns = self._wall_clock()
            at = self._clock()
            if not data:
                raise ConnectionResetError("closed by the server")
            lines = self._lines.feed(data if self._tls is None else self._decrypt(self._tls, data))
        except (BlockingIOError, InterruptedError):
            if self._send_timestamps is not None:
                self._send_timestamps.drain()  # a timestamp that came late is what woke the event loop
            return None
        except (OSError, EOFError, ssl.SSLError) as error:
            if self._on_hang_up is not None:
                self._on_hang_up()
            raise self._map_error(error) from error
        if lines:
            self._on_hang_up = None
        if self._on_introduction_reply and lines:
            lines = self._without_introduction(lines)
        return Received(lines, at, at_ns, kernel_timestamp) if lines else None

    def _without_introduction(self, lines: list[bytes]) -> list[bytes]:
        """Remove the replies to the introduction from ``lines``.

        A server that closes the connection may send the reason instead; it stays in ``lines``. A PONG, or a number, is
        the reply to a PING: a proxy swallowed the introduction.
        """
        while self._on_introduction_reply and lines:
            if lines[0] == PONG or lines[0].startswith(b"$"):
                self._on_introduction_reply.clear()
                break
            error = map_error_reply(lines[0][1:].decode(errors="replace")) if lines[0].startswith(b"-") else None
            if isinstance(error, MaxClientsError) or lines[0].startswith(b"-DENIED"):
                self._on_introduction_reply.clear()
                break
            self._on_introduction_reply.pop(0)(error)
            lines = lines[1:]
        return lines

    def parse_error(self, line: bytes) -> TargetError | None:
        """Return None for a PONG, or the error of an error reply. Raises ProtocolError for any other line.

        Call ``parse_sequence`` first. A server that does not know numbers replies with an error. That counts as a reply
        too, and no further PING carries a number.
        """
        if line == PONG:
            return None
        text = parse_error(line, PONG) or ""
        if text.startswith(_NUMBER_REJECTED):
            self.is_numbered = False
            return None
        return self._map_error(map_error_reply(text))

    @staticmethod
    def parse_sequence(line: bytes) -> int | None:
        """Return the number that a reply returns, or None if it has none. Raises ProtocolError."""
        if not line.startswith(b"$"):
            return None
        try:
            return int(line[1:])
        except ValueError:
            raise ProtocolError("an answer that is not PONG") from None

    def close(self) -> None:
        """Close the connection without waiting for the server. A second call does nothing."""
        self.stop_listening()
        if self._tls is not None:
            with suppress(OSError):
                self._sock.send(self._tls.closing_record())
            self._tls = None
        self._sock.close()

    def _decrypt(self, tls: TlsLayer, data: bytes) -> bytes:
        plain = tls.decrypt(data)
        if records := tls.pending_records():
            self._sock.send(records)
        return plain
