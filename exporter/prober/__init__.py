"""What a client feels: timed PINGs on one connection of their own, open loop.

A slot comes due on the schedule's grid and its PING leaves then, although earlier ones are unanswered: a stall of two
seconds is seen by every slot that fell into it. Each slot ends in exactly one outcome: success, or one reason. A slot
that timed out keeps its place in the queue until its late reply; nobody reconnects because of a timeout.

A slot that finds no connection waits for one within its own deadline; the connecting is timed apart, as the operation
``connect``.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from exporter.breaker import Breaker, Permit
from exporter.client import Client, Wire
from exporter.errors import AuthError, OperationTimeoutError, ProtocolError, RejectedError, TargetError
from exporter.instruments import TargetInstruments
from exporter.prober.session import Session
from exporter.slots import Slot, Slots

PING = "ping"


class Outcome(NamedTuple):
    """How the newest slot ended: seconds for a success, or the error; ``at`` in seconds on our clock."""

    due: float
    at: float
    seconds: float | None
    error: TargetError | None


class Observer(Protocol):
    """Who wants to know how slots end."""

    def probed(self, outcome: Outcome) -> None:
        """Take note of the outcome of a slot."""
        ...


class _Ping(NamedTuple):
    due: float
    permit: Permit


class Prober:
    """Pings one target; ``slot(due)`` is called for every slot of the schedule."""

    def __init__(
        self,
        client: Client,
        breaker: Breaker,
        instruments: TargetInstruments,
        observer: Observer,
        *,
        clock: Callable[[], float],
    ) -> None:
        probe = client.target.settings.probe
        self._timeout = probe.timeout
        self._silence = probe.silence
        self._client = client
        self._breaker = breaker
        self._instruments = instruments
        self._operation = instruments.operation(PING)
        self._observer = observer
        self._clock = clock
        self._slots: Slots[_Ping] = Slots(probe.timeout, probe.max_outstanding)
        self._waiting: list[_Ping] = []  # due while there was no connection
        self._session: Session | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._stopped = False
        self.last: Outcome | None = None
        #: what is wrong, when something is: the newest error that is not merely the open breaker
        self.trouble: TargetError | None = None

    async def slot(self, due: float) -> None:
        """Let one slot take its course: it is sent now, and ends later."""
        self._operation.total.inc()
        self._expire()
        held_back = self._client.hold_back() if self._session is None else None
        if held_back is not None:
            self._settle(due, None, held_back)
            return
        permit = self._breaker.acquire()
        if permit is None:
            self._settle(due, None, RejectedError("the circuit breaker is open"))
            return
        ping = _Ping(due, permit)
        if self._session is None or self._session.wire is None:
            self._waiting.append(ping)
            self._arm()
            self._session = self._session or Session(self._client, self)
        elif self._slots.full:
            self._settle(due, permit, OperationTimeoutError("too many pings are unanswered"))
        else:
            await self._send(ping, self._session.wire)

    def skipped(self, count: int) -> None:
        """Book slots that came due while we were late: our fault, and said so."""
        self._operation.total.inc(count)
        self._operation.failed("skipped", count=count)

    async def stop(self) -> None:
        """Close the connection; slots in flight end without a verdict on the target."""
        self._stopped = True
        if self._timer:
            self._timer.cancel()
        if self._session:
            await self._session.stop()
        for ping in [slot.token for slot in self._slots.lost()] + self._waiting:
            ping.permit.release()
        self._waiting.clear()

    async def opened(self, wire: Wire) -> None:
        """Send what waited for the connection."""
        self._heard = self._clock()
        waiting, self._waiting = self._waiting, []
        for ping in waiting:
            await self._send(ping, wire)

    def ended(self) -> None:
        """Connect anew for slots that came due while the connection was being closed."""
        self._session = None
        if self._waiting and not self._stopped:
            self._session = Session(self._client, self)

    async def _send(self, ping: _Ping, wire: Wire) -> None:
        # `open` and the write inside `ping()` happen without a switch of tasks in between: the queue is in wire order.
        now = self._clock()
        if not self._slots.outstanding:
            self._heard = now  # silence is counted from the first unanswered ping
        self._slots.open(ping.due, now, ping)
        self._arm()
        try:
            await wire.ping()
        except TargetError as error:
            self._hang_up(error)

    def answered(self, error: TargetError | None) -> None:
        """Book the next reply on the slot that it decides."""
        now = self._heard = self._clock()
        try:
            slot = self._slots.answered(now)
        except LookupError:
            raise ProtocolError("a reply that nobody asked for") from None
        if slot is None:
            self._late()
        elif slot.outcome == "timeout":
            self._timed_out(slot)
            self._late()
        elif error is None:
            self._settle(slot.due, slot.token.permit, None, slot.round_trip)
        else:
            self._settle(slot.due, slot.token.permit, error)
        if isinstance(error, AuthError):
            raise error  # a new connection reads the credentials anew

    def _late(self) -> None:
        self._instruments.late_replies.inc()
        self._instruments.late_seconds.set(self._slots.late_round_trip or 0.0)

    def _expire(self) -> None:
        """Close what is past its deadline; give up a connection that has been silent for too long."""
        now = self._clock()
        for slot in self._slots.expire(now):
            self._timed_out(slot)
        while self._waiting and self._waiting[0].due + self._timeout <= now:
            ping = self._waiting.pop(0)
            self._settle(ping.due, ping.permit, OperationTimeoutError("no connection in time"))
        if self._slots.outstanding and now - self._heard > self._silence:
            self._hang_up(OperationTimeoutError(f"silent for {self._silence:g} s"))
        self._arm()

    def _arm(self) -> None:
        """Wake at the next deadline."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        deadlines = [self._slots.next_deadline()]
        if self._waiting:
            deadlines.append(self._waiting[0].due + self._timeout)
        known = [deadline for deadline in deadlines if deadline is not None]
        if known:
            wait = max(0.0, min(known) - self._clock())
            self._timer = asyncio.get_running_loop().call_later(wait, self._expire)

    def _hang_up(self, error: TargetError) -> None:
        self.lost(error)
        if self._session:
            self._session.hang_up()

    def lost(self, error: TargetError) -> None:
        """Every slot that was in flight, or waited for the connection, ends with the reason of its loss."""
        for slot in self._slots.lost():
            self._settle(slot.due, slot.token.permit, error)
        waiting, self._waiting = self._waiting, []
        for ping in waiting:
            self._settle(ping.due, ping.permit, error)

    def _timed_out(self, slot: Slot[_Ping]) -> None:
        self._settle(slot.due, slot.token.permit, OperationTimeoutError("no answer in time"))

    def _settle(
        self, due: float, permit: Permit | None, error: TargetError | None, seconds: float | None = None
    ) -> None:
        """Book the one outcome of a slot."""
        if error is None and seconds is not None:
            self._operation.succeeded(seconds)
        elif error is not None:
            self._operation.failed(error.reason, self._timeout if isinstance(error, OperationTimeoutError) else None)
        if permit is not None:
            permit.failure() if error is not None and error.unavailable else permit.success()
        if not isinstance(error, RejectedError):
            self.trouble = error
        if self.last is None or due >= self.last.due:
            self.last = Outcome(due, self._clock(), seconds, error)
            self._instruments.up.set(error is None)
            self._observer.probed(self.last)
