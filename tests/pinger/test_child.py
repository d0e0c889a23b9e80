"""The process with the pings: what it sends when, and what it reports. The test plays the daemon and the server."""

import socket
import time
from collections.abc import Callable, Iterator
from errno import ECONNRESET
from time import monotonic

import pytest

from redis_pulse.pinger import child
from redis_pulse.pinger.child import Pinger
from redis_pulse.pinger.messages import (
    BEAT,
    DATA,
    LEND,
    LOST,
    RETURN,
    RETURNED,
    SENT,
    SKIPPED,
    WHOLE,
    Order,
    PingReport,
    ReportReader,
)
from tests.patience import Patience

pytestmark = pytest.mark.skipif(not hasattr(socket, "SCM_RIGHTS"), reason="needs Linux")


def connected_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection over TCP. The kernel takes no timestamps of other connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs = listener.accept()[0]
    theirs.settimeout(5)
    return ours, theirs


class PingerHarness:
    """A ``Pinger`` in this process, which a test advances step by step."""

    def __init__(self) -> None:
        self.daemon, link = socket.socketpair()
        self.daemon.setblocking(False)
        self.pinger = Pinger(link)
        self.lent, self.server = connected_pair()
        self.reader = ReportReader()
        self.reports: list[tuple[PingReport, bytes]] = []

    def lend(self, first: float | None = None, interval: float = 60.0, *, is_numbered: bool = True) -> None:
        order = Order(LEND, 5, monotonic() if first is None else first, 999_999, interval, is_numbered)
        socket.send_fds(self.daemon, [order.encode()], [self.lent.fileno()])

    def until(self, condition: Callable[[], object]) -> None:
        patience = Patience(10)
        while not condition():
            assert not patience.is_over, self.reports
            self.pinger.step()
            try:
                data = self.daemon.recv(1 << 16)
            except BlockingIOError:
                continue
            self.reports += self.reader.feed(data)

    def of(self, kind: int) -> list[PingReport]:
        return [report for report, _ in self.reports if report.kind == kind]

    def until_reported(self, kind: int, count: int = 1) -> PingReport:
        """Return the newest report of a kind."""
        self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[-1]

    def exchange(self, reply: bytes) -> bytes:
        """Let a PING be answered before its batch ends. Return the PING."""
        self.pinger._flush_at = monotonic() + 10
        self.until(lambda: self.pinger._open_pings)
        ping = self.server.recv(100)
        self.server.sendall(reply)
        self.pinger._flush_at = monotonic() + 10
        self.until(lambda: not self.pinger._open_pings)
        self.pinger._flush_at = 0.0
        return ping

    def close(self) -> None:
        lent = [lent.sock for lent in self.pinger._by_key.values()]
        for sock in (self.daemon, self.lent, self.server, self.pinger._link, *lent):
            sock.close()
        self.pinger._poll.close()


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[PingerHarness]:
    monkeypatch.setattr(child, "BEAT_INTERVAL", 0.05)
    monkeypatch.setattr(child, "BATCH", 0.05)
    harness = PingerHarness()
    yield harness
    harness.close()


def test_ping_and_its_reply_are_one_report_with_the_times_of_the_kernel(harness: PingerHarness) -> None:
    first = monotonic()
    harness.lend(first)
    assert harness.exchange(b"$6\r\n999999\r\n") == b"*2\r\n$4\r\nPING\r\n$6\r\n999999\r\n"
    report = harness.until_reported(WHOLE)
    assert (report.key, report.number, report.due) == (5, 999_999, first)
    assert first <= report.sent <= report.read <= monotonic()
    assert report.sent_ns <= report.timestamp <= report.read_ns
    assert report.is_stamped
    assert not harness.of(SENT)


def test_ping_without_a_number_expects_a_pong(harness: PingerHarness) -> None:
    harness.lend(is_numbered=False)
    assert harness.exchange(b"+PONG\r\n") == b"*1\r\n$4\r\nPING\r\n"
    assert harness.until_reported(WHOLE).number == 999_999


def test_ping_without_a_reply_is_reported_once_and_its_reply_later(harness: PingerHarness) -> None:
    harness.lend()
    assert harness.until_reported(SENT).number == 999_999
    harness.server.sendall(b"$6\r\n999999\r\n")
    harness.until_reported(DATA)
    assert [content for report, content in harness.reports if report.kind == DATA] == [b"$6\r\n999999\r\n"]
    assert len(harness.of(SENT)) == 1
    assert not harness.of(WHOLE)


def test_reply_that_is_not_the_expected_one_is_passed_on_unread(harness: PingerHarness) -> None:
    harness.lend()
    harness.exchange(b"-LOADING Redis is loading\r\n")
    report = harness.until_reported(DATA)
    kinds = [report.kind for report, _ in harness.reports if report.kind != BEAT]
    assert kinds == [SENT, DATA]
    (content,) = [content for report, content in harness.reports if report.kind == DATA]
    assert content == b"-LOADING Redis is loading\r\n"
    assert report.size == len(content)


def test_beat_has_the_time_until_which_all_replies_are_reported(harness: PingerHarness) -> None:
    before = monotonic()
    harness.until_reported(BEAT, 2)
    assert before <= harness.of(BEAT)[-1].read <= monotonic()


def test_moments_that_passed_are_skipped_and_the_newest_is_served(harness: PingerHarness) -> None:
    first = monotonic() - 3.5
    harness.lend(first, interval=1.0)
    sent = harness.until_reported(SENT)
    (skipped,) = harness.of(SKIPPED)
    assert (skipped.number, skipped.due) == (3, first + 2.0)
    assert sent.due == first + 3.0
    assert sent.number == 999_999


def test_number_after_the_last_is_0(harness: PingerHarness) -> None:
    harness.lend(interval=0.05)
    harness.until_reported(SENT, 2)
    assert [report.number for report in harness.of(SENT)][:2] == [999_999, 0]


def test_end_of_a_connection_is_reported_and_then_the_next_moment(harness: PingerHarness) -> None:
    first = monotonic()
    harness.lend(first)
    harness.until_reported(SENT)
    harness.server.close()
    harness.until_reported(RETURNED)
    kinds = [report.kind for report, _ in harness.reports if report.kind != BEAT]
    assert kinds == [SENT, LOST, RETURNED]
    assert harness.of(LOST)[0].number in (0, ECONNRESET)
    assert (harness.of(RETURNED)[0].due, harness.of(RETURNED)[0].number) == (first + 60.0, 0)


def test_returned_connection_is_read_no_more(harness: PingerHarness) -> None:
    first = monotonic()
    harness.lend(first)
    harness.until_reported(SENT)
    harness.daemon.sendall(Order(RETURN, 5).encode())
    report = harness.until_reported(RETURNED)
    assert (report.due, report.number) == (first + 60.0, 0)
    harness.server.recv(100)
    harness.server.sendall(b"$6\r\n999999\r\n")
    harness.until_reported(BEAT, len(harness.of(BEAT)) + 2)
    assert not harness.of(DATA)
    assert harness.lent.recv(100) == b"$6\r\n999999\r\n"


def test_order_for_an_unknown_connection_is_ignored(harness: PingerHarness) -> None:
    harness.daemon.sendall(Order(RETURN, 99).encode())
    harness.until_reported(BEAT)
    assert {report.kind for report, _ in harness.reports} == {BEAT}


def test_order_whose_socket_did_not_arrive_is_returned_at_once(harness: PingerHarness) -> None:
    harness.daemon.sendall(Order(LEND, 8, 12.0, 3, 1.0, is_numbered=True).encode())
    report = harness.until_reported(RETURNED)
    assert (report.key, report.due, report.number) == (8, 12.0, 3)


def test_process_ends_when_the_daemon_ends(harness: PingerHarness) -> None:
    harness.lend()
    harness.daemon.shutdown(socket.SHUT_RDWR)
    harness.daemon.close()
    patience = Patience(10)
    while harness.pinger.is_running:
        assert not patience.is_over
        harness.pinger.step()


def test_process_waits_for_a_daemon_that_reads_nothing_and_ends_at_a_limit(
    harness: PingerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.lend(interval=0.001)
    harness.until_reported(SENT)
    patience = Patience(20)
    while not harness.pinger._waiting:
        assert not patience.is_over
        harness.pinger.step()
    assert harness.pinger.is_running
    monkeypatch.setattr(child, "MAX_WAITING", 1)
    while harness.pinger.is_running:
        assert not patience.is_over
        time.sleep(0.01)
        harness.pinger.step()
