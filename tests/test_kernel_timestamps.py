"""Timestamps of the kernel: which entry belongs to which send, and what is done without them."""

import errno
import socket
import struct
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from redis_pulse import kernel_timestamps
from redis_pulse.kernel_timestamps import (
    MAX_MISSES,
    SendTimestamps,
    enable_receive_timestamps,
    receive_with_timestamp,
)

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the kernel of Linux adds timestamps")
SECOND = 1_000_000_000
TIMESTAMPNS, TIMESTAMPING, IP_RECVERR, IPV6_RECVERR = 35, 37, 11, 25


def socket_pair() -> tuple[socket.socket, socket.socket]:
    client, server = socket.socketpair()
    client.setblocking(False)
    return client, server


def stamp(ns: int) -> tuple[int, int, bytes]:
    """Return the control message with a time of the kernel and none of the hardware."""
    return socket.SOL_SOCKET, TIMESTAMPING, struct.pack("@6l", *divmod(ns, SECOND), 0, 0, 0, 0)


def entry(ns: int, number: int, origin: int = 4, *, ipv6: bool = False) -> list[tuple[int, int, bytes]]:
    """Return what the kernel puts into the error queue."""
    error = struct.pack("=IBBBBII", errno.ENOMSG, origin, 0, 0, 0, 0, number) + bytes(28 if ipv6 else 16)
    return [stamp(ns), (socket.IPPROTO_IPV6, IPV6_RECVERR, error) if ipv6 else (socket.IPPROTO_IP, IP_RECVERR, error)]


class ErrorQueue:
    """A socket that has only an error queue."""

    def __init__(self, *entries: list[tuple[int, int, bytes]]) -> None:
        self.entries = deque(entries)
        #: The newest value of the option for timestamps.
        self.option: int | None = None

    def setsockopt(self, _level: int, _option: int, value: int) -> None:
        self.option = value

    def recvmsg(self, _size: int, _control: int, _flags: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        if not self.entries:
            raise BlockingIOError
        return b"", self.entries.popleft(), 0, None


def timestamps(*entries: list[tuple[int, int, bytes]]) -> tuple[SendTimestamps, ErrorQueue]:
    queue = ErrorQueue(*entries)
    return SendTimestamps(queue), queue  # type: ignore[arg-type]


def test_data_without_timestamp_has_none() -> None:
    client, server = socket_pair()
    with client, server:
        enable_receive_timestamps(client)
        with pytest.raises(BlockingIOError):
            receive_with_timestamp(client, 100)
        server.send(b"x")
        assert receive_with_timestamp(client, 100) == (b"x", None)
        server.close()
        assert receive_with_timestamp(client, 100)[0] == b""


def test_timestamp_is_read_from_its_control_message_only() -> None:
    found = stamp(1_700_000_000_123_456_789)
    assert kernel_timestamps._timestamp([(socket.SOL_SOCKET, 1, b"x" * 16), found]) == 1_700_000_000_123_456_789
    old = (socket.SOL_SOCKET, TIMESTAMPNS, struct.pack("@2l", 5, 7))
    assert kernel_timestamps._timestamp([old]) == 5 * SECOND + 7
    nothing = (socket.SOL_SOCKET, TIMESTAMPING, bytes(48))
    for other in ((socket.SOL_SOCKET, TIMESTAMPING, b"short"), (0, TIMESTAMPING, found[2]), nothing):
        assert kernel_timestamps._timestamp([other]) is None


class OldKernel:
    """A socket that knows only the options in ``known``."""

    def __init__(self, *known: int) -> None:
        self.family = socket.AF_INET
        self.known = known
        self.enabled: list[int] = []

    def setsockopt(self, _level: int, option: int, _value: int) -> None:
        if option not in self.known:
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")
        self.enabled.append(option)


@linux_only
@pytest.mark.parametrize("known", [(), (TIMESTAMPNS,), (TIMESTAMPNS, TIMESTAMPING)])
def test_each_kernel_gives_what_it_can(known: tuple[int, ...]) -> None:
    kernel: Any = OldKernel(*known)
    enable_receive_timestamps(kernel)
    assert kernel.enabled == list(known[-1:])
    assert (SendTimestamps.enable(kernel) is not None) == (TIMESTAMPING in known)


def test_timestamps_are_not_enabled_outside_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_timestamps, "_LINUX", False)
    kernel: Any = OldKernel(TIMESTAMPNS, TIMESTAMPING)
    enable_receive_timestamps(kernel)
    assert (SendTimestamps.enable(kernel), kernel.enabled) == (None, [])


@linux_only
def test_unix_socket_has_no_send_timestamps() -> None:
    client, server = socket_pair()
    with client, server:
        assert SendTimestamps.enable(client) is None


@pytest.mark.parametrize("ipv6", [False, True])
def test_each_send_gets_its_own_timestamp(ipv6: bool) -> None:
    reader, queue = timestamps()
    for at, number in ((100, 2**32 - 10), (200, 20), (300, 50)):  # the number begins again after 4 GB
        queue.entries.append(entry(at, number, ipv6=ipv6))
        assert reader.read(at - 10) == at
    assert reader.read(300) is None, "nothing is sent yet"


def test_timestamp_of_an_earlier_send_is_not_taken() -> None:
    reader, queue = timestamps(entry(100, 19), entry(205, 39))
    assert reader.read(200) == 205, "the first came too late for its own send"
    queue.entries += [entry(310, 39), entry(320, 59)]
    assert reader.read(300) == 320, "the packet before was sent again"
    queue.entries += [entry(410, 59)]
    assert (reader.read(400), len(queue.entries)) == (None, 0)


def test_device_without_timestamps_is_asked_no_more() -> None:
    """Each send would cost a system call for nothing. Where timestamps come late, it would cost a wake-up."""
    reader, queue = timestamps()
    for number in range(MAX_MISSES):
        assert queue.option is None
        assert reader.read(100) is None
        reader.drain()  # it counts nothing
        queue.entries.append(entry(50, number))
    assert queue.option == 1 << 3 | 1 << 4
    queue.entries.append(entry(200, 500))
    assert reader.read(100) is None
    reader.drain()
    assert not queue.entries


def test_timestamps_that_came_once_are_asked_for_on_and_on() -> None:
    """A cut network holds packets back. Their timestamps come again when it is repaired."""
    reader, queue = timestamps(entry(100, 19))
    assert reader.read(50) == 100
    for _ in range(2 * MAX_MISSES):
        assert reader.read(200) is None
    queue.entries.append(entry(300, 39))
    assert (reader.read(200), queue.option) == (300, None)


def test_other_entries_of_the_error_queue_are_ignored() -> None:
    reader, _ = timestamps([], [stamp(100)], entry(100, 5, origin=2), [entry(0, 19)[1]], entry(100, 19))
    assert reader.read(50) == 100


def test_drained_queue_is_empty() -> None:
    reader, queue = timestamps(entry(100, 19), entry(200, 39))
    reader.drain()
    assert not queue.entries
    queue.entries.append(entry(300, 59))
    assert reader.read(250) == 300


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server = listener.accept()[0]
        with server:
            yield client, server


@linux_only
def test_kernel_numbers_timestamps_by_the_last_byte_sent(connection: tuple[socket.socket, socket.socket]) -> None:
    """What ``read`` relies on. It skips where the kernel gives no timestamps, as in some sandboxes."""
    client, _ = connection
    client.sendall(b"sent before")
    reader = SendTimestamps.enable(client)
    client.setblocking(False)
    client.send(b"x" * 100)
    if reader is None or reader.read(0) is None:
        pytest.skip("this kernel gives no timestamps of sends")
    first = reader._newest
    client.send(b"x" * 30)
    assert reader.read(0) is not None
    assert first is not None
    assert reader._newest == first + 30
