"""The prober's own connection: a PING leaves the moment it is written, what arrives bears the kernel's stamp.

Nothing waits here. ``ping()`` and ``receive()`` return at once; the moments just before the one and just after the
other are taken here, as near to the system call as Python allows.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from exporter.client.resp import Lines, command, error_of
from exporter.client.sockets import receive
from exporter.client.tls import TlsLayer
from exporter.client.translate import translate_reply
from exporter.errors import ConnectionResetByTargetError, OperationTimeoutError, TargetError

PING, PONG = command("PING"), b"+PONG"
_SIZE = 16384


class Sent(NamedTuple):
    """A ping on its way: the moment before it left, in seconds on our clock and in ns on the wall's.

    The call took ``took`` seconds: so much later it may have left.
    """

    at: float
    at_ns: int
    took: float


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

    __slots__ = ("_clock", "_layer", "_lines", "_listening", "_sock", "_translate", "_wall")

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

    def listen(self, readable: Callable[[], None]) -> None:
        """Call ``readable()`` whenever something can be received, until it is closed."""
        asyncio.get_running_loop().add_reader(self._sock.fileno(), readable)
        self._listening = True

    @property
    def certificate_expires(self) -> float | None:
        """Unix time at which the server's certificate expires, if there is one and it was checked."""
        return self._layer.certificate_expires if self._layer else None

    def ping(self) -> Sent:
        """Send one PING now. Raises TargetError when it cannot leave: the connection is of no use then."""
        try:
            data = self._layer.encrypt(PING) if self._layer else PING
            at = self._clock()
            at_ns = self._wall()
            count = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            count, data = 0, PING
        except (OSError, ssl.SSLError) as error:
            raise self._translate(error) from error
        if count != len(data):
            raise OperationTimeoutError("the server reads nothing any more")
        return Sent(at, at_ns, self._clock() - at)

    def receive(self) -> Arrival | None:
        """Return what has arrived, None when there is no reply in it. Raises TargetError when the connection is gone.

        What arrived without a reply (the first half of one, a session ticket of TLS) takes its stamp along.
        """
        try:
            data, stamp = receive(self._sock, _SIZE)
            at_ns = self._wall()
            at = self._clock()
            if not data:
                raise ConnectionResetByTargetError("closed by the server")
            lines = self._lines.feed(data if self._layer is None else self._decrypt(self._layer, data))
        except (BlockingIOError, InterruptedError):
            return None
        except (OSError, EOFError, ssl.SSLError) as error:
            raise self._translate(error) from error
        return Arrival(lines, at, at_ns, stamp) if lines else None

    def error_of(self, line: bytes) -> TargetError | None:
        """Return None for a PONG, the error that the server answered; raises ProtocolError for anything else."""
        if line == PONG:
            return None
        text = error_of(line, PONG)
        return None if text is None else translate_reply(text)

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
