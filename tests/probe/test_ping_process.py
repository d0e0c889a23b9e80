"""The link to the real process with the pings: it starts, is replaced when it is lost, and ends."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from redis_pulse.pinger.messages import SENT, SKIPPED, WHOLE, PingReport
from redis_pulse.probe import PingProcess, ping_process
from tests.harness import eventually
from tests.pinger.test_child import connected_pair

pytestmark = pytest.mark.skipif(not hasattr(socket, "SCM_RIGHTS"), reason="needs Linux")


class Borrower:
    """Lends one connection, and records what becomes of it. The test plays the server."""

    def __init__(self) -> None:
        self.ours, self.server = connected_pair()
        self.reports: list[PingReport] = []
        self.returned: list[tuple[float, int]] = []
        self.lost: list[float] = []
        self.beats = 0

    def on_report(self, report: PingReport, _data: bytes) -> None:
        self.reports.append(report)
        if report.number == 13:
            raise ValueError("a mistake in this program")

    def on_beat(self, _known_until: float) -> None:
        self.beats += 1

    def on_returned(self, due: float, number: int) -> None:
        self.returned.append((due, number))

    def on_process_lost(self, due: float) -> None:
        self.lost.append(due)


class ProcessHarness:
    """A ``PingProcess`` and its borrower."""

    def __init__(self) -> None:
        self.restarts = self.lent = self.skipped = 0
        self.borrower = Borrower()
        self.process = self.make()

    def make(self, **changes: Any) -> PingProcess:
        def on_restart() -> None:
            self.restarts += 1

        def on_lent(count: int) -> None:
            self.lent = count

        def on_skipped(count: int) -> None:
            self.skipped += count

        return PingProcess(
            priority="off",
            clock=monotonic,
            on_restart=on_restart,
            on_lent=on_lent,
            on_skipped=on_skipped,
            **changes,
        )

    def try_lend(self, number: int = 1, late: float = 0.0) -> ping_process.Loan | None:
        descriptor = self.borrower.ours.fileno()
        return self.process.lend(self.borrower, descriptor, monotonic() - late, number, 0.05, is_numbered=True)

    async def lend(self, number: int = 1, late: float = 0.0) -> ping_process.Loan:
        found: list[ping_process.Loan] = []

        def try_it() -> bool:
            if not found and (loan := self.try_lend(number, late)) is not None:
                found.append(loan)
            return bool(found)

        await eventually(try_it, 30)
        return found[0]

    async def until(self, condition: Callable[[], object]) -> None:
        await eventually(lambda: bool(condition()), 30)

    async def close(self) -> None:
        await self.process.stop()
        self.borrower.ours.close()
        self.borrower.server.close()


@pytest.fixture
async def harness() -> AsyncIterator[ProcessHarness]:
    harness = ProcessHarness()
    yield harness
    await harness.close()


async def test_process_sends_the_pings_of_a_lent_connection(harness: ProcessHarness) -> None:
    assert harness.try_lend() is None, "it was lent before the process was ready"
    await harness.lend()
    assert harness.lent == 1
    assert harness.borrower.server.recv(100).startswith(b"*2\r\n$4\r\nPING\r\n$6\r\n000001\r\n")
    await harness.until(lambda: len(harness.borrower.reports) > 2)
    assert {report.kind for report in harness.borrower.reports} <= {SENT, WHOLE, SKIPPED}


async def test_recalled_connection_returns_with_its_next_moment(harness: ProcessHarness) -> None:
    loan = await harness.lend()
    await harness.until(lambda: harness.borrower.reports)
    harness.process.recall(loan)
    harness.process.recall(loan)
    await harness.until(lambda: harness.borrower.returned)
    ((due, number),) = harness.borrower.returned
    last = harness.borrower.reports[-1]
    assert due == pytest.approx(last.due + 0.05)
    assert number == last.number + 1
    assert harness.lent == 0


async def test_moments_that_the_process_skips_are_counted(harness: ProcessHarness) -> None:
    await harness.lend(late=1.0)
    await harness.until(lambda: harness.skipped)
    assert harness.skipped >= 18
    assert any(report.kind == SKIPPED for report in harness.borrower.reports)


async def test_beats_come_while_a_ping_waits(harness: ProcessHarness) -> None:
    loan = await harness.lend()
    harness.process.wait_for_reply(loan)
    await harness.until(lambda: harness.borrower.beats > 1)
    harness.process.stop_waiting(loan)
    beats = harness.borrower.beats
    reports = len(harness.borrower.reports)
    await harness.until(lambda: len(harness.borrower.reports) > reports + 2)
    assert harness.borrower.beats == beats


async def test_mistake_in_the_record_of_one_ping_does_not_stop_the_others(harness: ProcessHarness) -> None:
    await harness.lend(number=12)
    await harness.until(lambda: any(report.number == 15 for report in harness.borrower.reports))
    assert harness.restarts == 0


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
async def test_lost_process_gives_everything_back_and_is_replaced(
    harness: ProcessHarness, fault: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping_process, "MAX_SILENCE", 2.0)
    loan = await harness.lend()
    await harness.until(lambda: harness.borrower.reports)
    pid = harness.process.pid
    assert pid is not None
    os.kill(pid, fault)
    await harness.until(lambda: harness.borrower.lost)
    assert harness.borrower.lost == [loan.due]
    assert loan.due == pytest.approx(harness.borrower.reports[-1].due + 0.05)
    assert (harness.lent, harness.restarts) == (0, 1)
    assert harness.try_lend() is None, "another process was started at once"
    await harness.lend()
    assert harness.process.pid not in (None, pid)
    await harness.until(lambda: not Path(f"/proc/{pid}").exists())


async def test_forgotten_connection_has_no_further_reports(harness: ProcessHarness) -> None:
    loan = await harness.lend()
    harness.process.forget(loan)
    count = len(harness.borrower.reports)
    await asyncio.sleep(0.2)
    assert (len(harness.borrower.reports), harness.borrower.returned, harness.lent) == (count, [], 0)


async def test_stop_ends_the_process(harness: ProcessHarness) -> None:
    await harness.lend()
    pid = harness.process.pid
    await harness.process.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert harness.try_lend() is None
    assert harness.process.pid is None


async def test_interpreter_that_does_not_start_leaves_the_pings_here(harness: ProcessHarness) -> None:
    harness.process = harness.make(python=["/does/not/exist"])
    assert harness.try_lend() is None
    assert harness.process.pid is None


async def test_process_that_ends_at_once_is_not_started_again_and_again(harness: ProcessHarness) -> None:
    harness.process = harness.make(python=["/bin/false"])
    assert harness.try_lend() is None
    await harness.until(lambda: harness.restarts == 1)
    for _ in range(20):
        assert harness.try_lend() is None
        await asyncio.sleep(0.01)
    assert harness.restarts == 1
