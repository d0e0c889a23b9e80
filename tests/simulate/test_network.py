"""The simulated network behaves as TCP does, as far as the daemon can see it."""

import errno
import random
from collections.abc import Iterator

import pytest

from simulate.clock import START, VirtualClock
from simulate.loop import VirtualLoop
from simulate.network import WINDOW, Network, Stream

ADDRESS = ("10.0.0.1", 6379)


class Acceptor:
    """Keeps the server's ends of all connections."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []

    def accept(self, stream: Stream) -> None:
        self.streams.append(stream)


class Bench:
    """A network with one host, and one listener on it."""

    def __init__(self) -> None:
        self.loop = VirtualLoop(VirtualClock())
        self.network = Network(self.loop, random.Random(1))
        self.host = self.network.add_host(ADDRESS[0], 0.001)
        self.server = Acceptor()
        self.host.listeners[ADDRESS[1]] = self.server
        self.connected: list[Stream] = []
        self.errors: list[OSError] = []

    def connect(self) -> None:
        self.network.connect(ADDRESS, self.connected.append, self.errors.append)

    def pass_time(self, seconds: float) -> None:
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run_forever()

    def connection(self) -> tuple[Stream, Stream]:
        self.connect()
        self.pass_time(0.1)
        return self.connected[-1], self.server.streams[-1]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.loop.close()


def test_data_arrives_in_order_after_the_latency(bench: Bench) -> None:
    ours, theirs = bench.connection()
    sent_at = bench.loop.time()
    for number in range(100):
        ours.send(b"%d," % number)
    bench.pass_time(0.1)
    data, at = theirs.read(10_000)
    assert data == b"".join(b"%d," % number for number in range(100))
    assert at == pytest.approx(sent_at + 0.001)


def test_connect_is_refused_without_listener(bench: Bench) -> None:
    bench.host.listeners.clear()
    bench.connect()
    bench.pass_time(0.1)
    assert [error.errno for error in bench.errors] == [errno.ECONNREFUSED]


def test_connect_to_cut_host_waits_until_the_path_works(bench: Bench) -> None:
    bench.network.cut(bench.host)
    bench.connect()
    bench.pass_time(60)
    assert (bench.connected, bench.errors) == ([], [])
    bench.network.heal(bench.host)
    bench.pass_time(2)
    assert len(bench.connected) == 1


def test_lost_data_is_sent_again(bench: Bench) -> None:
    ours, theirs = bench.connection()
    bench.network.cut(bench.host)
    ours.send(b"late")
    bench.pass_time(5)
    assert not theirs.is_readable
    bench.network.heal(bench.host)
    bench.pass_time(2)
    assert theirs.read(10)[0] == b"late"


def test_user_timeout_ends_a_cut_connection(bench: Bench) -> None:
    ours, _ = bench.connection()
    ours.user_timeout = 4.0
    bench.network.cut(bench.host)
    ours.send(b"lost")
    bench.pass_time(3.9)
    assert not ours.is_readable
    bench.pass_time(0.2)
    with pytest.raises(TimeoutError):
        ours.read(1)


def test_crashed_host_answers_with_a_reset(bench: Bench) -> None:
    ours, theirs = bench.connection()
    theirs.vanish()
    bench.pass_time(60)
    assert not ours.is_readable, "a half-open connection shows only when data is sent"
    ours.send(b"PING")
    bench.pass_time(0.1)
    with pytest.raises(ConnectionResetError):
        ours.read(1)


def test_sender_waits_for_a_slow_reader(bench: Bench) -> None:
    ours, theirs = bench.connection()
    assert ours.send(b"x" * (WINDOW + 10)) == WINDOW
    bench.pass_time(0.1)
    assert ours.send(b"x") == 0
    woken = []
    ours.on_event = lambda: woken.append(bench.loop.time())
    theirs.read(1000)
    bench.pass_time(0.1)
    assert woken
    assert ours.send(b"x" * 2000) == 1000


def test_closed_connections_leave_nothing(bench: Bench) -> None:
    ours, theirs = bench.connection()
    ours.close()
    bench.pass_time(0.1)
    assert theirs.read(1)[0] == b""
    theirs.close()
    assert not bench.network.open
    assert not bench.host.streams


def test_idle_loop_reports_that_nothing_will_happen(bench: Bench) -> None:
    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        bench.loop.run_forever()


def test_time_jumps_to_the_next_timer(bench: Bench) -> None:
    bench.pass_time(86_400)
    assert bench.loop.time() == START + 86_400


def test_endless_loop_is_found(bench: Bench) -> None:
    def again() -> None:
        bench.loop.call_soon(again)

    again()
    with pytest.raises(RuntimeError, match="does not come to rest"):
        bench.loop.run_forever()
