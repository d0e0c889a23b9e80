"""Reads the fields of Linux' ``struct tcp_info`` that tell whether the far kernel took what we sent."""

import struct

from redis_pulse.stalls.evidence import TcpSample

#: Offsets of Linux. The structure only grows at its end, and an old kernel returns a shorter one.
_RETRANSMITS, _BACKOFF = 2, 4
_U32 = struct.Struct("@I")
_UNACKED, _TOTAL_RETRANS, _NOTSENT = 24, 100, 144


def read_tcp_sample(raw: bytes, at: float, since_send: float) -> TcpSample | None:
    """Return the sample in the reply of ``getsockopt(TCP_INFO)``, or None if the reply is too short."""
    if len(raw) < _TOTAL_RETRANS + _U32.size:
        return None
    notsent = _U32.unpack_from(raw, _NOTSENT)[0] if len(raw) >= _NOTSENT + _U32.size else 0
    return TcpSample(
        at=at,
        unacked=_U32.unpack_from(raw, _UNACKED)[0],
        retransmits=raw[_RETRANSMITS],
        backoff=raw[_BACKOFF],
        total_retrans=_U32.unpack_from(raw, _TOTAL_RETRANS)[0],
        notsent_bytes=notsent,
        since_send=since_send,
    )
