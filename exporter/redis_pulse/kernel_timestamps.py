"""When the kernel sent and received data, in ns of CLOCK_REALTIME: ``SO_TIMESTAMPING``, for TCP on Linux.

Received data carries its timestamp. The timestamp of sent data waits in the error queue of the socket. The kernel takes
it when it gives the packet to the network device. It is there when ``send()`` returns, unless the packet had to wait.
Reading it needs one more system call, and no wake-up.

An event loop wakes up for an entry of the error queue as for data. So timestamps of sends are enabled only after the
handshake. Entries that were not read at once are removed with ``drain()``.

The number of a timestamp is that of the last byte of its ``send()``. A packet that is sent again has a second timestamp
with the same number. So a timestamp belongs to the newest send only if its number is higher than all before.
"""

import socket
import struct
import sys
from contextlib import suppress
from typing import Any

_LINUX = sys.platform.startswith("linux")
#: Linux options. ``socket`` names the first since Python 3.14.
_SO_TIMESTAMPNS, _SO_TIMESTAMPING = 35, 37
_TX_SOFTWARE, _RX_SOFTWARE, _SOFTWARE = 1 << 1, 1 << 3, 1 << 4
#: Number each timestamp of a send, and return it without the data that was sent.
_OPT_ID, _OPT_TSONLY = 1 << 7, 1 << 11
_RECEIVES = _RX_SOFTWARE | _SOFTWARE
_SENDS = _TX_SOFTWARE | _OPT_ID | _OPT_TSONLY
_MSG_ERRQUEUE = getattr(socket, "MSG_ERRQUEUE", 0x2000)
_TIMESPEC = struct.Struct("@ll")
#: ``struct scm_timestamping`` has three times. The first is that of the kernel, the others are of the hardware.
_TIMESTAMP_BYTES = 3 * _TIMESPEC.size
#: Bytes for the control message with the timestamp.
CONTROL_BYTES = socket.CMSG_SPACE(_TIMESTAMP_BYTES)
#: ``struct sock_extended_err`` up to ``ee_data``, which is the number. An address follows.
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_FROM_TIMESTAMPING = 4
_ERROR_BYTES = CONTROL_BYTES + socket.CMSG_SPACE(_EXTENDED_ERROR.size + 28)
#: After so many sends without a timestamp on a new connection, none is expected.
MAX_MISSES = 10
_HALF, _WHOLE = 1 << 31, 1 << 32


def enable_receive_timestamps(sock: socket.socket) -> None:
    """Let the kernel put timestamps on received data where it can: for TCP on Linux, never for unix sockets."""
    if not _LINUX:
        return
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RECEIVES)
    except OSError:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def receive_with_timestamp(sock: socket.socket, size: int) -> tuple[bytes, int | None]:
    """Return the received data, and the kernel's time of its arrival in ns of CLOCK_REALTIME, or None.

    The data is empty when the peer has closed the connection. Data of several arrivals has the timestamp of the last.
    Raises BlockingIOError when nothing has arrived, and OSError.
    """
    data, control, _, _ = sock.recvmsg(size, CONTROL_BYTES)
    return data, _timestamp(control) if control else None


def _timestamp(control: list[tuple[int, int, Any]]) -> int | None:
    for level, kind, content in control:
        is_timestamp = level == socket.SOL_SOCKET and kind in (_SO_TIMESTAMPING, _SO_TIMESTAMPNS)
        if is_timestamp and len(content) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            # A time of 0 means that only the hardware gave one.
            return int(seconds * 1_000_000_000 + nanoseconds) or None
    return None


class SendTimestamps:
    """Reads when the kernel sent what was written to one connected socket."""

    __slots__ = ("_misses", "_newest", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        #: How many sends had no timestamp in time; None after the first that had one.
        self._misses: int | None = 0
        #: The number of the newest timestamp; None before the first.
        self._newest: int | None = None

    @classmethod
    def enable(cls, sock: socket.socket) -> "SendTimestamps | None":
        """Let the kernel take timestamps of everything that is sent from now on. Return None if it cannot."""
        if not _LINUX or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RECEIVES | _SENDS)
        except OSError:
            return None
        return cls(sock)

    def read(self, began: int) -> int | None:
        """Return when the data left that was just sent, or None if the kernel has not sent it yet.

        ``began`` is a time before the send. A timestamp of earlier data is removed. After ``MAX_MISSES`` first sends
        without a timestamp, they are switched off. The device takes none, or each comes late and wakes the event loop.
        """
        if self._misses is None:
            return self._take(began)
        if self._misses >= MAX_MISSES:
            return None
        timestamp = self._take(began)
        self._misses = None if timestamp is not None else self._misses + 1
        if self._misses == MAX_MISSES:
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _RECEIVES)
        return timestamp

    def drain(self) -> None:
        """Remove all timestamps, so that they do not wake the event loop again and again."""
        self._take(sys.maxsize)

    def _take(self, began: int) -> int | None:
        try:
            while True:
                timestamp, number = _sent(self._sock.recvmsg(0, _ERROR_BYTES, _MSG_ERRQUEUE)[1])
                if number is None or timestamp is None:
                    continue
                newest, self._newest = self._newest, number
                if newest is not None and not 0 < (number - newest) % _WHOLE < _HALF:
                    self._newest = newest  # an earlier packet was sent again
                elif timestamp >= began:
                    return timestamp
        except OSError:
            return None


def _sent(control: list[tuple[int, int, Any]]) -> tuple[int | None, int | None]:
    """Return the timestamp and the number of an entry of the error queue. An entry of another kind has none."""
    for level, _, content in control:
        if level != socket.SOL_SOCKET and len(content) >= _EXTENDED_ERROR.size:
            _, origin, _, _, _, _, number = _EXTENDED_ERROR.unpack_from(content)
            return _timestamp(control), number if origin == _FROM_TIMESTAMPING else None
    return None, None
