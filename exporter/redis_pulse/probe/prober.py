"""One timer of the loop that is set, rings once, and may be set again.

What a client feels: timed PINGs on one connection of their own, open loop.

A slot comes due on the schedule's grid and its PING leaves then, although earlier ones are unanswered: a stall of two
seconds is seen by every slot that fell into it. Each slot ends in exactly one outcome: success, or one reason. A slot
that timed out keeps its place in the queue until its late reply; nobody reconnects because of a timeout.

When a reply came, the kernel says (``clock``): what our own loop was late by is no latency of the target's. So the
socket is read before each PING while something is outstanding, for replies left unread share the stamp of the last,
and before a slot is called timed out, for a reply may lie there that came in time.

Each PING carries a number, so a reply that is left out costs its own slot and shifts no other (``numbers``).

A slot that finds no connection waits for one within its own deadline; the connecting is timed apart, as the operation
``connect`` and by its phases.

Pings are the trials of the circuit breaker: while it is not closed, one ping per ``probe.trial_interval`` is sent, or
one attempt to connect is made. After an attempt that failed, the next one waits for as long. A slot that comes between
is not sent. It is one failure under the reason that opened the breaker, or that the attempt failed for, and is counted
in ``redis_pings_not_sent_total`` besides.

A target that moves, or whose settings change, gets another prober that goes on counting. The one ``before`` is left:
no slot comes to it any more, but each of its pings in flight still has its true outcome, at its deadline at the latest.
A slot that waits for a connection goes on waiting at the old address. Then the connection is closed (``drain``).
"""

import asyncio
import math
from collections.abc import Callable

from redis_pulse.circuit_breaker import EARLY, CircuitBreaker
from redis_pulse.client import ProbeConnection, Received, TargetClient
from redis_pulse.errors import (
    AuthError,
    MaxClientsError,
    OperationTimeoutError,
    ProtocolError,
    SkippedError,
    TargetError,
)
from redis_pulse.probe.accounting import (
    PING,
    DowntimeEstimator,
    PendingPing,
    ProbeAccounting,
    ProbeObserver,
    ProbeResult,
)
from redis_pulse.probe.clock import WallClockMonitor, round_trip
from redis_pulse.probe.csv_log import ProbeCsvLog
from redis_pulse.probe.inflight import InflightPings, PingSequence
from redis_pulse.probe.session import ProbeSession
from redis_pulse.telemetry import TargetMetrics, families


class OneShotTimer:
    """Calls ``ring()`` when it is time."""

    __slots__ = ("_handle", "_ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it is going to ring."""
        return self._handle is not None

    def set(self, seconds: float) -> None:
        """Ring after so many seconds; at once when they are over."""
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(max(0.0, seconds), self._now)

    def stop(self) -> None:
        """Do not ring."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _now(self) -> None:
        self._handle = None
        self._ring()


#: Seconds. A send that took longer was preempted: when the PING left, we do not know so exactly.
UNCERTAIN = 0.0005


class Prober:
    """Pings one target; ``slot(due)`` is called for every slot of the schedule."""

    def __init__(
        self,
        client: TargetClient,
        breaker: CircuitBreaker,
        instruments: TargetMetrics,
        observer: ProbeObserver,
        *,
        clocks: WallClockMonitor,
        log: ProbeCsvLog | None = None,
        before: "Prober | None" = None,
    ) -> None:
        settings = client.target.settings
        self._timeout = settings.probe.timeout
        self._silence = settings.probe.silence
        self._trial_interval = settings.probe.trial_interval * (1 - EARLY)
        self._client = client
        self._breaker = breaker
        self._metrics = instruments
        self._accuracy = instruments.probe_accuracy
        self._wall_clock = clocks
        self._now = clocks.now
        earlier = [] if before is None else [*before._before, before]  # noqa: SLF001  # of this class
        self._before: list[Prober] = [prober for prober in earlier if prober.in_flight]
        ledger = None if before is None else before._accounting  # noqa: SLF001  # of this class
        self._accounting: ProbeAccounting = ProbeAccounting(settings, instruments, observer, clocks, log, ledger)
        self._drained: asyncio.Future[None] | None = None
        self._inflight: InflightPings[PendingPing] = InflightPings(
            settings.probe.timeout, settings.probe.max_outstanding
        )
        self._waiting: list[PendingPing] = []  # due while there was no connection
        self._session: ProbeSession | None = None
        self._sequence = PingSequence(self._inflight)
        self._timer = OneShotTimer(self._wake)
        self._received_at = 0.0
        #: when the newest attempt to connect was made; whether a ping was answered well on that connection, and whether
        #: the server said that it is full
        self._attempted = -math.inf
        self._was_answered = False
        self._last_obstacle: MaxClientsError | None = None
        #: why there is no connection, and when a slot must be due to try the next one
        self._lost: TargetError | None = None
        self._next_attempt = -math.inf
        instruments.callbacks[families.IN_FLIGHT, PING] = self._check_accounting

    @property
    def last(self) -> ProbeResult | None:
        """How the newest slot ended."""
        return self._accounting.last

    @property
    def silence(self) -> DowntimeEstimator:
        """When the target last answered, and since when it does not."""
        return self._accounting.silence

    @property
    def last_failure(self) -> TargetError | None:
        """What is wrong, when something is: the newest error that is not merely the open breaker."""
        return self._accounting.last_failure

    @property
    def is_replaced(self) -> bool:
        """Whether another prober has taken over."""
        return self._accounting.is_replaced

    @property
    def in_flight(self) -> int:
        """Slots without an outcome, at this address."""
        return self._inflight.in_flight + len(self._waiting)

    @property
    def draining(self) -> int:
        """Slots without an outcome, at addresses where the target was before."""
        return sum(prober.in_flight for prober in self._before)

    @property
    def balanced(self) -> bool:
        """Whether every slot that came due has exactly one outcome or is in flight; else a fault of ours."""
        books = self._accounting.totals
        slots = [self._inflight, *(prober._inflight for prober in self._before)]  # noqa: SLF001  # of this class
        return all(one.balanced for one in slots) and books.scheduled == books.ended + self.in_flight + self.draining

    def probe_due(self, due: float) -> None:
        """Let one slot take its course: it is sent now, and ends later."""
        ledger = self._accounting
        ledger.scheduled()
        if self._inflight.outstanding or self._waiting:
            self._process_deadlines()  # first of all: replies left unread would merge with the next, and take its stamp
        session = self._session
        if session is None and self._lost is not None and due < self._next_attempt:
            ledger.not_sent(PendingPing(due, None), self._send_obstacle(self._lost))
            return
        ping = PendingPing(due, self._breaker.acquire_probe(due))
        if ping.permit is None:
            ledger.not_sent(ping, self._rejection())
        elif session is None or session.connection is None:
            self._waiting.append(ping)
            self._arm()
            if session is None:
                self._attempted, self._was_answered, self._last_obstacle = due, False, None
                self._session = ProbeSession(self._client, self._metrics, self)
        elif self._inflight.full:
            ledger.not_sent(ping, OperationTimeoutError("too many pings are unanswered"))
        elif self._send(ping, session.connection):
            self._accuracy.lateness.observe(max(0.0, ping.sent.at - due) if ping.sent else 0.0)

    def _send_obstacle(self, error: TargetError) -> TargetError:
        """Return the error of a slot for which nothing is tried: what opened the breaker, or else this one."""
        return error.untried() if self._breaker.state == "closed" else self._rejection()

    def _rejection(self) -> TargetError:
        """Return what opened the breaker; of one reason, what pings say: they know what would help."""
        error, trouble = self._breaker.rejection_error(), self._accounting.last_failure
        return trouble.untried() if trouble is not None and trouble.reason == error.reason else error

    def skipped(self, count: int, newest: float) -> None:
        """Book slots that came while we were late, the newest of them at ``newest``: our fault, and said so."""
        self._accounting.scheduled(count)
        self._accounting.skipped(count, newest)

    async def drain(self) -> None:
        """Wait until the last slot in flight has its outcome, then close the connection. No further slot may come."""
        if self.in_flight:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        await self.stop()

    async def stop(self) -> None:
        """Close the connection; slots in flight end without a verdict on the target."""
        self._timer.stop()
        if self._session:
            await self._session.stop()
        self._accounting.abandoned([slot.token for slot in self._inflight.close_all()] + self._waiting)
        self._waiting.clear()

    def connection_opened(self, wire: ProbeConnection) -> None:
        """Send what waited for the connection."""
        self._sequence.begin(wire)
        while self._waiting:
            ping = self._waiting.pop(0)
            if self._inflight.full:
                self._accounting.not_sent(ping, OperationTimeoutError("too many pings are unanswered"))
            elif not self._send(ping, wire):
                break

    def received(self, wire: ProbeConnection, arrival: Received) -> None:
        """Book replies on the slots that they decide."""
        self._received_at = arrival.at
        epoch = self._wall_clock.epoch()
        for line in arrival.lines:
            number = wire.parse_sequence(line)
            error = wire.parse_error(line) if number is None else None
            for passed in self._sequence.missing_replies(number):
                self._accounting.failed(passed.token, ProtocolError("a later ping was answered, and this one was not"))
            slot = self._inflight.oldest
            if slot is None or slot.token.sent is None:
                raise error or ProtocolError("a reply that nobody asked for")
            ping, sent = slot.token, slot.token.sent
            took = round_trip(
                sent.at, sent.at_ns, arrival.at, arrival.at_ns, arrival.kernel_timestamp, same_epoch=ping.epoch == epoch
            )
            decided = self._inflight.record_reply(slot.sent + took.seconds)
            self._accounting.record_reply(ping, None if decided is None else decided.outcome, error, took)
            if isinstance(error, MaxClientsError):
                self._last_obstacle = error
            self._was_answered = self._was_answered or error is None or not error.unavailable
            if isinstance(error, AuthError):
                raise error  # a new connection reads the credentials anew
        if not self._inflight.in_flight:
            self._timer.stop()  # nothing to wake for: it would cost as much as the ping did
        self._notify_drained()

    def connection_lost(self, error: TargetError) -> None:
        """Every slot that was in flight, or waited for the connection, ends with the reason of its loss."""
        error = self._last_obstacle or error  # a full server says so, and then hangs up: what it said is the cause
        self._session, self._lost = None, error
        # A connection that served may be replaced at once; after one that did not, a trial waits for its turn.
        self._next_attempt = -math.inf if self._was_answered else self._attempted + self._trial_interval
        self._sequence.end(error)
        self._accounting.silence.lost(self._now())
        waiting, self._waiting = self._waiting, []
        for ping in [slot.token for slot in self._inflight.close_all()] + waiting:
            self._accounting.failed(ping, error)
        self._notify_drained()

    def _send(self, ping: PendingPing, wire: ProbeConnection) -> bool:
        """Send a PING and book it as on its way; when it cannot leave, the connection is given up."""
        ping.epoch = self._wall_clock.epoch()
        try:
            ping.sent = sent = wire.ping()
        except TargetError as error:
            self._waiting.append(ping)  # lost with the connection, for the same reason
            if (session := self._session) is not None:
                session.read()  # a server that hangs up may have said why
                if session is self._session:
                    session.give_up(error)
            return False
        if not self._inflight.outstanding:
            self._received_at = sent.at  # silence is counted from the first unanswered ping
        self._inflight.open(ping.due, sent.at, ping)
        if sent.took > UNCERTAIN:
            self._accuracy.uncertain_sends.inc()
        self._arm()
        return True

    def _process_deadlines(self) -> None:
        """Read what has arrived, close what is past its deadline, give up a connection that is silent for too long."""
        session, slots = self._session, self._inflight
        if slots.outstanding and session is not None:
            session.read()  # the stamp of a reply decides, not when we come to see it
        now = self._now()
        for slot in slots.expire(now):
            self._accounting.failed(slot.token, OperationTimeoutError("no answer in time"))
        while self._waiting and self._waiting[0].due + self._timeout <= now:
            self._give_up_waiting(self._waiting.pop(0), is_queueing=session is not None and session.is_queueing)
        if slots.outstanding and now - self._received_at > self._silence and self._session is not None:
            self._session.give_up(OperationTimeoutError(f"silent for {self._silence:g} s"))

    def _give_up_waiting(self, ping: PendingPing, *, is_queueing: bool) -> None:
        """End a slot that found no connection in time; ``is_queueing``: our own queue of connects was too long."""
        if not is_queueing:
            self._accounting.failed(ping, self._client.connection_error())
        elif self._breaker.state == "closed":
            self._accounting.failed(ping, SkippedError("too many connects at once"))
        else:  # it was down before, and nobody has seen it answer since
            if ping.permit is not None:
                ping.permit.release()
            self._accounting.not_sent(ping, self._rejection())

    def _arm(self) -> None:
        """Wake at the next deadline, unless we wake before it anyway."""
        if self._timer.is_set:
            return
        deadline = self._inflight.next_deadline()
        if self._waiting:
            waiting = self._waiting[0].due + self._timeout
            deadline = waiting if deadline is None else min(deadline, waiting)
        if deadline is not None:
            self._timer.set(deadline - self._now())

    def _wake(self) -> None:
        self._process_deadlines()
        self._arm()
        self._notify_drained()

    def _notify_drained(self) -> None:
        if self._drained is not None and not self.in_flight and not self._drained.done():
            self._drained.set_result(None)

    def _check_accounting(self) -> float:
        if not self.balanced:
            self._accuracy.accounting_errors.inc()
        self._before = [prober for prober in self._before if prober.in_flight]
        return self.in_flight + self.draining
