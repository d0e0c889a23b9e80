"""What the kernel knows about a connection: recorded structs of any length, and real sockets."""

import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.client.tcp_info import TcpInfo, parse_tcp_info, read_tcp_info

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has this struct tcp_info")

#: The first 160 of 280 bytes, recorded on Linux 6.18: five requests over loopback, all of them acknowledged.
QUIET = bytes.fromhex(
    "010000000007aa01e01c0300409c00000080000018020000000000000000000000000000000000000000000000000000000000000000000000"
    "000000ffff0000d7ff00000900000005000000ffffff7f0f000000cbff00000300000000000000d7ff000000000000d5eb1bc210000000ffff"
    "ffffffffffff1f000000000000002300000000000000080000000700000000000000060000000500000005000000"
)
#: The same connection, 2 s after a firewall began to drop its segments. Two requests were sent.
CUT = bytes.fromhex(
    "010403000307aa0100e71800409c000000800000180200000100000000000000010000000100000000000000100200000000000038080000b4"
    "010000ffff0000d7ff00000900000005000000ffffff7f01000000cbff00000300000000000000d7ff000004000000d5eb1bc210000000ffff"
    "ffffffffffff1f000000000000002300000000000000120000000b0000000000000006000000090000000b000000"
)
#: Before Linux 3.15, and from 3.15 to 4.5.
SHORTEST, WITHOUT_MIN_RTT = 104, 136


def test_quiet_connection_is_acknowledged_and_has_microseconds() -> None:
    assert parse_tcp_info(QUIET) == TcpInfo(
        state=1,
        retransmits=0,
        backoff=0,
        rto=0.204,
        unacked=0,
        rtt=9e-6,
        total_retrans=0,
        notsent_bytes=0,
        min_rtt=6e-6,
    )


def test_cut_connection_has_unacknowledged_and_repeated_segments() -> None:
    info = parse_tcp_info(CUT)
    assert info is not None
    assert (info.unacked, info.retransmits, info.backoff, info.total_retrans) == (1, 3, 3, 4)
    assert info.rto == 0.204 * 2**3


@pytest.mark.parametrize("length", [SHORTEST, WITHOUT_MIN_RTT, 144, 147])
def test_field_beyond_the_end_of_the_struct_is_none(length: int) -> None:
    info = parse_tcp_info(CUT[:length])
    assert info is not None
    assert (info.rtt, info.total_retrans) == (9e-6, 4)
    assert (info.notsent_bytes, info.min_rtt) == (None, None)


def test_half_a_field_is_none() -> None:
    info = parse_tcp_info(CUT[:151])
    assert info is not None
    assert (info.notsent_bytes, info.min_rtt) == (0, None)


def test_round_trip_that_was_never_measured_is_none() -> None:
    """Before the first measurement, the kernel has 0 as the smoothed round trip and 2**32 - 1 as the lowest."""
    info = parse_tcp_info(QUIET[:68] + bytes(4) + QUIET[72:148] + b"\xff" * 4)
    assert info is not None
    assert (info.rtt, info.min_rtt) == (None, None)


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_or_too_short(raw: bytes) -> None:
    info = parse_tcp_info(raw)
    assert (info is None) is (len(raw) < SHORTEST)


@pytest.fixture
def loopback() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        accepted, _ = listener.accept()
        with accepted:
            yield client, accepted


@linux_only
def test_real_connection_has_a_round_trip_and_repeats_nothing(loopback: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = loopback
    for _ in range(3):
        client.sendall(b"PING\r\n")
        accepted.recv(100)
        accepted.sendall(b"+PONG\r\n")
        client.recv(100)
    info = read_tcp_info(client)
    assert info is not None
    assert (info.state, info.unacked, info.retransmits, info.total_retrans) == (1, 0, 0, 0)
    assert info.rtt is not None
    assert 0 < info.rtt < 1
    assert info.min_rtt is None or 0 < info.min_rtt <= info.rtt


@linux_only
def test_bytes_that_the_peer_has_no_room_for_wait_unsent(loopback: tuple[socket.socket, socket.socket]) -> None:
    """A stopped process reads nothing. So its kernel takes a part, and the rest waits here."""
    client, _ = loopback
    client.setblocking(False)
    with suppress(BlockingIOError):
        while client.send(b"x" * 65_536):
            pass
    info = read_tcp_info(client)
    assert info is not None
    assert info.notsent_bytes is None or info.notsent_bytes > 0


def test_unix_socket_and_closed_socket_have_none(loopback: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        unix.connect(str(tmp_path / "s"))
        assert read_tcp_info(unix) is None
    client, _ = loopback
    client.close()
    assert read_tcp_info(client) is None
