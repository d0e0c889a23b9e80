"""Probe, breaker and address together, against a plain model of the table in docs/architecture.md.

Hypothesis makes up what a target does and when: it answers, says LOADING, hangs, hangs up, refuses, comes back, moves
to another address. The real prober and the real breaker run on a clock turned by hand, over a socket pair. The model
keeps a list of pings and states the rows of the table one by one; it knows nothing of queues, sessions or permits.
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

from redis_pulse.circuit_breaker import EARLY, CircuitBreaker
from redis_pulse.client import ConnectLimiter, ProbeConnection, TargetClient
from redis_pulse.client.probe_connection import RespLineReader
from redis_pulse.config import BreakerSettings, ProbeSettings
from redis_pulse.errors import (
    REASONS,
    ConnectionRefusedByTargetError,
    ConnectionResetByTargetError,
    OperationTimeoutError,
    TargetError,
)
from redis_pulse.probe import Prober, WallClockMonitor
from redis_pulse.server_info import Target
from redis_pulse.telemetry import ExporterMetrics
from tests.fakes import ManualClock
from tests.harness import RecordingObserver, target_settings

FAILURES = "redis_operation_failures_total"
NEVER = float("-inf")
#: A connection that died before its first answer makes the prober leave the number out.
PING = re.compile(rb"\*[12]\r\n\$4\r\nPING\r\n(?:\$6\r\n(\d{6})\r\n)?")
INTERVAL, TIMEOUT, TRIAL, THRESHOLD, MOST = 0.25, 1.0, 1.0, 4, 12


@dataclass
class Expected:
    """One ping in the model. ``epoch``: the state of the breaker that permitted it, None when none did."""

    due: float
    epoch: int | None = None
    state: Literal["waiting", "on the wire", "ended"] = "waiting"
    sent: float = 0.0
    outcome: str = ""


class ManualClient:
    """A client whose attempts to connect end when the machine says so."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.connect_limiter = ConnectLimiter()
        self.attempts: list[asyncio.Future[ProbeConnection]] = []

    async def connect_probe(self, _on_phase: Any) -> ProbeConnection:
        self.attempts.append(asyncio.get_running_loop().create_future())
        return await self.attempts[-1]

    def connection_error(self) -> OperationTimeoutError:
        return OperationTimeoutError("no connection in time")


class Address:
    """One address of the target: the real prober there, the server that answers it, and the model of both."""

    def __init__(self, machine: "ProbeMachine", number: int, before: "Address | None") -> None:
        self.machine = machine
        target = Target.of(
            target_settings(
                f"redis://127.0.0.1:{number}",
                probe=ProbeSettings(
                    interval=INTERVAL, timeout=TIMEOUT, trial_interval=TRIAL, max_outstanding=MOST, silence=1000
                ),
                breaker=BreakerSettings(failure_threshold=THRESHOLD, minimum_calls=10_000),
            )
        )
        self.breaker = CircuitBreaker(
            target.settings.breaker, machine.clock, on_change=lambda *_: None, trial_interval=TRIAL
        )
        self.client = ManualClient(target)
        self.prober: Prober = Prober(
            cast(TargetClient, self.client),
            self.breaker,
            machine.of_target,
            RecordingObserver(),
            clocks=WallClockMonitor(machine.clock, machine.wall),
            before=None if before is None else before.prober,
        )
        self.server: socket.socket | None = None  # its end of the connection
        self.received = b""
        self.numbers: list[bytes | None] = []  # of the PINGs that it received and did not answer
        # The model.
        self.pings: list[Expected] = []
        self.on_wire: list[Expected] = []  # those that the server did not answer, also those that timed out
        self.is_left = self.is_connecting = self.is_open = self.has_served = False
        self.epoch = self.failures_in_a_row = 0
        self.opened_by = self.lost_by = ""
        self.next_trial = self.next_attempt = NEVER
        self.attempted = 0.0

    # What happens there.

    def connect(self) -> None:
        ours, self.server = socket.socketpair()
        ours.setblocking(False)
        self.server.setblocking(False)
        self.is_connecting, self.received, self.numbers = False, b"", []
        for ping in self.pings:
            if ping.state == "waiting":
                self.expect_sent(ping)
        clock, wall = self.machine.clock, self.machine.wall
        wire = ProbeConnection(ours, None, RespLineReader(), clock=clock, wall=wall, translator=_reset)
        self.machine.run(lambda: self.client.attempts[-1].set_result(wire))

    def refuse(self) -> None:
        self.is_connecting = False
        self.expect_lost("refused")
        self.machine.run(lambda: self.client.attempts[-1].set_exception(ConnectionRefusedByTargetError("refused")))

    def answer(self, count: int, answer: str) -> None:
        assert self.server is not None
        self.receive()
        for _ in range(min(count, len(self.on_wire))):
            number = self.numbers.pop(0)
            pong = b"+PONG\r\n" if number is None else b"$6\r\n%b\r\n" % number
            self.server.send(pong if answer == "PONG" else b"-LOADING it loads\r\n")
            self.expect_reply(answer)
        self.machine.run(self.look)

    def hang_up(self) -> None:
        assert self.server is not None
        self.receive()  # what is left unread makes the kernel reset the connection: another error, the same reason
        self.server.close()
        self.server = None
        self.expect_lost("reset")
        self.machine.run(self.look)

    def look(self) -> None:
        if self.prober._session is not None:
            self.prober._session.read()

    def receive(self) -> None:
        assert self.server is not None
        with suppress(BlockingIOError):
            self.received += self.server.recv(65536)
        found = list(PING.finditer(self.received))
        self.numbers += [ping[1] for ping in found]
        self.received = self.received[found[-1].end() :] if found else self.received

    # What is expected: the rows of the table in docs/architecture.md.

    def expect_slot(self, due: float) -> None:
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
            self.next_trial = due + TRIAL * (1 - EARLY)
        if self.server is not None and len(self.on_wire) >= MOST:
            self.expect_not_sent(ping, "timeout")
        elif self.server is not None:
            self.expect_sent(ping)
        elif not self.is_connecting:
            self.is_connecting, self.attempted = True, due
            self.has_served = False

    def expect_sent(self, ping: Expected) -> None:
        ping.state, ping.sent = "on the wire", self.machine.clock()
        self.on_wire.append(ping)

    def expect_not_sent(self, ping: Expected, reason: str) -> None:
        self.machine.not_sent += 1
        self.expect_end(ping, reason)

    def expect_deadlines(self) -> None:
        for ping in self.pings:
            began = ping.sent if ping.state == "on the wire" else ping.due
            if ping.state != "ended" and began + TIMEOUT <= self.machine.clock():
                self.expect_end(ping, "timeout")

    def expect_reply(self, answer: str) -> None:
        ping = self.on_wire.pop(0)
        if ping.state != "ended":
            self.expect_end(ping, "ok" if answer == "PONG" else "loading")
        self.has_served = self.has_served or answer == "PONG"

    def expect_lost(self, reason: str) -> None:
        self.on_wire.clear()
        self.lost_by = reason
        self.next_attempt = NEVER if self.has_served else self.attempted + TRIAL * (1 - EARLY)
        for ping in self.pings:
            if ping.state != "ended":
                self.expect_end(ping, reason)

    def expect_end(self, ping: Expected, outcome: str) -> None:
        ping.state, ping.outcome = "ended", outcome
        if ping.epoch != self.epoch or self.is_left:
            return  # permitted by a breaker that has opened or closed since, or not at all; or nobody asks it any more
        if self.is_open and outcome == "ok":
            self.is_open = False
            self.epoch += 1
            self.failures_in_a_row = 0
        elif not self.is_open:
            self.failures_in_a_row = 0 if outcome == "ok" else self.failures_in_a_row + 1
            if self.failures_in_a_row >= THRESHOLD:
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
        self.instruments = ExporterMetrics("test")
        self.of_target = self.instruments.add_target("t", ["ping"], buckets=(0.1, 1.0), address="a", labels={})
        self.not_sent = 0
        self.addresses = [Address(self, 1, None)]

    def wall(self) -> int:
        return round(self.clock() * 1e9)

    @property
    def here(self) -> Address:
        """Where the target is now; the others are where it was."""
        return self.addresses[-1]

    def some(self, which: int, condition: Callable[[Address], object]) -> Address | None:
        """Choose one of the addresses where something can happen; an old one only as long as pings are in flight."""
        able = [one for one in self.addresses if (one is self.here or one.in_flight) and condition(one)]
        return able[which % len(able)] if able else None

    # What happens: rules with the name of an event.

    @rule(count=st.integers(1, 6))
    def pings_come_due(self, count: int) -> None:
        for _ in range(count):
            self.pass_time(INTERVAL)
            self.here.expect_slot(self.clock())
            self.run(lambda: self.here.prober.probe_due(self.clock()))

    @rule(eighths=st.integers(1, 12))
    def time_passes(self, eighths: int) -> None:
        self.pass_time(eighths / 8)

    @precondition(lambda self: len(self.addresses) < 6)
    @rule()
    def the_target_moves(self) -> None:
        self.here.is_left = True
        self.of_target.address_changed({"address": f"{len(self.addresses) + 1}"}, (0.1, 1.0), {"ping"})
        self.addresses.append(Address(self, len(self.addresses) + 1, self.here))

    @rule(which=st.integers(0, 5))
    def a_connection_is_made(self, which: int) -> None:
        if (one := self.some(which, lambda one: one.is_connecting)) is not None:
            one.connect()

    @rule(which=st.integers(0, 5))
    def a_connection_is_refused(self, which: int) -> None:
        if (one := self.some(which, lambda one: one.is_connecting)) is not None:
            one.refuse()

    @rule(
        which=st.integers(0, 5),
        count=st.integers(1, MOST),
        answer=st.sampled_from(["PONG", "PONG", "PONG", "LOADING"]),
    )
    def a_server_answers(self, which: int, count: int, answer: str) -> None:
        if (one := self.some(which, lambda one: one.on_wire)) is not None:
            one.answer(count, answer)

    @rule(which=st.integers(0, 5))
    def a_server_hangs_up(self, which: int) -> None:
        if (one := self.some(which, lambda one: one.server)) is not None:
            one.hang_up()

    def pass_time(self, seconds: float) -> None:
        """Turn the clock a little at a time: a deadline is noticed when it is reached."""
        for _ in range(round(seconds * 8)):
            self.clock.advance(0.125)
            for one in self.addresses:
                one.expect_deadlines()
                self.run(one.prober._wake)

    def run(self, act: Callable[[], None]) -> None:
        async def once() -> None:
            act()
            for _ in range(6):  # an attempt to connect ends some turns of the loop later
                await asyncio.sleep(0)

        self.loop.run_until_complete(once())

    # What holds at every moment.

    @invariant()
    def it_is_as_in_the_model(self) -> None:
        pings = [ping for one in self.addresses for ping in one.pings]
        outcomes = Counter(ping.outcome for ping in pings if ping.state == "ended")
        page = self.page()
        reasons = {reason: page[f'{FAILURES}{{target="t",operation="ping",reason="{reason}"}}'] for reason in REASONS}
        assert {reason: count for reason, count in reasons.items() if count} == {
            reason: count for reason, count in outcomes.items() if reason != "ok"
        }
        timed = page['redis_operation_duration_seconds_count{target="t",operation="ping"}']
        assert timed == outcomes["ok"] + outcomes["timeout"], "a timeout is observed at its deadline"
        in_flight = sum(one.in_flight for one in self.addresses)
        assert page['redis_operations_total{target="t",operation="ping"}'] == len(pings)
        assert page['redis_operations_in_flight{target="t",operation="ping"}'] == in_flight
        assert page['redis_pings_not_sent_total{target="t"}'] == self.not_sent
        assert self.here.prober.balanced

    @invariant()
    def it_is_up_when_the_newest_ping_that_ended_here_was_answered(self) -> None:
        ended = [ping for ping in self.here.pings if ping.state == "ended"]
        newest = max(ended, key=lambda ping: ping.due, default=None)
        assert self.page()['redis_up{target="t"}'] == (newest is not None and newest.outcome == "ok")
        assert (self.here.breaker.state == "open") == self.here.is_open

    def page(self) -> dict[str, float]:
        lines = b"".join(self.of_target.render().values()).decode().splitlines()
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
