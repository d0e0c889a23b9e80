"""A prober that lends its connection to the process with the pings while all is well (``probe.process``).

It lends the connection between two pings, if the newest was answered and the breaker is closed. The process then sends
the PINGs, and reports each with its times. The prober records each report as if it had sent the PING itself: with the
same accounting, breaker and observer. So the process changes when a PING leaves, and nothing else.

It recalls the connection when a ping waits for long, the breaker opens or the target moves. It also does so before the
login ends. What follows is the work of ``Prober``. A connection with TLS is never lent.
"""

import asyncio
import math
from typing import Any

from redis_pulse.client import ProbeConnection, Received, SentPing
from redis_pulse.errors import SkippedError, TargetError
from redis_pulse.pinger.messages import DATA, LOST, SENT, SKIPPED, WHOLE, PingReport
from redis_pulse.probe.accounting import PendingPing
from redis_pulse.probe.ping_process import Loan, PingProcess
from redis_pulse.probe.prober import MAX_CERTAIN_SEND, Prober
from redis_pulse.probe.session import ProbeSession

#: Seconds for which a ping may wait on a lent connection, at least. A busy process needs some.
MIN_PATIENCE = 0.1
#: So many pings are sent here after a connection came back. A target that is not well would come and go otherwise.
PINGS_HERE = 5


class LendingProber(Prober):
    """Pings one target, from this process or from the other. ``schedule`` must be set before the first ping is due."""

    def __init__(self, *arguments: Any, process: PingProcess, predecessor: Prober | None = None, **named: Any) -> None:
        self._process = process
        self._loan: Loan | None = None
        self._lent_session: ProbeSession | None = None
        self._is_back = asyncio.Event()
        self._pings_here = 0  # those that are still to be sent here
        if isinstance(predecessor, LendingProber):
            predecessor.recall()
        super().__init__(*arguments, predecessor=predecessor, **named)
        settings = self._client.target
        self._interval = settings.probe.interval
        overdue = settings.stalls.threshold if settings.stalls.enabled else math.inf
        #: Seconds for which a ping may wait before the connection is recalled.
        self._patience = max(MIN_PATIENCE, min(settings.probe.timeout, overdue) / 2)

    @property
    def has_pings(self) -> bool:
        """Whether a probe has no outcome yet, or another one may still be reported."""
        return self._loan is not None or super().has_pings

    @property
    def is_lent(self) -> bool:
        """Whether the other process sends the pings."""
        return self._loan is not None

    def probe_due(self, due: float) -> None:
        """Lend the connection if all is well. Otherwise send the PING here."""
        connection = self.connection
        if connection is None or not self._may_lend(connection) or not self._lend(connection, due):
            self._pings_here -= 1
            super().probe_due(due)

    def recall(self) -> None:
        """Ask for the connection."""
        if self._loan is not None:
            self._process.recall(self._loan)

    async def drain(self) -> None:
        """Wait until every probe in flight has its outcome, then close the connection."""
        if self._loan is not None:
            self.recall()
            await self._is_back.wait()
        await super().drain()

    async def stop(self) -> None:
        """Close the connection. Probes in flight end without a verdict on the target."""
        if self._loan is not None:
            self._process.forget(self._loan)
            self._end_loan()
        await super().stop()

    def connection_lost(self, error: TargetError) -> None:
        """End every probe in flight with the reason of the loss."""
        self.recall()
        super().connection_lost(error)

    def on_report(self, report: PingReport, data: bytes) -> None:
        """Record what the process reports, as if it had happened here."""
        if report.kind in (WHOLE, SENT):
            self._record_ping(report)
        elif report.kind == SKIPPED:
            self.skipped(report.number, report.due)
        elif (session := self._lent_session) is None or session.connection is None or session is not self._session:
            return  # the connection was given up meanwhile
        elif report.kind == LOST:
            session.give_up(session.connection.loss(report.number))
        elif report.kind == DATA:
            self._receive(session, session.connection, data, report)
        if self._must_recall():
            self.recall()

    def on_beat(self, known_until: float) -> None:
        """Recall the connection if a ping waits for long."""
        oldest = self._inflight.oldest
        if self._loan is None:
            return
        if oldest is None:
            self._process.stop_waiting(self._loan)
        elif known_until - oldest.sent > self._patience:
            self.recall()

    def on_returned(self, due: float, number: int) -> None:
        """Send the next pings here."""
        session, self._pings_here = self._end_loan(), PINGS_HERE
        if session is not None and session is self._session and session.connection is not None:
            session.connection.take_back(number, session.read)
            self._set_timer()
        self._notify_drained()
        self.schedule.resume(due)

    def on_process_lost(self, due: float) -> None:
        """Make another connection: on this one there may be replies to pings that were never reported."""
        session = self._end_loan()
        if session is not None and session is self._session:
            session.close()
            self._session = self._lost = None
            self._next_attempt = -math.inf
            self._spare.drop()
        for ping in self._inflight.close_all():
            self._accounting.failed(ping.token, SkippedError("the process with the pings has ended"))
        self._notify_drained()
        self.schedule.resume(due)

    def _may_lend(self, connection: ProbeConnection) -> bool:
        last = self._accounting.last
        is_well = last is not None and last.error is None and self._breaker.state == "closed" and self._pings_here <= 0
        is_quiet = not self._inflight.outstanding and not self._waiting and not self._spare.is_ready
        return is_well and is_quiet and connection.can_be_lent and not self._client.must_replace(connection)

    def _must_recall(self) -> bool:
        connection = self.connection
        is_well = connection is not None and self._breaker.state == "closed" and not self.is_replaced
        return not is_well or connection is None or self._client.must_replace(connection)

    def _lend(self, connection: ProbeConnection, due: float) -> bool:
        """Let the process send this ping and all after it. Return whether it does."""
        descriptor, number = connection.lend()
        loan = self._process.lend(self, descriptor, due, number, self._interval, is_numbered=connection.is_numbered)
        if loan is None:
            if self._session is not None:
                connection.take_back(number, self._session.read)
            return False
        self._loan, self._lent_session = loan, self._session
        self._is_back.clear()
        self._timer.stop()
        self.schedule.pause()
        return True

    def _end_loan(self) -> ProbeSession | None:
        """Return the session whose connection was lent."""
        session, self._loan, self._lent_session = self._lent_session, None, None
        self._is_back.set()
        return session

    def _record_ping(self, report: PingReport) -> None:
        """Record a scheduled probe whose PING was sent, as ``probe_due`` does, and its reply if there is one."""
        session = self._lent_session
        connection = None if session is None or session is not self._session else session.connection
        self._accounting.scheduled()
        ping = PendingPing(report.due, self._breaker.acquire_probe(report.due))
        number = report.number if connection is None or connection.is_numbered else None
        ping.sent = sent = SentPing(report.sent, report.sent_ns, report.took, number, bool(report.is_stamped))
        ping.epoch = self._wall_clock.epoch()
        if session is None or connection is None or self._inflight.full:
            self._accounting.failed(ping, self._lost or TargetError("the connection was given up"))
            return
        if not self._inflight.outstanding:
            self._received_at = sent.at
        inflight = self._inflight.open(report.due, sent.at, ping)
        if sent.took > MAX_CERTAIN_SEND:
            self._accuracy.uncertain_sends.inc()
        self._accuracy.lateness.observe(inflight.lateness)
        if report.kind == WHOLE:
            self._receive(session, connection, b"+PONG\r\n" if number is None else b"$6\r\n%06d\r\n" % number, report)
        elif self._loan is not None:
            self._process.wait_for_reply(self._loan)

    def _receive(self, session: ProbeSession, connection: ProbeConnection, data: bytes, report: PingReport) -> None:
        """Record replies that the process has read, as ``ProbeSession.read`` does."""
        try:
            received: Received | None = connection.decode(data, report.read, report.read_ns, report.timestamp or None)
            if received is not None:
                self.received(connection, received)
        except TargetError as error:
            session.give_up(error)

    def _process_deadlines(self) -> None:
        if self._loan is None:  # the socket of a lent connection is read by the process
            super()._process_deadlines()

    def _set_timer(self) -> None:
        if self._loan is None:
            super()._set_timer()
