"""Compares prober, breaker and address together with a plain model of the table in docs/breaker.md.

Hypothesis chooses what a target does and when. It answers, replies LOADING, hangs, hangs up, refuses, returns, or moves
to another address. The real prober and the real breaker run over a socket pair, on a clock that the test advances. The
model has a list of pings and implements the rows of the table one by one. It has no queues, sessions or permits.
"""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from redis_pulse.circuit_breaker import TRIAL_TOLERANCE, CircuitBreaker
from redis_pulse.client import ConnectLimiter, ProbeConnection, TargetClient
from redis_pulse.client.probe_connection import RespLineReader
from redis_pulse.config import BreakerSettings, ProbeSettings, TargetSettings
from redis_pulse.errors import (
    REASONS,
    ConnectionRefusedByTargetError,
    ConnectionResetByTargetError,
    OperationTimeoutError,
    TargetError,
)
from redis_pulse.probe import Prober, WallClockMonitor
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock
from tests.harness import RecordingObserver, target_settings

FAILURES = "redis_operation_failures_total"
NEVER = float("-inf")
#: After a connection that was closed before its first reply, the prober omits the number.
PING = re.compile(rb"\*[12]\r\n\$4\r\nPING\r\n(?:\$6\r\n(\d{6})\r\n)?")
INTERVAL, TIMEOUT, TRIAL, THRESHOLD, MAX_OUTSTANDING = 0.25, 1.0, 1.0, 4, 12


@dataclass
class Expected:
    """One ping in the model. ``epoch`` is the number of the breaker state that permitted it, if any did."""

    due: float
    epoch: int | None = None
    state: Literal["waiting", "in flight", "ended"] = "waiting"
    sent: float = 0.0
    outcome: str = ""


class ManualClient:
    """A client whose attempts to connect end when the test decides."""

    def __init__(self, target: TargetSettings) -> None:
        self.target = target
        self.connect_limiter = ConnectLimiter()
        self.attempts: list[asyncio.Future[ProbeConnection]] = []

    def must_replace(self, _connection: ProbeConnection) -> bool:
        return False

    async def connect_probe(self, _on_phase: Any, *, is_spare: bool) -> ProbeConnection:
        self.attempts.append(asyncio.get_running_loop().create_future())
        return await self.attempts[-1]

    def connect_timeout_error(self) -> OperationTimeoutError:
        return OperationTimeoutError("no connection in time")


class Address:
    """One address of the target: the real prober, the server that answers it, and the model of both."""

    def __init__(self, machine: "ProbeMachine", number: int, predecessor: "Address | None") -> None:
        self.machine = machine
        target = target_settings(
            f"redis://127.0.0.1:{number}",
            probe=ProbeSettings(
                interval=INTERVAL, timeout=TIMEOUT, trial_interval=TRIAL, max_outstanding=MAX_OUTSTANDING, silence=1000
            ),
            breaker=BreakerSettings(failure_threshold=THRESHOLD, minimum_calls=10_000),
        )
        self.breaker = CircuitBreaker(target.breaker, machine.clock, on_change=lambda *_: None, trial_interval=TRIAL)
        self.client = ManualClient(target)
        self.prober: Prober = Prober(
            cast(TargetClient, self.client),
            self.breaker,
            machine.target_metrics,
            RecordingObserver(),
            wall_clock=WallClockMonitor(machine.clock, machine.wall),
            predecessor=None if predecessor is None else predecessor.prober,
        )
        self.server: socket.socket | None = None  # the server's end of the connection
        self.received = b""
        self.numbers: list[bytes | None] = []  # of the PINGs that it received and has not answered
        # The model.
        self.pings: list[Expected] = []
        self.unanswered: list[Expected] = []  # includes those that timed out
        self.has_moved_away = self.is_connecting = self.is_open = self.was_answered = False
        self.epoch = self.consecutive_failures = 0
        self.opened_by = self.lost_by = ""
        self.next_trial = self.next_attempt = NEVER
        self.attempted = 0.0

    # Events.

    def connect(self) -> None:
        client_end, self.server = socket.socketpair()
        client_end.setblocking(False)
        self.server.setblocking(False)
        self.is_connecting, self.received, self.numbers = False, b"", []
        for ping in self.pings:
            if ping.state == "waiting":
                self.expect_sent(ping)
        clock, wall = self.machine.clock, self.machine.wall
        connection = ProbeConnection(client_end, None, RespLineReader(), clock=clock, wall_clock=wall, map_error=_reset)
        self.machine.run(lambda: self.client.attempts[-1].set_result(connection))

    def refuse(self) -> None:
        self.is_connecting = False
        self.expect_lost("refused")
        self.machine.run(lambda: self.client.attempts[-1].set_exception(ConnectionRefusedByTargetError("refused")))

    def answer(self, count: int, answer: str) -> None:
        assert self.server is not None
        self.receive()
        for _ in range(min(count, len(self.unanswered))):
            number = self.numbers.pop(0)
            pong = b"+PONG\r\n" if number is None else b"$6\r\n%b\r\n" % number
            self.server.send(pong if answer == "PONG" else b"-LOADING it loads\r\n")
            self.expect_reply(answer)
        self.machine.run(self.read)

    def hang_up(self) -> None:
        assert self.server is not None
        self.receive()  # unread data would make the kernel reset the connection: another error with the same reason
        self.server.close()
        self.server = None
        self.expect_lost("reset")
        self.machine.run(self.read)

    def read(self) -> None:
        if self.prober._session is not None:
            self.prober._session.read()

    def receive(self) -> None:
        assert self.server is not None
        with suppress(BlockingIOError):
            self.received += self.server.recv(65536)
        matches = list(PING.finditer(self.received))
        self.numbers += [match[1] for match in matches]
        self.received = self.received[matches[-1].end() :] if matches else self.received

    # The model: the rows of the table in docs/breaker.md.

    def expect_probe(self, due: float) -> None:
        ping = Expected(due)
        self.pings.append(ping)
        if self.server is None and not self.is_connecting and due < self.next_attempt:
            self.expect_not_sent(ping, self.opened_by if self.is_open else self.lost_by)
            return
        if self.is_open and due < self.next_trial:
            self.expect_not_sent(ping, self.opened_by)
            return
        ping.epoch = self.epoch
        if self.is_open:
            self.next_trial = due + TRIAL * (1 - TRIAL_TOLERANCE)
        if self.server is not None and len(self.unanswered) >= MAX_OUTSTANDING:
            self.expect_not_sent(ping, "timeout")
        elif self.server is not None:
            self.expect_sent(ping)
        elif not self.is_connecting:
            self.is_connecting, self.attempted = True, due
            self.was_answered = False

    def expect_sent(self, ping: Expected) -> None:
        ping.state, ping.sent = "in flight", self.machine.clock()
        self.unanswered.append(ping)

    def expect_not_sent(self, ping: Expected, reason: str) -> None:
        self.machine.not_sent += 1
        self.expect_end(ping, reason)

    def expect_deadlines(self) -> None:
        for ping in self.pings:
            start = ping.sent if ping.state == "in flight" else ping.due
            if ping.state != "ended" and start + TIMEOUT <= self.machine.clock():
                self.expect_end(ping, "timeout")

    def expect_reply(self, answer: str) -> None:
        ping = self.unanswered.pop(0)
        if ping.state != "ended":
            self.expect_end(ping, "ok" if answer == "PONG" else "loading")
        self.was_answered = self.was_answered or answer == "PONG"

    def expect_lost(self, reason: str) -> None:
        self.unanswered.clear()
        self.lost_by = reason
        self.next_attempt = NEVER if self.was_answered else self.attempted + TRIAL * (1 - TRIAL_TOLERANCE)
        for ping in self.pings:
            if ping.state != "ended":
                self.expect_end(ping, reason)

    def expect_end(self, ping: Expected, outcome: str) -> None:
        ping.state, ping.outcome = "ended", outcome
        if ping.epoch != self.epoch or self.has_moved_away:
            return  # not permitted, or by a breaker that opened or closed since, or the target moved away
        if self.is_open and outcome == "ok":
            self.is_open = False
            self.epoch += 1
            self.consecutive_failures = 0
        elif not self.is_open:
            self.consecutive_failures = 0 if outcome == "ok" else self.consecutive_failures + 1
            if self.consecutive_failures >= THRESHOLD:
                self.is_open, self.opened_by, self.next_trial = True, outcome, NEVER
                self.epoch += 1

    @property
    def in_flight(self) -> int:
        return sum(ping.state != "ended" for ping in self.pings)


class ProbeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock(0.0)
        self.metrics = ExporterMetrics("test")
        self.target_metrics = self.metrics.add_target("t", ["ping"], buckets=(0.1, 1.0), address="a", labels={})
        self.not_sent = 0
        self.addresses = [Address(self, 1, None)]

    def wall(self) -> int:
        return round(self.clock() * 1e9)

    @property
    def here(self) -> Address:
        """The present address of the target. The others are earlier addresses."""
        return self.addresses[-1]

    def choose(self, which: int, condition: Callable[[Address], object]) -> Address | None:
        """Return one of the addresses that meet a condition. An old one must still have pings in flight."""
        able = [one for one in self.addresses if (one is self.here or one.in_flight) and condition(one)]
        return able[which % len(able)] if able else None

    # Events: each rule has the name of one.

    @rule(count=st.integers(1, 6))
    def pings_come_due(self, count: int) -> None:
        for _ in range(count):
            self.pass_time(INTERVAL)
            self.here.expect_probe(self.clock())
            self.run(lambda: self.here.prober.probe_due(self.clock()))

    @rule(eighths=st.integers(1, 12))
    def time_passes(self, eighths: int) -> None:
        self.pass_time(eighths / 8)

    @precondition(lambda self: len(self.addresses) < 6)
    @rule()
    def the_target_moves(self) -> None:
        self.here.has_moved_away = True
        self.target_metrics.address_changed({"address": f"{len(self.addresses) + 1}"}, (0.1, 1.0), {"ping"})
        self.addresses.append(Address(self, len(self.addresses) + 1, self.here))

    @rule(which=st.integers(0, 5))
    def a_connection_is_made(self, which: int) -> None:
        if (one := self.choose(which, lambda one: one.is_connecting)) is not None:
            one.connect()

    @rule(which=st.integers(0, 5))
    def a_connection_is_refused(self, which: int) -> None:
        if (one := self.choose(which, lambda one: one.is_connecting)) is not None:
            one.refuse()

    @rule(
        which=st.integers(0, 5),
        count=st.integers(1, MAX_OUTSTANDING),
        answer=st.sampled_from(["PONG", "PONG", "PONG", "LOADING"]),
    )
    def a_server_answers(self, which: int, count: int, answer: str) -> None:
        if (one := self.choose(which, lambda one: one.unanswered)) is not None:
            one.answer(count, answer)

    @rule(which=st.integers(0, 5))
    def a_server_hangs_up(self, which: int) -> None:
        if (one := self.choose(which, lambda one: one.server)) is not None:
            one.hang_up()

    def pass_time(self, seconds: float) -> None:
        """Advance the clock in small steps, so that a deadline is noticed when it is reached."""
        for _ in range(round(seconds * 8)):
            self.clock.advance(0.125)
            for one in self.addresses:
                one.expect_deadlines()
                self.run(one.prober._wake)

    def run(self, event: Callable[[], None]) -> None:
        async def run_event() -> None:
            event()
            for _ in range(6):  # an attempt to connect ends some iterations of the loop later
                await asyncio.sleep(0)

        self.loop.run_until_complete(run_event())

    # What always holds.

    @invariant()
    def metrics_are_as_in_the_model(self) -> None:
        pings = [ping for one in self.addresses for ping in one.pings]
        outcomes = Counter(ping.outcome for ping in pings if ping.state == "ended")
        values = self.values()
        failures = {
            reason: values[f'{FAILURES}{{target="t",operation="ping",reason="{reason}"}}'] for reason in REASONS
        }
        assert {reason: count for reason, count in failures.items() if count} == {
            reason: count for reason, count in outcomes.items() if reason != "ok"
        }
        observed = values['redis_operation_duration_seconds_count{target="t",operation="ping"}']
        assert observed == outcomes["ok"] + outcomes["timeout"], "a timeout is observed at its deadline"
        in_flight = sum(one.in_flight for one in self.addresses)
        assert values['redis_operations_total{target="t",operation="ping"}'] == len(pings)
        assert values['redis_operations_in_flight{target="t",operation="ping"}'] == in_flight
        assert values['redis_pings_not_sent_total{target="t"}'] == self.not_sent
        assert self.here.prober.balanced

    @invariant()
    def target_is_up_if_its_newest_ended_ping_was_answered(self) -> None:
        ended = [ping for ping in self.here.pings if ping.state == "ended"]
        newest = max(ended, key=lambda ping: ping.due, default=None)
        assert self.values()['redis_up{target="t"}'] == (newest is not None and newest.outcome == "ok")
        assert (self.here.breaker.state == "open") == self.here.is_open

    def values(self) -> dict[str, float]:
        lines = b"".join(self.target_metrics.render().values()).decode().splitlines()
        return {series: float(count) for series, _, count in (line.rpartition(" ") for line in lines)}

    def teardown(self) -> None:
        for one in self.addresses:
            self.loop.run_until_complete(one.prober.stop())
            if one.server is not None:
                one.server.close()
        self.loop.close()


def _reset(error: BaseException) -> TargetError:
    return error if isinstance(error, TargetError) else ConnectionResetByTargetError(str(error))


TestProbeMachine = ProbeMachine.TestCase
TestProbeMachine.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
