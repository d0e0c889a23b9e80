"""Whose clock says when a reply came: on real clocks and real sockets, with a loop that is late."""

import asyncio
import select
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from redis_pulse.client import Received, SentPing
from redis_pulse.config import ProbeSettings
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually, metric_value
from tests.probe.test_prober import PATIENT

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel stamps on Linux only")
#: Seconds that our loop is blocked, by hand: far more than a reply takes on the loopback, less than a deadline.
BLOCKED = 0.1


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


def on_real_clocks(url: str, **probe: float) -> TargetHarness:
    return TargetHarness(url, clock=time.monotonic, wall=time.time_ns, breaker=PATIENT, probe=ProbeSettings(**probe))


def block(seconds: float = BLOCKED) -> None:
    """Let nothing else run, as a page that is much too slow would."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def by_clock(watched: TargetHarness) -> dict[str, float]:
    return {
        clock: metric_value(watched.instruments, "redis_probe_clock_total", clock=clock) for clock in ("kernel", "user")
    }


@linux_only
async def test_what_our_loop_is_late_by_is_taken_off_and_published(server: FakeServer) -> None:
    watched = on_real_clocks(server.url)
    await watched.probe_due()
    await watched.ended(1)
    await watched.probe_due()
    await server.arrived("PING", 2)
    await eventually(lambda: server.received[-1][0] == "PING")
    await asyncio.sleep(0)  # the server has answered; we are not there
    block()
    await watched.ended(2)
    seconds = watched.heard.outcomes[-1].seconds
    assert seconds is not None
    assert seconds < BLOCKED / 2
    assert by_clock(watched) == {"kernel": 2, "user": 0}
    assert metric_value(watched.instruments, "redis_exporter_probe_overhead_seconds_count") == 2
    await watched.close()


async def reply_lies_there(watched: TargetHarness) -> None:
    """Return when a reply has arrived that nobody has read: this task runs on before the loop tells of it."""
    session = watched.prober._session
    assert session is not None
    assert session.connection is not None
    async with asyncio.timeout(5):
        while not select.select([session.connection._sock], [], [], 0)[0]:
            await asyncio.sleep(0)


@linux_only
async def test_a_reply_that_came_in_time_is_a_success_although_we_came_after_the_deadline(server: FakeServer) -> None:
    """The socket is read before a slot is called timed out, and the stamp decides."""
    watched = on_real_clocks(server.url, timeout=BLOCKED / 2)
    await watched.probe_due()
    await watched.ended(1)
    await watched.probe_due()
    await reply_lies_there(watched)
    block()
    await watched.probe_due()
    await watched.ended(3)
    assert watched.heard.reasons == ["ok"] * 3
    assert metric_value(watched.instruments, "redis_late_replies_total") == 0
    await watched.close()


@linux_only
async def test_a_reply_that_lies_there_is_read_before_the_next_ping_leaves(server: FakeServer) -> None:
    """Left unread, it would merge with the next one and take its stamp: a ping of 100 ms that took none."""
    watched = on_real_clocks(server.url)
    await watched.probe_due()
    await watched.ended(1)
    await watched.probe_due()
    await reply_lies_there(watched)
    block()
    watched.prober.probe_due(time.monotonic())
    assert len(watched.heard.outcomes) == 2, "read by the slot itself, not by the loop"
    await watched.ended(3)
    assert max(outcome.seconds or 0 for outcome in watched.heard.outcomes) < BLOCKED / 2
    await watched.close()


async def test_a_unix_socket_is_timed_by_our_own_clock_and_says_so(tmp_path: Path) -> None:
    async with FakeServer(unix_path=tmp_path / "s") as server:
        watched = on_real_clocks(server.url)
        await watched.probe_due()
        await watched.ended(1)
        assert watched.heard.reasons == ["ok"]
        assert by_clock(watched) == {"kernel": 0, "user": 1}
        assert metric_value(watched.instruments, "redis_exporter_probe_overhead_seconds_count") == 0
        await watched.close()


class ManualProbeConnection:
    """A wire whose sends and arrivals are made by hand."""

    def __init__(self, watched: TargetHarness) -> None:
        self.watched = watched
        self.arrivals: list[Received] = []
        self.took = 0.0
        self.certificate_expires = None
        self.numbered = False

    def ping(self) -> SentPing:
        clocks = self.watched.prober._wall_clock
        return SentPing(clocks.now(), clocks.wall(), self.took)

    def receive(self) -> Received | None:
        return self.arrivals.pop(0) if self.arrivals else None

    def parse_error(self, line: bytes) -> None:
        assert line == b"+PONG"

    def parse_sequence(self, _line: bytes) -> None:
        return None

    def listen(self, readable: object) -> None:
        pass

    def close(self) -> None:
        pass


async def by_hand() -> tuple[TargetHarness, ManualProbeConnection]:
    """Make a target whose connection is in our hand."""
    watched = TargetHarness("redis://127.0.0.1:1", breaker=PATIENT)
    wire = ManualProbeConnection(watched)

    async def dial(_on_phase: object) -> ManualProbeConnection:
        return wire

    watched.client.connect_probe = dial  # type: ignore[method-assign,assignment]
    await watched.probe_due()
    await eventually(lambda: watched.prober._inflight.outstanding == 1)
    return watched, wire


async def answer(
    watched: TargetHarness, wire: ManualProbeConnection, *, stamp_after: float, read_after: float, count: int = 1
) -> None:
    """Let replies arrive, and be read later, seconds after now."""
    stamp = watched.prober._wall_clock.wall() + round(stamp_after * 1e9)
    watched.clock.advance(read_after)
    clocks = watched.prober._wall_clock
    wire.arrivals.append(Received([b"+PONG"] * count, clocks.now(), clocks.wall(), stamp))
    assert watched.prober._session is not None
    watched.prober._session.read()


async def test_the_histogram_gets_the_kernels_time_and_the_overhead_the_rest() -> None:
    watched, wire = await by_hand()
    await answer(watched, wire, stamp_after=0.002, read_after=0.05)
    assert watched.heard.outcomes[-1].seconds == pytest.approx(0.002)
    assert metric_value(watched.instruments, "redis_exporter_probe_overhead_seconds_sum") == pytest.approx(0.048)
    await watched.close()


async def test_a_stall_is_one_sample_for_each_slot_with_the_stamp_of_its_end() -> None:
    """Two seconds at 10 Hz: the replies arrive together, and each waited since its own ping."""
    watched, wire = await by_hand()
    for _ in range(9):
        watched.clock.advance(0.05)
        await watched.probe_due()
    await answer(watched, wire, stamp_after=0.1, read_after=0.3, count=10)
    waits = [outcome.seconds for outcome in watched.heard.outcomes]
    assert waits == pytest.approx([0.1 + 0.05 * (9 - number) for number in range(10)])
    await watched.close()


async def test_a_step_of_the_wall_clock_while_a_ping_flies_is_no_latency() -> None:
    watched, wire = await by_hand()
    clocks, step = watched.prober._wall_clock, 3600 * 10**9
    before = clocks.wall
    clocks.wall = lambda: before() + step
    await answer(watched, wire, stamp_after=0.002, read_after=0.05)
    assert watched.heard.outcomes[-1].seconds == pytest.approx(0.05)
    assert by_clock(watched) == {"kernel": 0, "user": 1}
    await watched.probe_due()
    await answer(watched, wire, stamp_after=0.002, read_after=0.05)
    assert by_clock(watched) == {"kernel": 1, "user": 1}, "the next one leaves and arrives in one epoch"
    await watched.close()


async def test_a_stamp_after_the_deadline_is_a_timeout_and_one_before_it_is_not() -> None:
    watched, wire = await by_hand()
    await answer(watched, wire, stamp_after=0.999, read_after=2)
    await watched.probe_due()
    await answer(watched, wire, stamp_after=1.001, read_after=2)
    assert watched.heard.reasons == ["ok", "timeout"]
    assert metric_value(watched.instruments, "redis_last_late_reply_seconds") == pytest.approx(1.001)
    await watched.close()


async def test_a_send_that_was_preempted_is_counted_as_uncertain() -> None:
    watched, wire = await by_hand()
    assert metric_value(watched.instruments, "redis_exporter_probe_uncertain_sends_total") == 0
    wire.took = 0.004
    await watched.probe_due()
    assert metric_value(watched.instruments, "redis_exporter_probe_uncertain_sends_total") == 1
    await watched.close()
