"""A prober records the pings of another process as its own, and takes the connection back in time."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import trustme

from redis_pulse.config import ProbeSettings, TlsSettings
from redis_pulse.errors import OperationTimeoutError
from redis_pulse.pinger.messages import DATA, LOST, SENT, SKIPPED, WHOLE, PingReport
from redis_pulse.probe import LendingProber, PingProcess
from redis_pulse.probe.lending_prober import PINGS_HERE
from redis_pulse.probe.ping_process import Loan, PingBorrower
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually, metric_value


class ManualProcess:
    """Has the interface of ``PingProcess``. The test decides what it reports."""

    def __init__(self) -> None:
        self.has_room = True
        self.loan: Loan | None = None
        self.number = 0
        self.recalled: list[Loan] = []
        self.forgotten: list[Loan] = []
        self.waiting: set[int] = set()

    def lend(
        self, borrower: PingBorrower, _descriptor: int, first: float, number: int, interval: float, **_: Any
    ) -> Loan | None:
        if not self.has_room:
            return None
        self.number = number
        self.loan = Loan(1, borrower, first, interval)
        return self.loan

    def recall(self, loan: Loan) -> None:
        if not loan.is_recalled:
            loan.is_recalled = True
            self.recalled.append(loan)

    def forget(self, loan: Loan) -> None:
        self.forgotten.append(loan)

    def wait_for_reply(self, loan: Loan) -> None:
        self.waiting.add(loan.key)

    def stop_waiting(self, loan: Loan) -> None:
        self.waiting.discard(loan.key)


class ManualSchedule:
    """Records what becomes of the moments of a target."""

    def __init__(self) -> None:
        self.resumed: list[float] = []
        self.is_paused = False

    def pause(self) -> None:
        self.is_paused = True

    def resume(self, moment: float) -> None:
        self.is_paused = False
        self.resumed.append(moment)


class LendingHarness(TargetHarness):
    """A target whose prober lends its connection to a ``ManualProcess``."""

    prober: LendingProber

    def __init__(self, url: str, **changes: Any) -> None:
        super().__init__(url, probe=ProbeSettings(interval=1, timeout=2), **changes)
        self.process, self.schedule = ManualProcess(), ManualSchedule()
        clocks = self.prober._wall_clock
        self.prober = LendingProber(
            self.client,
            self.breaker,
            self.target_metrics,
            self.observer,
            wall_clock=clocks,
            process=cast("PingProcess", self.process),
        )
        self.prober.schedule = self.schedule

    async def lend(self) -> None:
        """Let a ping be answered, and the next one be due."""
        await self.probes_due(1)
        await self.ended(1)
        await self.probes_due(1)
        assert self.prober.is_lent
        assert self.schedule.is_paused

    def report(self, kind: int, took: float = 0.25, data: bytes = b"", **changes: Any) -> None:
        """PingReport something at the present time. A ping is due now and answered after ``took``."""
        now = self.clock()
        report = PingReport(1, kind, 0, len(data), self.process.number, now, now, round(now * 1e9), 0.0, now + took)
        self.prober.on_report(report._replace(read_ns=round((now + took) * 1e9), **changes), data)
        if kind in (WHOLE, SENT):
            self.process.number += 1

    @property
    def skipped(self) -> float:
        return self.failures("skipped")

    def assert_balanced(self) -> None:
        assert self.prober.balanced
        metric_value(self.metrics, "redis_operations_in_flight", operation="ping")
        assert metric_value(self.metrics, "redis_exporter_accounting_errors_total") == 0


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
async def lent(server: FakeServer) -> AsyncIterator[LendingHarness]:
    harness = LendingHarness(server.url)
    await harness.lend()
    yield harness
    harness.assert_balanced()
    await harness.close()


async def test_ping_of_the_process_counts_like_an_own_one(lent: LendingHarness, server: FakeServer) -> None:
    sent = server.received.count(("PING",))
    for _ in range(3):
        lent.report(WHOLE)
        lent.clock.advance(1)
    assert lent.total() == 1 + 3
    assert [result.seconds for result in lent.observer.results[1:]] == pytest.approx([0.25] * 3)
    assert metric_value(lent.metrics, "redis_up") == 1
    assert server.received.count(("PING",)) == sent, "this process has sent a ping too"


async def test_reply_that_comes_later_ends_its_ping(lent: LendingHarness) -> None:
    number = lent.process.number
    lent.report(SENT)
    assert (lent.prober.in_flight, lent.process.waiting) == (1, {1})
    assert lent.prober.waiting_since == lent.clock()
    lent.report(DATA, data=b"$6\r\n%06d\r\n" % number, took=0.75)
    assert lent.prober.in_flight == 0
    assert lent.observer.results[-1].seconds == pytest.approx(0.75)
    lent.prober.on_beat(lent.clock())
    assert not lent.process.waiting


async def test_ping_that_waits_for_long_recalls_the_connection_and_times_out_here(lent: LendingHarness) -> None:
    due = lent.clock()
    lent.report(SENT)
    lent.prober.on_beat(due + 0.05)
    assert not lent.process.recalled
    lent.prober.on_beat(due + 1.01)
    assert lent.process.recalled == [lent.process.loan]
    lent.prober.on_returned(due + 1, lent.process.number)
    assert lent.schedule.resumed == [due + 1]
    lent.clock.advance(2.5)
    await lent.probe_due()
    assert lent.failures("timeout") == 1
    assert isinstance(lent.observer.results[-1].error, OperationTimeoutError)


async def test_returned_connection_is_used_with_the_next_number(lent: LendingHarness, server: FakeServer) -> None:
    lent.report(WHOLE)
    lent.prober.recall()
    lent.prober.on_returned(lent.clock() + 1, lent.process.number)
    lent.process.has_room = False
    connection = lent.prober.connection
    await lent.probes_due(1)
    await lent.ended(3)
    assert server.received[-1] == ("PING", f"{lent.process.number:06d}")
    assert lent.prober.connection is connection
    assert lent.observer.reasons == ["ok"] * 3


async def test_connection_is_lent_again_after_some_pings_here(lent: LendingHarness) -> None:
    lent.prober.recall()
    lent.prober.on_returned(lent.clock() + 1, lent.process.number)
    for count in range(PINGS_HERE):
        assert not lent.prober.is_lent
        await lent.probes_due(1)
        await lent.ended(2 + count)
    await lent.probes_due(1)
    assert lent.prober.is_lent


async def test_breaker_that_opens_recalls_the_connection(lent: LendingHarness) -> None:
    for _ in range(lent.target.breaker.failure_threshold):
        number = lent.process.number
        lent.report(SENT)
        lent.report(DATA, data=b"-LOADING Redis is loading the dataset in memory\r\n")
        assert number + 1 == lent.process.number
        lent.clock.advance(1)
    assert lent.breaker.state == "open"
    assert lent.process.recalled
    assert lent.failures("loading") == lent.target.breaker.failure_threshold


async def test_skipped_moments_are_counted(lent: LendingHarness) -> None:
    lent.report(SKIPPED, number=4)
    assert (lent.skipped, lent.total()) == (4, 1 + 4)


@pytest.mark.parametrize(("number", "reason"), [(0, "reset"), (110, "timeout"), (113, "unreachable"), (11, "timeout")])
async def test_lost_connection_has_the_reason_of_the_kernel(lent: LendingHarness, number: int, reason: str) -> None:
    lent.report(SENT)
    lent.report(LOST, number=number)
    assert lent.observer.reasons[-1] == reason
    assert lent.process.recalled
    lent.prober.on_returned(lent.clock() + 1, 7)
    await lent.probes_due(1)
    await lent.ended(3)
    assert lent.observer.reasons[-1] == "ok"


async def test_reply_that_is_none_closes_the_connection(lent: LendingHarness) -> None:
    lent.report(SENT)
    lent.report(DATA, data=b"HTTP/1.1 400 Bad Request\r\n")
    assert lent.observer.reasons[-1] == "protocol"
    assert lent.process.recalled
    lent.report(SENT)  # sent before the process was told
    assert lent.prober.in_flight == 0
    assert lent.observer.reasons[-1] == "protocol"


async def test_lost_process_ends_its_pings_as_skipped_and_the_target_is_not_down(lent: LendingHarness) -> None:
    due = lent.clock()
    lent.report(SENT)
    lent.prober.on_process_lost(due + 1)
    assert (lent.skipped, lent.prober.in_flight) == (1, 0)
    assert lent.schedule.resumed == [due + 1]
    assert metric_value(lent.metrics, "redis_up") == 1
    lent.process.has_room = False
    await lent.probes_due(1)
    await lent.ended(2)
    assert lent.observer.reasons == ["ok", "ok"]


async def test_process_without_room_leaves_the_ping_here(server: FakeServer) -> None:
    harness = LendingHarness(server.url)
    harness.process.has_room = False
    for count in range(1, 4):
        await harness.probes_due(1)
        await harness.ended(count)
    assert not harness.prober.is_lent
    assert harness.observer.reasons == ["ok"] * 3
    await harness.close()


async def test_drain_waits_until_the_connection_is_back(lent: LendingHarness) -> None:
    task = asyncio.ensure_future(lent.prober.drain())
    await asyncio.sleep(0)
    assert lent.process.recalled
    assert not task.done()
    lent.report(WHOLE)  # sent before the process was told
    lent.prober.on_returned(lent.clock() + 1, lent.process.number)
    await task
    assert lent.total() == 2


async def test_successor_recalls_the_connection_and_all_pings_are_counted(lent: LendingHarness) -> None:
    before = lent.prober
    clocks = before._wall_clock
    lent.prober = LendingProber(
        lent.client, lent.breaker, lent.target_metrics, lent.observer,
        wall_clock=clocks, process=cast("PingProcess", lent.process), predecessor=before,
    )  # fmt: skip
    lent.prober.schedule = lent.schedule
    assert lent.process.recalled
    before.on_report(PingReport(1, SENT, 0, 0, 5, lent.clock(), lent.clock(), 0, 0.0), b"")
    assert lent.prober.draining == 1
    lent.assert_balanced()
    before.on_returned(lent.clock() + 1, 6)
    await before.stop()


async def test_stop_forgets_the_connection(lent: LendingHarness) -> None:
    await lent.prober.stop()
    assert lent.process.forgotten == [lent.process.loan]
    assert not lent.prober.is_lent


async def test_connection_with_tls_is_never_lent(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with FakeServer(tls=context) as server:
        harness = LendingHarness(server.url, tls=TlsSettings(ca_file=tmp_path / "ca.pem"))
        for count in range(1, 4):
            await harness.probes_due(1)
            await harness.ended(count)
        assert not harness.prober.is_lent
        assert harness.observer.reasons == ["ok"] * 3
        await harness.close()


async def test_unix_socket_is_lent_too(tmp_path: Path) -> None:
    async with FakeServer(unix_path=tmp_path / "s") as server:
        harness = LendingHarness(server.url)
        await harness.lend()
        connection = harness.prober.connection
        assert connection is not None
        assert connection._sock.family == socket.AF_UNIX
        await harness.close()
        await eventually(lambda: not harness.prober.is_lent)
