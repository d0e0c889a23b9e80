"""The server of our own: its protocol, its record, and the process that it runs in."""

import multiprocessing
import socket
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.calibrate.echo import HELD, EchoServer, split_commands
from redis_pulse.client.probe_connection import encode_command


@given(
    st.lists(st.sampled_from([("PING",), ("PING", "000123"), ("CLIENT", "SETNAME", "a\r\nb"), ("X", "")])), st.data()
)
def test_commands_do_not_depend_on_pieces_of_data(commands: list[tuple[str, ...]], data: st.DataObject) -> None:
    sent = b"".join(encode_command(*words) for words in commands)
    cut = data.draw(st.integers(0, len(sent)))
    first, rest = split_commands(sent[:cut])
    others, rest = split_commands(rest + sent[cut:])
    assert [tuple(word.decode() for word in words) for words in first + others] == commands
    assert rest == b""


class RunningServer:
    """An echo server in a thread, with one port."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        self.pipe: Connection
        self.pipe, theirs = multiprocessing.Pipe()
        self.server = EchoServer([listener], theirs)
        self._opened: list[socket.socket | Connection] = [listener, theirs]
        self._thread = threading.Thread(target=self.server.run)
        self._thread.start()

    def stop(self) -> None:
        self.pipe.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self.stop()
        self.server.close()
        for one in self._opened:
            one.close()


@pytest.fixture
def running() -> Iterator[RunningServer]:
    running = RunningServer()
    try:
        yield running
    finally:
        running.close()


def receive_lines(client: socket.socket, count: int) -> list[bytes]:
    data = b""
    while data.count(b"\r\n") < count:
        received = client.recv(4096)
        assert received, "the server has closed the connection"
        data += received
    return data.split(b"\r\n")[:-1]


def test_pings_are_recorded_in_order_with_the_times_of_both_sides(running: RunningServer) -> None:
    numbers = [7, 8, 9, 10, 11]
    with socket.create_connection(running.address, timeout=60) as client:
        client.sendall(encode_command("CLIENT", "SETNAME", "x"))
        assert receive_lines(client, 1) == [b"+OK"]
        for number in numbers:  # all at once, so that a reply that is not held back must wait for those before it
            client.sendall(encode_command("PING", f"{number:06}"))
        assert receive_lines(client, 10)[1::2] == [b"%06d" % number for number in numbers]
        client.sendall(encode_command("PING"))
        assert receive_lines(client, 1) == [b"+PONG"]
    running.stop()
    record = running.server.record
    assert [ping.number for ping in record] == [*numbers, -1]
    assert {ping.port for ping in record} == {running.address[1]}
    assert {ping.held for ping in record} == set(HELD)
    for ping in record:
        assert ping.left - ping.arrived >= ping.held * 1e9
    assert [ping.left for ping in record] == sorted(ping.left for ping in record)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the kernel of Linux adds timestamps")
def test_record_is_by_the_kernel(running: RunningServer) -> None:
    with socket.create_connection(running.address, timeout=60) as client:
        for number in range(20):  # the kernel begins to take timestamps a moment after the first request
            client.sendall(encode_command("PING", f"{number:06}"))
            receive_lines(client, 2)
    running.stop()
    if not any(ping.by_kernel for ping in running.server.record):
        pytest.skip("this kernel gives no timestamps")
    assert running.server.record[-1].by_kernel
