"""Which clock times a reply: with real clocks and real sockets, and an event loop that is late."""

import math
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from redis_pulse.client import Received, SentPing, TcpInfo
from redis_pulse.config import ProbeSettings
from tests.client.helpers import until_unread
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually, metric_value
from tests.probe.test_prober import PATIENT

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernel timestamps exist on Linux only")
#: Seconds for which the test blocks the event loop: much longer than a reply takes here, shorter than a deadline.
BLOCKED = 0.1


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


def on_real_clocks(url: str, **probe: float) -> TargetHarness:
    return TargetHarness(url, clock=time.monotonic, wall=time.time_ns, breaker=PATIENT, probe=ProbeSettings(**probe))


def block(seconds: float = BLOCKED) -> None:
    """Block the event loop, as the rendering of a large page might."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def by_clock(watched: TargetHarness) -> dict[str, float]:
    return {
        clock: metric_value(watched.metrics, "redis_probe_clock_total", clock=clock) for clock in ("kernel", "user")
    }


@linux_only
async def test_delay_of_the_event_loop_is_subtracted_and_published(server: FakeServer) -> None:
    watched = on_real_clocks(server.url)
    await watched.probe_due()
    await watched.ended(1)
    began = time.monotonic()
    await watched.probe_due()
    await server.arrived("PING", 2)
    await wait_for_unread_reply(watched)
    arrived = time.monotonic()
    block()
    await watched.ended(2)
    seconds = watched.observer.results[-1].seconds
    assert seconds is not None
    assert seconds < arrived - began + BLOCKED / 2
    assert by_clock(watched) == {"kernel": 2, "user": 0}
    assert metric_value(watched.metrics, "redis_exporter_probe_overhead_seconds_count") == 2
    await watched.close()


async def wait_for_unread_reply(watched: TargetHarness) -> None:
    """Return when an unread reply has arrived. This task continues before the event loop reports the reply."""
    session = watched.prober._session
    assert session is not None
    assert session.connection is not None
    await until_unread(session.connection)


@linux_only
async def test_reply_in_time_is_a_success_although_it_is_read_after_the_deadline(server: FakeServer) -> None:
    """The socket is read before a probe times out, and the kernel timestamp decides."""
    timeout = BLOCKED
    while True:
        watched = on_real_clocks(server.url, timeout=timeout)
        await watched.probe_due()
        await watched.ended(1)
        began = time.monotonic()
        await watched.probe_due()
        await wait_for_unread_reply(watched)
        if watched.observer.reasons == ["ok"] and time.monotonic() - began < timeout:
            break
        await watched.close()
        timeout *= 2  # a busy machine delayed the reply itself
    block(2 * timeout)
    watched.prober.probe_due(time.monotonic())
    assert watched.observer.reasons[1] == "ok"
    assert metric_value(watched.metrics, "redis_late_replies_total") == 0
    await watched.close()


@linux_only
async def test_unread_reply_is_read_before_the_next_ping_is_sent(server: FakeServer) -> None:
    """Unread replies would merge and share one timestamp: the next ping would seem to take no time."""
    watched = on_real_clocks(server.url)
    await watched.probe_due()
    await watched.ended(1)
    began = time.monotonic()
    await watched.probe_due()
    await wait_for_unread_reply(watched)
    arrived = time.monotonic()
    block()
    watched.prober.probe_due(time.monotonic())
    assert len(watched.observer.results) == 2, "read by the next probe itself, not by the event loop"
    assert (watched.observer.results[-1].seconds or 0) < arrived - began + BLOCKED / 2
    await watched.ended(3)
    assert watched.observer.reasons == ["ok"] * 3
    await watched.close()


async def test_unix_socket_is_timed_by_the_user_clock(tmp_path: Path) -> None:
    async with FakeServer(unix_path=tmp_path / "s") as server:
        watched = on_real_clocks(server.url)
        await watched.probe_due()
        await watched.ended(1)
        assert watched.observer.reasons == ["ok"]
        assert by_clock(watched) == {"kernel": 0, "user": 1}
        assert metric_value(watched.metrics, "redis_exporter_probe_overhead_seconds_count") == 0
        await watched.close()


class PreemptedSocket:
    """A socket whose ``send`` takes long, before the data leaves and after it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        #: When the data really left: between these two times of the wall clock.
        self.left = (0, 0)

    def send(self, data: bytes) -> int:
        block()
        before = time.time_ns()
        count = self._sock.send(data)
        self.left = (before, time.time_ns())
        block()
        return count

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


@linux_only
async def test_preempted_send_is_certain_and_no_latency_by_the_kernel(server: FakeServer) -> None:
    watched = on_real_clocks(server.url)
    await watched.probe_due()
    await watched.ended(1)
    connection = watched.prober.connection
    assert connection is not None
    if connection._send_timestamps is None:
        pytest.skip("this kernel gives no timestamps of sends")
    preempted = PreemptedSocket(connection._sock)
    connection._sock = preempted  # type: ignore[assignment]
    await watched.probe_due()
    await watched.ended(2)
    sent = watched.observer.results[-1].sent
    assert sent is not None
    assert sent.is_stamped
    assert preempted.left[0] <= sent.at_ns <= preempted.left[1]
    assert metric_value(watched.metrics, "redis_exporter_probe_uncertain_sends_total") == 0
    await watched.close()


class ManualProbeConnection:
    """A probe connection whose replies come from the test."""

    def __init__(self, watched: TargetHarness) -> None:
        self.watched = watched
        self.incoming: list[Received] = []
        #: Seconds that each send takes.
        self.took = 0.0
        self.certificate_expires = None
        self.numbered = False
        self.serves_until = math.inf
        #: What the kernel knows about it, for the next readings.
        self.info: TcpInfo | None = None

    def tcp_info(self) -> TcpInfo | None:
        return self.info

    def ping(self) -> SentPing:
        clocks = self.watched.prober._wall_clock
        return SentPing(clocks.now(), clocks.wall(), self.took)

    def receive(self) -> Received | None:
        return self.incoming.pop(0) if self.incoming else None

    def parse_error(self, line: bytes) -> None:
        assert line == b"+PONG"

    def parse_sequence(self, _line: bytes) -> None:
        return None

    def listen(self, readable: object) -> None:
        pass

    def close(self) -> None:
        pass


async def harness_with_manual_connection() -> tuple[TargetHarness, ManualProbeConnection]:
    """Return a target with one ping in flight, and its connection."""
    watched = TargetHarness("redis://127.0.0.1:1", breaker=PATIENT)
    connection = ManualProbeConnection(watched)

    async def connect(_on_phase: object, *, is_spare: bool) -> ManualProbeConnection:
        return connection

    watched.client.connect_probe = connect  # type: ignore[method-assign,assignment]
    await watched.probe_due()
    await eventually(lambda: watched.prober._inflight.outstanding == 1)
    return watched, connection


async def reply(
    watched: TargetHarness, connection: ManualProbeConnection, *, stamp_after: float, read_after: float, count: int = 1
) -> None:
    """Let replies arrive after ``stamp_after`` seconds, and be read after ``read_after`` seconds."""
    kernel_timestamp = watched.prober._wall_clock.wall() + round(stamp_after * 1e9)
    watched.clock.advance(read_after)
    clocks = watched.prober._wall_clock
    connection.incoming.append(Received([b"+PONG"] * count, clocks.now(), clocks.wall(), kernel_timestamp))
    assert watched.prober._session is not None
    watched.prober._session.read()


async def test_histogram_gets_the_kernels_time_and_overhead_the_rest() -> None:
    watched, connection = await harness_with_manual_connection()
    await reply(watched, connection, stamp_after=0.002, read_after=0.05)
    assert watched.observer.results[-1].seconds == pytest.approx(0.002)
    assert metric_value(watched.metrics, "redis_exporter_probe_overhead_seconds_sum") == pytest.approx(0.048)
    await watched.close()


async def test_stall_is_one_sample_per_probe_with_the_timestamp_of_its_end() -> None:
    """The replies to ten pings arrive together, and each has waited since its own ping."""
    watched, connection = await harness_with_manual_connection()
    for _ in range(9):
        watched.clock.advance(0.05)
        await watched.probe_due()
    await reply(watched, connection, stamp_after=0.1, read_after=0.3, count=10)
    waits = [outcome.seconds for outcome in watched.observer.results]
    assert waits == pytest.approx([0.1 + 0.05 * (9 - number) for number in range(10)])
    await watched.close()


async def test_step_of_the_wall_clock_during_a_ping_is_no_latency() -> None:
    watched, connection = await harness_with_manual_connection()
    clocks, step = watched.prober._wall_clock, 3600 * 10**9
    before = clocks.wall
    clocks.wall = lambda: before() + step
    await reply(watched, connection, stamp_after=0.002, read_after=0.05)
    assert watched.observer.results[-1].seconds == pytest.approx(0.05)
    assert by_clock(watched) == {"kernel": 0, "user": 1}
    await watched.probe_due()
    await reply(watched, connection, stamp_after=0.002, read_after=0.05)
    assert by_clock(watched) == {"kernel": 1, "user": 1}, "the next one is sent and received in one epoch"
    await watched.close()


async def test_timestamp_decides_whether_a_reply_is_in_time() -> None:
    watched, connection = await harness_with_manual_connection()
    await reply(watched, connection, stamp_after=0.999, read_after=2)
    await watched.probe_due()
    await reply(watched, connection, stamp_after=1.001, read_after=2)
    assert watched.observer.reasons == ["ok", "timeout"]
    assert metric_value(watched.metrics, "redis_last_late_reply_seconds") == pytest.approx(1.001)
    await watched.close()


async def test_preempted_send_is_counted_as_uncertain() -> None:
    watched, connection = await harness_with_manual_connection()
    assert metric_value(watched.metrics, "redis_exporter_probe_uncertain_sends_total") == 0
    connection.took = 0.004
    await watched.probe_due()
    assert metric_value(watched.metrics, "redis_exporter_probe_uncertain_sends_total") == 1
    await watched.close()
