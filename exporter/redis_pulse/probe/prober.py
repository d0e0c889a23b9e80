"""Pings one target on a schedule, on a connection of its own, and records what became of each ping.

**Open loop.** A *scheduled probe* comes due on the grid of the schedule. Its PING is sent then, even if earlier ones
are unanswered. So every probe that falls into a stall of two seconds shows the stall. Each ends with exactly one
outcome: a success, or one reason. A probe that timed out stays in the queue until its late reply. A timeout is no
reason to reconnect.

**Kernel timestamps.** They mark when a PING left and when its reply arrived (``clock``). So a delay of the exporter's
own event loop does not count as latency of the target. The socket is therefore read

- before each PING while a reply is outstanding, because unread replies would merge and share the timestamp of the last;
- before a probe times out, because a reply that came in time may be waiting there.

**Numbers.** Each PING carries a number. A reply that is missing costs its own probe and shifts no other (``inflight``).

**Connecting.** A probe without a connection waits for one until its own deadline. Connecting is timed separately, as
the operation ``connect`` and by phases.

**Circuit breaker.** Pings are its trials. While it is not closed, each ``probe.trial_interval`` has one ping, or one
attempt to connect. After a failed attempt the next one waits for as long. A probe that comes due in between is not
sent. It is one failure, with the reason that opened the breaker or made the attempt fail. It is also counted in
``redis_pings_not_sent_total``.

**Moves.** A target whose address or settings change gets another prober, which continues the counts. Its
``predecessor`` gets no further probes. Each of its pings in flight still gets its true outcome, at the latest at its
deadline. A probe that waits for a connection keeps waiting at the old address. Then the connection is closed
(``drain``).
"""

import asyncio
import math

from redis_pulse.circuit_breaker import TRIAL_TOLERANCE, CircuitBreaker
from redis_pulse.client import ProbeConnection, Received, TargetClient, TcpInfo
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
    PingSchedule,
    ProbeAccounting,
    ProbeObserver,
    ProbeResult,
)
from redis_pulse.probe.clock import OneShotTimer, WallClockMonitor, round_trip
from redis_pulse.probe.csv_log import ProbeCsvLog
from redis_pulse.probe.inflight import InflightPing, InflightPings, PingSequence
from redis_pulse.probe.session import ProbeSession
from redis_pulse.probe.spare import SpareConnection
from redis_pulse.telemetry import TargetMetrics, families

#: Seconds. A send that took longer was preempted, so it is uncertain when the PING left.
MAX_CERTAIN_SEND = 0.0005


class Prober:
    """Pings one target. The scheduler calls ``probe_due(due)`` for every scheduled probe, by ``schedule``."""

    schedule: PingSchedule

    def __init__(
        self,
        client: TargetClient,
        breaker: CircuitBreaker,
        metrics: TargetMetrics,
        observer: ProbeObserver,
        *,
        wall_clock: WallClockMonitor,
        csv_log: ProbeCsvLog | None = None,
        predecessor: "Prober | None" = None,
    ) -> None:
        settings = client.target
        self._timeout = settings.probe.timeout
        self._max_silence = settings.probe.silence
        self._overdue_after = settings.stalls.threshold if settings.stalls.enabled else math.inf
        #: The newest ping that was reported as overdue.
        self._reported: InflightPing[PendingPing] | None = None
        self._trial_interval = settings.probe.trial_interval * (1 - TRIAL_TOLERANCE)
        self._client = client
        self._breaker = breaker
        self._metrics = metrics
        self._accuracy = metrics.probe_accuracy
        self._wall_clock = wall_clock
        self._now = wall_clock.now
        self._predecessors: list[Prober] = []  # those that still have pings in flight
        accounting: ProbeAccounting | None = None
        if predecessor is not None:
            earlier = [*predecessor._predecessors, predecessor]  # noqa: SLF001  # of this class
            self._predecessors = [prober for prober in earlier if prober.has_pings]
            accounting = predecessor._accounting  # noqa: SLF001  # of this class
        self._accounting: ProbeAccounting = ProbeAccounting(
            settings, metrics, observer, wall_clock, csv_log, accounting
        )
        self._drained: asyncio.Future[None] | None = None
        self._inflight: InflightPings[PendingPing] = InflightPings(
            settings.probe.timeout, settings.probe.max_outstanding
        )
        self._waiting: list[PendingPing] = []  # came due while there was no connection
        self._session: ProbeSession | None = None
        self._spare = SpareConnection(client, metrics, self)
        self._sequence = PingSequence(self._inflight)
        self._timer = OneShotTimer(self._wake)
        #: When the newest reply was read. Before the first reply: when the oldest unanswered ping was sent.
        self._received_at = 0.0
        #: When the newest attempt to connect was made. Whether a reply on that connection showed the target available.
        #: The error reply of the server, if it was full.
        self._attempted_at = -math.inf
        self._was_answered = False
        self._max_clients_error: MaxClientsError | None = None
        #: Why there is no connection, and when a probe must be due to attempt the next one.
        self._lost: TargetError | None = None
        self._next_attempt = -math.inf
        metrics.callbacks[families.IN_FLIGHT, PING] = self._check_accounting
        metrics.callbacks[families.TCP_RTT, ""] = lambda: None if (info := self.tcp_info) is None else info.rtt
        metrics.callbacks[families.TCP_MIN_RTT, ""] = lambda: None if (info := self.tcp_info) is None else info.min_rtt

    @property
    def last(self) -> ProbeResult | None:
        """The result of the newest probe, or None if none has ended."""
        return self._accounting.last

    @property
    def downtime(self) -> DowntimeEstimator:
        """When the target last answered, and since when it is down."""
        return self._accounting.downtime

    @property
    def connection(self) -> ProbeConnection | None:
        """The connection for pings, while there is one."""
        return None if self._session is None else self._session.connection

    @property
    def waiting_since(self) -> float | None:
        """When the oldest unanswered PING was sent, or None if all are answered. It may have timed out."""
        oldest = self._inflight.oldest
        return None if oldest is None else oldest.sent

    @property
    def newest_send(self) -> float | None:
        """When the newest unanswered PING was sent, or None if all are answered."""
        newest = self._inflight.newest
        return None if newest is None else newest.sent

    @property
    def last_failure(self) -> TargetError | None:
        """What is wrong with the target: the newest error, except those that only say that the breaker is open."""
        return self._accounting.last_failure

    @property
    def tcp_info(self) -> TcpInfo | None:
        """What the kernel knew about the connection at the newest reading. None without a connection over TCP."""
        return None if self._session is None else self._session.tcp_info

    @property
    def is_replaced(self) -> bool:
        """Whether another prober has replaced this one."""
        return self._accounting.is_replaced

    @property
    def in_flight(self) -> int:
        """How many probes have no outcome yet, at this address."""
        return self._inflight.in_flight + len(self._waiting)

    @property
    def has_pings(self) -> bool:
        """Whether a probe has no outcome yet, or another one may still be reported."""
        return self.in_flight > 0

    @property
    def draining(self) -> int:
        """How many probes have no outcome yet, at earlier addresses of the target."""
        return sum(prober.in_flight for prober in self._predecessors)

    @property
    def balanced(self) -> bool:
        """Whether every probe that came due has exactly one outcome or is in flight. If not, the exporter has a bug."""
        totals = self._accounting.totals
        queues = [self._inflight, *(prober._inflight for prober in self._predecessors)]  # noqa: SLF001  # of this class
        in_flight = self.in_flight + self.draining
        return all(queue.balanced for queue in queues) and totals.scheduled == totals.ended + in_flight

    def probe_due(self, due: float) -> None:
        """Start the scheduled probe that is due at ``due``: send its PING, or record why it is not sent."""
        accounting = self._accounting
        accounting.scheduled()
        if self._inflight.outstanding or self._waiting:
            self._process_deadlines()  # first, because unread replies would merge with the next and share its timestamp
        self._replace_connection(due)
        session = self._session
        if session is None and self._lost is not None and due < self._next_attempt:
            accounting.not_sent(PendingPing(due, None), self._error_without_attempt(self._lost))
            return
        ping = PendingPing(due, self._breaker.acquire_probe(due))
        if ping.permit is None:
            accounting.not_sent(ping, self._rejection_error())
        elif session is None or session.connection is None:
            self._waiting.append(ping)
            self._set_timer()
            if session is None:
                self._attempted_at, self._was_answered, self._max_clients_error = due, False, None
                self._session = ProbeSession(self._client, self._metrics, self)
        elif self._inflight.full:
            accounting.not_sent(ping, OperationTimeoutError("too many pings are unanswered"))
        elif self._inflight.outstanding and self._spare.holds_back(self._now(), self._received_at):
            self._waiting.append(ping)
            self._set_timer()
        elif (sent := self._send(ping, session.connection)) is not None:
            self._accuracy.lateness.observe(sent.lateness)

    def _replace_connection(self, now: float) -> None:
        """Change to the spare connection between two pings. Begin to make it when the present login ends soon."""
        session = self._session
        if session is None or session.connection is None:
            return
        if not self._spare.is_ready:
            if self._breaker.state == "closed":
                self._spare.prepare(session.connection, now)
        elif not self._inflight.outstanding:
            self._session = spare = self._spare.take()
            session.close()
            if spare.connection is not None:
                self.connection_opened(spare.connection)

    def _error_without_attempt(self, lost: TargetError) -> TargetError:
        """Return the error of a probe for which nothing is tried: what opened the breaker, or else ``lost``."""
        return lost.untried() if self._breaker.state == "closed" else self._rejection_error()

    def _rejection_error(self) -> TargetError:
        """Return what opened the breaker, or a ping's error with the same reason, because that has the better hint."""
        error, ping_error = self._breaker.rejection_error(), self._accounting.last_failure
        return ping_error.untried() if ping_error is not None and ping_error.reason == error.reason else error

    def read_tcp_info(self) -> None:
        """Publish what the kernel knows about the connection now: round trips, and what it sent again."""
        if self._session is not None:
            self._session.read_tcp_info()

    def skipped(self, count: int, newest: float) -> None:
        """Record probes that came due while the exporter was late. The newest was due at ``newest``."""
        self._accounting.scheduled(count)
        self._accounting.skipped(count, newest)

    async def drain(self) -> None:
        """Wait until every probe in flight has its outcome, then close the connection. Call ``probe_due`` no more."""
        if self.in_flight:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        await self.stop()

    async def stop(self) -> None:
        """Close the connection. Probes in flight end without a verdict on the target."""
        self._timer.stop()
        await self._spare.stop()
        if self._session:
            await self._session.stop()
        self._accounting.abandoned([ping.token for ping in self._inflight.close_all()] + self._waiting)
        self._waiting.clear()

    def connection_opened(self, connection: ProbeConnection) -> None:
        """Send the pings that waited for the connection."""
        self._sequence.begin(connection)
        while self._waiting:
            ping = self._waiting.pop(0)
            if self._inflight.full:
                self._accounting.not_sent(ping, OperationTimeoutError("too many pings are unanswered"))
            elif self._send(ping, connection) is None:
                break

    def received(self, connection: ProbeConnection, received: Received) -> None:
        """Record each reply for the ping that it decides."""
        self._received_at = received.at
        epoch = self._wall_clock.epoch()
        for line in received.lines:
            number = connection.parse_sequence(line)
            error = connection.parse_error(line) if number is None else None
            for missing in self._sequence.missing_replies(number):
                self._accounting.failed(missing.token, ProtocolError("a later ping was answered, and this one was not"))
            oldest = self._inflight.oldest
            if oldest is None or oldest.token.sent is None:
                raise error or ProtocolError("a reply that belongs to no ping")
            ping, sent = oldest.token, oldest.token.sent
            is_same = ping.epoch == epoch
            measured = round_trip(
                sent.at, sent.at_ns, received.at, received.at_ns, received.kernel_timestamp, same_epoch=is_same
            )
            decided = self._inflight.record_reply(oldest.sent + measured.seconds)
            self._accounting.record_reply(ping, None if decided is None else decided.outcome, error, measured)
            if isinstance(error, MaxClientsError):
                self._max_clients_error = error
            self._was_answered = self._was_answered or error is None or not error.unavailable
            if isinstance(error, AuthError):
                raise error  # a new connection reads the credentials again
        if self._spare.is_ready:
            self._replace_connection(received.at)
        if not self._inflight.in_flight and not self._waiting:
            self._timer.stop()  # there is no deadline, and a wake-up would cost as much as the ping did
        self._notify_drained()

    def connection_lost(self, error: TargetError) -> None:
        """End every probe that is in flight or waits for the connection, with the reason of the loss."""
        error = self._max_clients_error or error  # a full server sends this error and then hangs up
        self._session, self._lost = None, error
        self._spare.drop()  # it may be dead too
        # A connection that had good replies may be replaced at once. Otherwise the next attempt waits for its turn.
        self._next_attempt = -math.inf if self._was_answered else self._attempted_at + self._trial_interval
        self._sequence.end(error)
        self._accounting.downtime.record_loss(self._now())
        waiting, self._waiting = self._waiting, []
        for ping in [lost.token for lost in self._inflight.close_all()] + waiting:
            self._accounting.failed(ping, error)
        self._notify_drained()

    def _send(self, ping: PendingPing, connection: ProbeConnection) -> InflightPing[PendingPing] | None:
        """Send a PING and return it as in flight. Return None if it cannot be sent: the connection is then closed."""
        ping.epoch = self._wall_clock.epoch()
        try:
            ping.sent = sent = connection.ping()
        except TargetError as error:
            self._waiting.append(ping)  # it is lost with the connection, for the same reason
            if (session := self._session) is not None:
                session.read()  # a server that hung up may have said why
                if session is self._session:
                    session.give_up(error)
            return None
        if not self._inflight.outstanding:
            self._received_at = sent.at  # silence is counted from the first unanswered ping
        inflight = self._inflight.open(ping.due, sent.at, ping)
        if sent.took > MAX_CERTAIN_SEND:
            self._accuracy.uncertain_sends.inc()
        self._set_timer()
        return inflight

    def _process_deadlines(self) -> None:
        """Read what has arrived, time out probes, and close a connection that is silent for too long."""
        session, inflight = self._session, self._inflight
        if inflight.outstanding and session is not None:
            session.read()  # the timestamp of a reply decides, not the moment at which it is noticed
        now = self._now()
        for expired in inflight.expire(now):
            self._accounting.failed(expired.token, OperationTimeoutError("no answer in time"))
        while self._waiting and self._waiting[0].due + self._timeout <= now:
            self._give_up_waiting(self._waiting.pop(0), is_queueing=session is not None and session.is_queueing)
        if inflight.outstanding and now - self._received_at > self._max_silence and self._session is not None:
            self._session.give_up(OperationTimeoutError(f"silent for {self._max_silence:g} s"))

    def _give_up_waiting(self, ping: PendingPing, *, is_queueing: bool) -> None:
        """End a probe that had no connection in time. ``is_queueing``: it still waited for others to connect."""
        if not is_queueing:
            self._accounting.failed(ping, self._client.connect_timeout_error())
        elif self._breaker.state == "closed":
            self._accounting.failed(ping, SkippedError("too many connects at once"))
        else:  # the target was down before, and nothing has shown since that it answers
            if ping.permit is not None:
                ping.permit.release()
            self._accounting.not_sent(ping, self._rejection_error())

    def _set_timer(self) -> None:
        """Wake up at the next deadline, unless the timer is set already."""
        if self._timer.is_set:
            return
        deadline = self._inflight.next_deadline()
        if deadline is not None and (oldest := self._inflight.oldest_undecided) is not self._reported and oldest:
            deadline = min(deadline, oldest.sent + self._overdue_after)
        if self._waiting:
            waiting = self._waiting[0].due + self._timeout
            deadline = waiting if deadline is None else min(deadline, waiting)
        if deadline is not None:
            self._timer.set(deadline - self._now())

    def _wake(self) -> None:
        self._process_deadlines()
        self._report_overdue()
        self._set_timer()
        self._notify_drained()

    def _report_overdue(self) -> None:
        """Report the oldest ping in flight once, if it waits for longer than ``stalls.threshold``."""
        oldest = self._inflight.oldest_undecided
        if oldest is None or oldest is self._reported or self._now() < oldest.sent + self._overdue_after:
            return
        self._reported = oldest
        self._accounting.overdue(oldest.token)

    def _notify_drained(self) -> None:
        if self._drained is not None and not self.in_flight and not self._drained.done():
            self._drained.set_result(None)

    def _check_accounting(self) -> float:
        """Return how many probes are in flight, at any address. Count an accounting error if a probe is missing."""
        if not self.balanced:
            self._accuracy.accounting_errors.inc()
        self._predecessors = [prober for prober in self._predecessors if prober.has_pings]
        return self.in_flight + self.draining
