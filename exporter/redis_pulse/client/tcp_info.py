"""What the kernel knows about a TCP connection: ``getsockopt(TCP_INFO)``, on Linux only.

The call takes less than a microsecond and sends nothing. It shows whether the other kernel has acknowledged what was
sent. A hung process still acknowledges, because its kernel does. A cut path does not.

``struct tcp_info`` grows with the versions of Linux, and the kernel returns as many bytes as it has. So every field is
read at its offset. A field that the kernel does not have is None.

``rtt`` is the time until an acknowledgement. That of a PING usually travels with the PONG, so it contains the time of
the server. After 40 ms the server's kernel acknowledges without a reply, so no more is contained.
``min_rtt`` is the lowest value of about five minutes (``net.ipv4.tcp_min_rtt_wlen``). It is the better estimate of the
network alone.
"""

import socket
import struct
import sys
from typing import NamedTuple

_IS_LINUX = sys.platform.startswith("linux")
#: Linux option. ``socket`` does not name it on every system.
_TCP_INFO = 11
#: More than any kernel has (280 bytes in Linux 6.18).
_MAX_BYTES = 512
#: The length in Linux 2.6.13 to 3.14. Nothing shorter exists.
_LEAST_BYTES = 104
#: state, retransmits, backoff
_BYTES = struct.Struct("=BxBxB")
_UINT32 = struct.Struct("=I")
_RTO, _UNACKED, _RTT, _TOTAL_RETRANS = 8, 24, 68, 100
#: Both exist since Linux 4.6.
_NOTSENT_BYTES, _MIN_RTT = 144, 148
#: ``min_rtt`` before the first measurement.
_NEVER = 0xFFFFFFFF


class TcpInfo(NamedTuple):
    """A part of ``struct tcp_info``. Times are in seconds, and None before the first measurement.

    - ``state``: 1 is ESTABLISHED, as in ``enum tcp_state`` of Linux.
    - ``unacked``: segments that were sent and not acknowledged.
    - ``retransmits``: how often the oldest of them was sent again; 0 after an acknowledgement.
    - ``backoff``: how often the time until the next retransmission was doubled.
    - ``rto``: the time after which an unacknowledged segment is sent again.
    - ``total_retrans``: segments that were sent again since the connection began.
    - ``notsent_bytes``: bytes that still wait in the own kernel, because the own link is down or the window is full.
    """

    state: int
    retransmits: int
    backoff: int
    rto: float
    unacked: int
    rtt: float | None
    total_retrans: int
    notsent_bytes: int | None = None
    min_rtt: float | None = None


def parse_tcp_info(raw: bytes) -> TcpInfo | None:
    """Return the content of a ``struct tcp_info`` of any length, or None if it is too short to be one."""
    if len(raw) < _LEAST_BYTES:
        return None
    state, retransmits, backoff = _BYTES.unpack_from(raw)
    min_rtt = _uint32(raw, _MIN_RTT)
    return TcpInfo(
        state=state,
        retransmits=retransmits,
        backoff=backoff,
        rto=(_uint32(raw, _RTO) or 0) / 1e6,
        unacked=_uint32(raw, _UNACKED) or 0,
        rtt=_seconds(_uint32(raw, _RTT)),
        total_retrans=_uint32(raw, _TOTAL_RETRANS) or 0,
        notsent_bytes=_uint32(raw, _NOTSENT_BYTES),
        min_rtt=None if min_rtt == _NEVER else _seconds(min_rtt),
    )


def read_tcp_info(sock: socket.socket) -> TcpInfo | None:
    """Return what the kernel knows about a connection, or None: a unix socket, another system, a closed socket."""
    if not _IS_LINUX or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        return parse_tcp_info(sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _MAX_BYTES))
    except OSError:
        return None


def _uint32(raw: bytes, offset: int) -> int | None:
    """Return the number at an offset, or None if the struct ends before it."""
    if len(raw) < offset + _UINT32.size:
        return None
    number: int = _UINT32.unpack_from(raw, offset)[0]
    return number


def _seconds(microseconds: int | None) -> float | None:
    """Return seconds. 0 means that nothing was measured, because the kernel rounds a measurement up to 1."""
    return microseconds / 1e6 if microseconds else None
