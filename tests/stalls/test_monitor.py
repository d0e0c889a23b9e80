"""One target under watch: a stall becomes one record, with the evidence of its time, whatever the server does."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_pulse.client import ProbeConnection
from redis_pulse.commands import Args
from redis_pulse.config import StallSettings
from redis_pulse.errors import ConnectionResetByTargetError, PermissionDeniedError
from redis_pulse.metric import SlowCommand, SlowCommands
from redis_pulse.stalls import EnquirySlots, PingOutcome, StallMonitor, StallRecord, StallRegistry, Verdict, monitor
from redis_pulse.stalls.causes import CAUSES
from redis_pulse.stalls.records import MAX_RECORD_BYTES
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.telemetry.series import SECONDS_AT_ZERO
from tests.fakes import ManualClock
from tests.harness import eventually, metric_value, target_settings


def info(run_id: str = "a", cpu: float = 1.0) -> bytes:
    return f"# Server\r\nrun_id:{run_id}\r\n# CPU\r\nused_cpu_user:{cpu}\r\nused_cpu_sys:0.0\r\n".encode()


class MonitorHarness:
    """A monitor on a clock that the test advances, and a server that answers when the test lets it."""

    def __init__(self, slots: EnquirySlots | None = None, url: str = "redis://127.0.0.1:1", **settings: Any) -> None:
        self.clock = ManualClock()
        self.replies: dict[str, Any] = {"INFO": info(), "SLOWLOG": [], "LATENCY": [], "CONFIG": []}
        self.sent: list[Args] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.registry = StallRegistry()
        self.metrics = ExporterMetrics("test")
        self.logged: list[tuple[StallRecord, Verdict]] = []
        target = target_settings(url, stalls=StallSettings(**settings))
        target_metrics = self.metrics.add_target(
            target.name, [], buckets=(1.0,), address="a", labels={}, clock=self.clock
        )
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
    assert metric_value(watched.metrics, "redis_stalls_total", cause="command") == 0
    assert metric_value(watched.metrics, "redis_stall_last_seconds", cause="command") == 0.9
    watched.clock.advance(SECONDS_AT_ZERO)
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
    await eventually(lambda: not watched.failures)
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
    refused: list[None] = []
    watched = MonitorHarness(EnquirySlots(0, on_refused=lambda: refused.append(None)))
    watched.reply(watched.clock(), 0.5)
    watched.reply(watched.clock.advance(1.0), 0.001)
    record = await watched.ended()
    assert '"enquiry":"too many at once"' in record.evidence
    assert record.cause == "unknown"
    assert (watched.sent, len(refused)) == ([], 1)
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


async def test_snapshot_needs_no_task_if_a_connection_is_idle(watched: MonitorHarness) -> None:
    """One at a time, and none without replies, which the pings explain."""
    sent: list[Any] = []

    def glance(commands: Sequence[Args], _within: float, on_end: Any) -> bool:
        sent.append((commands, on_end))
        return True

    watched.monitor.glance = glance
    watched.reply(watched.clock(), 0.001)
    watched.monitor.snapshot_due(0.0)
    watched.monitor.snapshot_due(0.0)
    ((commands, on_end),) = sent
    watched.clock.advance(0.01)
    on_end([info() for _ in commands])
    assert watched.monitor._history.newest_at == watched.clock()
    watched.clock.advance(1.0)
    watched.monitor.snapshot_due(0.0)
    sent[1][1](None)
    assert watched.monitor._history.newest_at == watched.clock() - 1.0
    watched.monitor.snapshot_due(0.0)
    assert len(sent) == 3
    assert watched.sent == []
    await watched.monitor.close()
    sent[2][1](None)


@pytest.mark.parametrize(("moves", "cause"), [(False, "unknown"), (True, "restart")])
async def test_target_that_is_removed_or_moves_during_a_stall_has_a_record(moves: bool, cause: str) -> None:
    watched = MonitorHarness()
    watched.gate.clear()
    watched.monitor.on_overdue(watched.clock())
    watched.clock.advance(3.0)
    if moves:
        watched.monitor.target_moves()
    await watched.monitor.close()
    (record,) = watched.records
    assert record.ended is not None
    assert record.cause == cause
    assert record.verdict is not None
    assert ("moved to another server" if moves else "was removed") in record.verdict.why


async def test_stall_without_end_is_one_record(watched: MonitorHarness) -> None:
    watched.gate.clear()
    for _ in range(200):
        due = watched.clock.advance(1.0)
        watched.monitor.on_overdue(due - 0.1)
        watched.fail(due - 1.0, "timeout")
    (record,) = watched.records
    assert record.timeouts == 200


async def test_reply_of_a_poll_is_evidence_if_the_enquiry_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The poll was in flight when the server hung, so the server answers it first."""
    monkeypatch.setattr(monitor, "AFTER_STALL", 0.05)
    watched = MonitorHarness()
    await watched.snapshot()
    watched.clock.advance(0.5)
    watched.gate.clear()
    watched.failures.append(ConnectionResetByTargetError("closed by the server"))
    assert not watched.monitor.is_examining
    watched.reply(watched.clock(), 0.5)
    assert watched.monitor.is_examining
    watched.clock.advance(0.6)
    watched.monitor.on_replies([("INFO", "all")], [info(cpu=2.0) + b"cmdstat_get:calls=1,usec=1\r\n"])
    watched.reply(watched.clock.advance(0.4), 0.001)
    evidence = json.loads((await watched.ended()).evidence)
    assert evidence["after"]["info"]["used_cpu_user"] == "2.0"
    assert not watched.monitor.is_examining
    await watched.monitor.close()


class WaitingProber:
    """A prober with a ping that waits, on a connection without TCP_INFO."""

    waiting_since = newest_send = 1000.0
    connection: ProbeConnection | None = None


async def test_unix_socket_has_no_tcp_info() -> None:
    watched = MonitorHarness(url="unix:///run/redis.sock")
    watched.monitor.prober = WaitingProber()
    watched.monitor.on_overdue(watched.clock())
    watched.reply(watched.clock(), 0.5)
    watched.reply(watched.clock.advance(1.0), 0.001)
    assert json.loads((await watched.ended()).evidence)["missing"]["tcp_info"] == "unix socket"
    await watched.monitor.close()


async def test_slow_command_between_two_pings_is_counted_apart(watched: MonitorHarness) -> None:
    for _ in range(2):
        await watched.snapshot()
        watched.clock.advance(1.0)
    watched.reply(watched.clock(), 0.001)
    watched.clock.advance(1.5)
    later = watched.monitor.later
    later.slow_commands(SlowCommands((SlowCommand("keys", 0.5, "", 3, 1.2),), 0))
    later.polled()
    assert watched.records == [], "the CPU time of that moment is not known yet"
    watched.clock.advance(1.0)
    watched.replies["INFO"] = info(cpu=1.6)
    await watched.snapshot()
    await eventually(lambda: bool(watched.records))
    (record,) = watched.records
    assert (record.seen, record.cause, record.seconds) == ("later", "command", 0.5)
    assert record.to_plain()["seen"] == "later"
    assert metric_value(watched.metrics, "redis_stalls_later_total", cause="command") == 0, "the first page has a 0"
    assert metric_value(watched.metrics, "redis_stall_later_seconds_total", cause="command") == 0
    watched.clock.advance(SECONDS_AT_ZERO)
    assert metric_value(watched.metrics, "redis_stalls_later_total", cause="command") == 1
    assert metric_value(watched.metrics, "redis_stall_later_seconds_total", cause="command") == 0.5
    assert metric_value(watched.metrics, "redis_stalls_total", cause="command") == 0
    assert [one.seen for one, _ in watched.logged] == ["later"]


async def test_slow_command_during_a_stall_is_counted_once(watched: MonitorHarness) -> None:
    due = watched.clock()
    watched.reply(due, 0.5)
    watched.reply(watched.clock.advance(1.0), 0.001)
    await watched.ended()
    watched.clock.advance(10.0)
    watched.monitor.later.slow_commands(SlowCommands((SlowCommand("keys", 0.5, "", 3, 10.7),), 0))
    watched.monitor.later.polled()
    watched.clock.advance(10.0)
    watched.monitor.later.polled()
    assert len(watched.records) == 1


async def test_flood_of_slow_commands_is_counted_and_few_are_kept(watched: MonitorHarness) -> None:
    commands = tuple(SlowCommand("keys", 0.2, "", number, 5.0) for number in range(1000))
    watched.monitor.later.slow_commands(SlowCommands(commands, 0))
    watched.clock.advance(10.0)
    watched.monitor.later.polled()
    assert metric_value(watched.metrics, "redis_stalls_later_total") == 0
    watched.clock.advance(SECONDS_AT_ZERO)
    assert metric_value(watched.metrics, "redis_stalls_later_total") == 1000
    assert len(watched.records) == 5


async def test_nothing_is_sent_after_the_end() -> None:
    """The last pings end after it, and a connection that is made for them would stay open."""
    watched = MonitorHarness()
    watched.reply(watched.clock(), 0.001)
    await watched.monitor.close()
    watched.monitor.on_overdue(watched.clock())
    watched.fail(watched.clock(), "timeout")
    watched.monitor.snapshot_due(watched.clock())
    await asyncio.sleep(0.01)
    assert (watched.sent, watched.records) == ([], [])


ODD = st.recursive(
    st.none() | st.integers() | st.binary(max_size=20) | st.text(max_size=8), lambda one: st.lists(one, max_size=6)
)
#: INFO of forks, cut, or with odd numbers.
ODD_INFO = st.sampled_from(
    [info(), info("b"), info(cpu=-1.0), b"", b"# Server\r\nserver_time_usec:9999999999999999\r\n"]
)
#: Clocks that are years off, ids that go back, names that are no text.
ODD_ENTRIES = st.lists(
    st.tuples(st.integers(), st.integers(), st.integers(), st.lists(st.binary(max_size=9)), ODD, ODD).map(list)
)


@settings(max_examples=50)
@given(ODD_INFO | ODD, ODD_ENTRIES | ODD, ODD, ODD, ODD_INFO | ODD)
async def test_any_replies_lead_to_one_record(
    before: object, slow_log: object, latency: object, config: object, after: object
) -> None:
    watched = MonitorHarness(detect_pause=False)
    try:
        watched.replies = {"INFO": before, "SLOWLOG": slow_log, "LATENCY": latency, "CONFIG": config}
        await watched.snapshot()
        due = watched.clock.advance(1.0)
        watched.replies["INFO"] = after
        watched.monitor.on_replies([("INFO",), ("SLOWLOG", "GET", 1)], [after, slow_log])
        watched.clock.advance(0.5)
        watched.reply(due, 0.5)
        watched.reply(watched.clock.advance(0.5), 0.001)
        record = await watched.ended()
        assert record.cause in CAUSES
        assert isinstance(before, bytes) or record.cause == "unknown"
        assert len(json.dumps(record.to_plain())) <= MAX_RECORD_BYTES
        assert [one.id for one in watched.records] == [record.id]
    finally:
        await watched.monitor.close()


async def test_slow_log_of_10_000_entries_is_read_in_part(watched: MonitorHarness) -> None:
    await watched.snapshot()
    rows = [[number, 1_001_000, 900_000, [b"\xff" * 99], b"10.0.0.1:1", b"\xc3\xa9" * 99] for number in range(10_000)]
    watched.replies["SLOWLOG"] = rows[::-1]
    watched.reply(watched.clock(), 0.9)
    watched.reply(watched.clock.advance(1.0), 0.001)
    record = await watched.ended()
    assert len(json.dumps(record.to_plain())) <= MAX_RECORD_BYTES
    assert 2 <= len(json.loads(record.evidence)["slow_entries"]) <= 32
