"""What the kernel says of an arrival, and what a socket cannot do is no reason to fail."""

import socket
import struct

import pytest

from redis_pulse.client import probe_connection
from redis_pulse.client.probe_connect import open_socket
from redis_pulse.client.probe_connection import enable_kernel_timestamps, receive


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


def test_what_arrived_without_a_stamp_has_none() -> None:
    ours, theirs = pair()
    with ours, theirs:
        enable_kernel_timestamps(ours)
        with pytest.raises(BlockingIOError):
            receive(ours, 100)
        theirs.send(b"x")
        assert receive(ours, 100) == (b"x", None)
        theirs.close()
        assert receive(ours, 100)[0] == b""


def test_a_stamp_is_read_from_its_control_message_and_from_no_other() -> None:
    stamp = (socket.SOL_SOCKET, 35, struct.pack("@ll", 1_700_000_000, 123_456_789))
    assert probe_connection._kernel_timestamp([(socket.SOL_SOCKET, 1, b"x" * 16), stamp]) == 1_700_000_000_123_456_789
    for other in ((socket.SOL_SOCKET, 35, b"short"), (0, 35, stamp[2]), (socket.SOL_SOCKET, 36, stamp[2])):
        assert probe_connection._kernel_timestamp([other]) is None


def test_where_there_are_no_stamps_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_connection, "_LINUX", False)
    enable_kernel_timestamps(None)  # type: ignore[arg-type]


def test_an_option_that_a_platform_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE"):
        monkeypatch.delattr(socket, name, raising=False)
    with open_socket(socket.AF_INET, keepalive=True, dead_after=30) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not on this platform")
def test_a_socket_that_cannot_be_set_up_is_closed() -> None:
    with pytest.raises((TypeError, OverflowError)):
        open_socket(socket.AF_INET, keepalive=True, dead_after=10**300)
