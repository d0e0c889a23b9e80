"""Sockets of the probe: their options, and the kernel's stamp of what they receive. Standard library only."""

import socket
import struct
import sys
from contextlib import suppress
from typing import Any

_LINUX = sys.platform.startswith("linux")
#: Linux, not named by the module ``socket`` before Python 3.14: stamp what arrives, in nanoseconds of CLOCK_REALTIME.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
#: Room for the control message with the stamp.
_ROOM = socket.CMSG_SPACE(_TIMESPEC.size)
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


def open_socket(family: int, *, keepalive: bool, dead_after: float) -> socket.socket:
    """Open a non-blocking stream socket; a peer that acknowledges nothing is dead ``dead_after`` seconds later."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if keepalive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for name, value in _KEEPALIVE.items():
                    if (option := getattr(socket, name, None)) is not None:
                        sock.setsockopt(socket.IPPROTO_TCP, option, value)
            if (option := getattr(socket, "TCP_USER_TIMEOUT", None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, round(dead_after * 1000))
    except BaseException:
        sock.close()
        raise
    return sock


def ask_for_stamps(sock: socket.socket) -> None:
    """Have the kernel stamp what arrives, where it can: TCP on Linux; unix sockets are never stamped."""
    if _LINUX:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def receive(sock: socket.socket, size: int) -> tuple[bytes, int | None]:
    """Return what arrived (nothing: the peer closed) and when, in nanoseconds of CLOCK_REALTIME, if the kernel says.

    Data of several arrivals bears the stamp of the last. Raises BlockingIOError when there is nothing, OSError.
    """
    data, control, _, _ = sock.recvmsg(size, _ROOM)
    return data, _stamp(control) if control else None


def _stamp(control: list[tuple[int, int, Any]]) -> int | None:
    for level, kind, content in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(content) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(content)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return None
