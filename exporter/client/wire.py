"""The prober's own connection: a PING leaves the moment it is written, what arrives bears the kernel's stamp.

Nothing waits here. ``ping()`` and ``receive()`` return at once; the moments just before the one and just after the
other are taken here, as near to the system call as Python allows.

A PING may carry a number, which the server gives back: so a reply that never came is told from one that did.
"""

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from exporter.client.resp import Lines, command, error_of
from exporter.client.sockets import receive
from exporter.client.tls import TlsLayer
from exporter.client.translate import translate_reply
from exporter.errors import MaxClientsError, OperationTimeoutError, ProtocolError, TargetError

PING, PONG = command("PING"), b"+PONG"
_NUMBERED = command("PING", "000000").replace(b"000000", b"%06d")
#: How many numbers there are; the one after the last is 0 again.
NUMBERS = 1_000_000
#: What a server answers that knows no PING with a word: an answer all the same, and the moment of it.
_KNOWS_NO_NUMBER = "ERR wrong number of arguments"
_SIZE = 16384
#: Told the answer to a command: None when it is well, or the error.
Told = Callable[[TargetError | None], None]


class Sent(NamedTuple):
    """A ping on its way: the moment before it left, in seconds on our clock and in ns on the wall's.

    The call took ``took`` seconds: so much later it may have left. ``number`` is what it carries, if it does.
    """

    at: float
    at_ns: int
    took: float
    number: int | None = None


class Arrival(NamedTuple):
    """Replies that arrived together, and when they were read, in seconds on our clock and in ns on the wall's.

    ``stamp`` is the kernel's, in ns on the wall's clock, if it gave one.
    """

    lines: list[bytes]
    at: float
    at_ns: int
    stamp: int | None


class Wire:
    """One connection on which nothing but PING is sent. ``clock`` is in seconds, ``wall`` in ns of CLOCK_REALTIME."""

    __slots__ = (
        "_clock",
        "_hung_up",
        "_layer",
        "_lines",
        "_listening",
        "_next",
        "_owed",
        "_sock",
        "_translate",
        "_wall",
        "numbered",
    )

    def __init__(
        self,
        sock: socket.socket,
        layer: TlsLayer | None,
        lines: Lines,
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
        self._owed: list[Told] = []
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
            self._owed, self._hung_up = [told for _, told in commands], hung_up
            with suppress(OSError, ssl.SSLError):
                self._sock.send(self._layer.encrypt(data) if self._layer else data)

    def ping(self) -> Sent:
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
        return Sent(at, at_ns, self._clock() - at, number)

    def receive(self) -> Arrival | None:
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
        if self._owed and lines:
            lines = self._without_introduction(lines)
        return Arrival(lines, at, at_ns, stamp) if lines else None

    def _without_introduction(self, lines: list[bytes]) -> list[bytes]:
        """Take the answers to the introduction away; a server that hangs up may say why instead of them.

        A PONG, or a number that comes back, answers a PING: a proxy swallowed the introduction.
        """
        while self._owed and lines:
            if lines[0] == PONG or lines[0].startswith(b"$"):
                self._owed.clear()
                break
            error = translate_reply(lines[0][1:].decode(errors="replace")) if lines[0].startswith(b"-") else None
            if isinstance(error, MaxClientsError) or lines[0].startswith(b"-DENIED"):
                self._owed.clear()
                break
            self._owed.pop(0)(error)
            lines = lines[1:]
        return lines

    def error_of(self, line: bytes) -> TargetError | None:
        """Return None for a PONG, the error that the server answered; raises ProtocolError for anything else.

        (Ask ``number_of`` first.) A server that knows no numbers says so: that is an answer too, and no further PING
        carries one.
        """
        if line == PONG:
            return None
        text = error_of(line, PONG) or ""
        if text.startswith(_KNOWS_NO_NUMBER):
            self.numbered = False
            return None
        return self._translate(translate_reply(text))

    @staticmethod
    def number_of(line: bytes) -> int | None:
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
