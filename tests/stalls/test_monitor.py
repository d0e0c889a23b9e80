"""One target under watch: a stall becomes one record, with the evidence of its time, whatever the server does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from redis_pulse.commands import Args
from redis_pulse.config import StallSettings
from redis_pulse.errors import ConnectionResetByTargetError, PermissionDeniedError
from redis_pulse.stalls import EnquirySlots, PingOutcome, StallMonitor, StallRecord, StallRegistry, Verdict
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock
from tests.harness import eventually, metric_value, target_settings


def info(run_id: str = "a", cpu: float = 1.0) -> bytes:
    return f"# Server\r\nrun_id:{run_id}\r\n# CPU\r\nused_cpu_user:{cpu}\r\nused_cpu_sys:0.0\r\n".encode()


class MonitorHarness:
    """A monitor on a clock that the test advances, and a server that answers when the test lets it."""

    def __init__(self, slots: EnquirySlots | None = None, **settings: Any) -> None:
        self.clock = ManualClock()
        self.replies: dict[str, Any] = {"INFO": info(), "SLOWLOG": [], "LATENCY": [], "CONFIG": []}
        self.sent: list[Args] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.registry = StallRegistry()
        self.metrics = ExporterMetrics("test")
        self.logged: list[tuple[StallRecord, Verdict]] = []
        target = target_settings("redis://127.0.0.1:1", stalls=StallSettings(**settings))
        target_metrics = self.metrics.add_target(target.name, [], buckets=(1.0,), address="a", labels={})
        self.name = target.name
        self.monitor = StallMonitor(
            target,
            self.ask,
            self.registry,
            slots or EnquirySlots(),
            target_metrics,
            lambda record, verdict: self.logged.append((record, verdict)),
            clock=self.clock,
            wall=lambda: self.clock() + 1_000_000,
        )

    async def ask(self, commands: Sequence[Args], within: float) -> list[Any]:
        assert within > 0
        self.sent += commands
        if self.failures:
            raise self.failures.pop(0)
        await self.gate.wait()
        return [self.replies[str(args[0])] for args in commands]

    def reply(self, due: float, seconds: float) -> None:
        self.monitor.on_outcome(PingOutcome(due, due + seconds, seconds))

    def fail(self, due: float, reason: str) -> None:
        self.monitor.on_outcome(PingOutcome(due, self.clock(), None, reason))

    async def snapshot(self) -> None:
        self.reply(self.clock(), 0.001)
        count = len(self.sent)
        self.monitor.snapshot_due(self.clock())
        await eventually(lambda: len(self.sent) > count)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def ended(self) -> StallRecord:
        await eventually(lambda: bool(self.logged))
        return self.logged[-1][0]

    @property
    def records(self) -> list[StallRecord]:
        return list(self.registry.newest())


@pytest.fixture
async def watched() -> AsyncIterator[MonitorHarness]:
    harness = MonitorHarness()
    yield harness
    await harness.monitor.close()


async def test_stall_is_visible_while_it_lasts_and_then_one_record(watched: MonitorHarness) -> None:
    await watched.snapshot()
    watched.gate.clear()
    due = watched.clock.advance(1.0)
    watched.clock.advance(0.1)
    watched.monitor.on_overdue(due)
    (running,) = watched.records
    assert (running.ended, running.cause, running.seconds) == (None, None, pytest.approx(0.1))
    assert metric_value(watched.metrics, "redis_stall_in_progress") == 1
    watched.clock.advance(0.9)
    watched.replies |= {"INFO": info(cpu=2.0), "SLOWLOG": [[0, 1_001_002, 900_000, [b"KEYS", b"secret"]]]}
    watched.gate.set()
    watched.reply(due, 0.9)
    watched.reply(watched.clock(), 0.001)
    record = await watched.ended()
    assert watched.records == [record]
    assert (record.cause, record.seconds, record.slow) == ("command", 0.9, 1)
    assert "secret" not in str(record.to_plain())
    assert metric_value(watched.metrics, "redis_stall_in_progress") == 0
    assert metric_value(watched.metrics, "redis_stalls_total", cause="command") == 1
    assert metric_value(watched.metrics, "redis_stall_seconds_total", cause="command") == 0.9
    assert metric_value(watched.metrics, "redis_stall_evidence_available", source="slowlog") == 1


async def test_questions_outlive_failed_pings(watched: MonitorHarness) -> None:
    """A failed ping must not cancel them, because the server answers when it runs again."""
    watched.gate.clear()
    due = watched.clock()
    watched.clock.advance(0.1)
    watched.monitor.on_overdue(due)
    await eventually(lambda: bool(watched.sent))
    watched.clock.advance(0.9)
    watched.fail(due, "timeout")
    watched.fail(due + 1, "timeout")
    watched.gate.set()
    watched.reply(watched.clock.advance(2.0), 0.001)
    record = await watched.ended()
    assert '"info"' in record.evidence
    assert (record.timeouts, record.cause) != (0, None)


async def test_first_connection_after_a_restart_is_queried(watched: MonitorHarness) -> None:
    await watched.snapshot()
    due = watched.clock.advance(1.0)
    watched.clock.advance(0.2)
    watched.failures.append(ConnectionResetByTargetError("closed by the server"))
    watched.monitor.on_overdue(due)
    watched.fail(due, "reset")
    watched.fail(due + 1, "refused")
    await asyncio.sleep(0.3)
    asked = len(watched.sent)
    await asyncio.sleep(0.3)
    assert len(watched.sent) == asked, "nothing is sent while the server is away"
    watched.replies["INFO"] = info(run_id="b")
    watched.reply(watched.clock.advance(2.0), 0.001)
    record = await watched.ended()
    assert record.cause == "restart"


async def test_denied_commands_are_missing_evidence(watched: MonitorHarness) -> None:
    watched.replies |= {"SLOWLOG": PermissionDeniedError("NOPERM"), "COMMANDLOG": PermissionDeniedError("NOPERM")}
    watched.reply(watched.clock(), 0.5)
    watched.reply(watched.clock.advance(1.0), 0.001)
    record = await watched.ended()
    assert '"slowlog":"denied"' in record.evidence
    assert metric_value(watched.metrics, "redis_stall_evidence_available", source="slowlog") == 0


async def test_full_slots_are_missing_evidence_and_no_delay() -> None:
    watched = MonitorHarness(EnquirySlots(0))
    watched.reply(watched.clock(), 0.5)
    watched.reply(watched.clock.advance(1.0), 0.001)
    assert '"enquiry":"too many at once"' in (await watched.ended()).evidence
    assert watched.sent == []
    await watched.monitor.close()


async def test_enquiry_can_be_switched_off() -> None:
    watched = MonitorHarness(enquire=False)
    watched.reply(watched.clock(), 0.5)
    watched.reply(watched.clock.advance(1.0), 0.001)
    assert (await watched.ended()).cause == "unknown"
    assert watched.sent == []
    await watched.monitor.close()


async def test_arguments_are_shown_only_by_request() -> None:
    watched = MonitorHarness(show_commands=True)
    watched.replies["SLOWLOG"] = [[0, 1_001_000, 900_000, [b"KEYS", b"cart:*"]]]
    watched.reply(watched.clock(), 0.9)
    watched.reply(watched.clock.advance(1.0), 0.001)
    assert (await watched.ended()).to_plain()["commands"] == ["KEYS cart:*"]
    await watched.monitor.close()


async def test_own_delay_leaves_no_stall(watched: MonitorHarness) -> None:
    due = watched.clock()
    watched.clock.advance(0.5)
    watched.monitor.on_overdue(due)
    assert len(watched.records) == 1
    watched.reply(due, 0.001)
    assert watched.records == []


async def test_server_is_not_read_while_it_stalls_or_is_down(watched: MonitorHarness) -> None:
    watched.monitor.snapshot_due(0.0)
    watched.reply(watched.clock(), 0.5)
    asked = len(watched.sent)
    watched.monitor.snapshot_due(1.0)
    watched.fail(watched.clock(), "refused")
    watched.monitor.snapshot_due(2.0)
    assert len(watched.sent) == asked


async def test_target_that_is_removed_during_a_stall_leaves_a_record() -> None:
    watched = MonitorHarness()
    watched.gate.clear()
    watched.monitor.on_overdue(watched.clock())
    watched.clock.advance(3.0)
    await watched.monitor.close()
    (record,) = watched.records
    assert record.ended is not None
    assert record.cause == "unknown"


async def test_stall_without_end_is_one_record(watched: MonitorHarness) -> None:
    watched.gate.clear()
    for _ in range(200):
        due = watched.clock.advance(1.0)
        watched.monitor.on_overdue(due - 0.1)
        watched.fail(due - 1.0, "timeout")
    (record,) = watched.records
    assert record.timeouts == 200
