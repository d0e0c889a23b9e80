"""The fields of ``struct tcp_info`` are read at their offsets, and a real socket has them."""

import socket
import struct
import sys

import pytest

from redis_pulse.stalls.evidence import TcpSample
from redis_pulse.stalls.tcp_reader import read_tcp_sample


def test_fields_are_read_at_their_offsets() -> None:
    raw = bytearray(248)
    raw[2], raw[4] = 3, 2
    for offset, value in ((24, 1), (100, 7), (144, 14)):
        struct.pack_into("@I", raw, offset, value)
    assert read_tcp_sample(bytes(raw), 5.0, 0.3) == TcpSample(5.0, 1, 3, 2, 7, 14, 0.3)


def test_short_structure_of_an_old_kernel_is_read_as_far_as_it_goes() -> None:
    assert read_tcp_sample(bytes(104), 5.0, 0.1) == TcpSample(5.0, 0, 0, 0, 0, 0, 0.1)
    assert read_tcp_sample(bytes(103), 5.0, 0.1) is None
    assert read_tcp_sample(b"", 5.0, 0.1) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="TCP_INFO of Linux")
def test_idle_connection_has_nothing_unacknowledged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        sample = read_tcp_sample(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 1.0, 0.1)
    assert sample == TcpSample(1.0, 0, 0, 0, 0, 0, 0.1)
