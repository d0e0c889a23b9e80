"""The pings in flight on the connection of one target. Finds the outcome of each, and the ping of each reply.

Plain accounting: times are passed in, and there is no I/O. A caller uses it like this::

    if pings.full: …                              # a failure (timeout): too many replies are outstanding
    pings.open(due, clock(), token)               # the clock is read just before the send
    sock.send(PING)                               # if this fails: pings.close_all()
    …
    ping = pings.record_reply(received_at)        # its outcome is reply or timeout; None: a late reply, no outcome
    ping = pings.drop_oldest()                    # the next reply is to a later ping: a failure; None: it had one
    for ping in pings.expire(clock()): …          # each is a failure (timeout)

**Outcomes.** Replies come in the order of the pings, so the pings in flight are a queue. At its deadline a
ping gets its outcome, but it stays in the queue until its late reply removes it. Every ping gets exactly one
outcome: ``opened == replies + timeouts + losses + in_flight`` always holds (``balanced``).

**Times.** The caller says when a reply was received. By the kernel timestamp that may be earlier than it was read, and
in time. A round trip runs from ``sent`` to the reply, and the deadline is ``sent + timeout``. If both were counted from
``due``, the exporter's own lateness would be recorded as latency of the target. That lateness is
``InflightPing.lateness``, and it is published separately. This does not cause coordinated omission, because pings are
sent on schedule whether or not earlier ones are answered.

**Numbers.** Each PING carries a number, which the server returns. A reply may never come, because a proxy lost it or
the server failed to send it. Without numbers, every later reply would then be taken for the reply to the ping before.
It would look a whole interval too slow, for as long as the connection lasts. An error reply has no number. It is taken
for the reply to the oldest ping, and the next number corrects that.

A proxy may reject PING with an argument and close the connection. So after a connection that is closed before any
reply, the next one is tried without numbers. The one after that is tried with numbers again.
"""

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from redis_pulse.client import ProbeConnection
from redis_pulse.client.probe_connection import NUMBER_COUNT
from redis_pulse.errors import ConnectionResetByTargetError, ProtocolError, TargetError
from redis_pulse.probe.accounting import PendingPing

ReplyStatus = Literal["reply", "timeout", "lost"]
T = TypeVar("T")


class InflightPing(Generic[T]):
    """One ping in flight. Times are monotonic seconds. ``token`` is any object that the caller wants back."""

    __slots__ = ("due", "outcome", "round_trip", "sent", "token")

    def __init__(self, due: float, sent: float, token: T) -> None:
        self.due = due
        self.sent = sent
        self.token = token
        #: None until the outcome is decided.
        self.outcome: ReplyStatus | None = None
        #: Seconds from ``sent`` to the reply; None until then.
        self.round_trip: float | None = None

    @property
    def lateness(self) -> float:
        """Seconds from ``due`` to ``sent``: the exporter's own delay, which is not part of the round trip."""
        return max(0.0, self.sent - self.due)


class InflightPings(Generic[T]):
    """The pings in flight on one connection after another, and the counts of their outcomes.

    ``timeout`` is in seconds. ``max_outstanding`` limits the queue, including pings that wait for a late reply.
    All counters only grow: ``opened``, the outcomes ``replies`` (in time), ``timeouts`` and ``losses``, and
    ``late_replies``. A late reply is one to a ping that timed out.
    """

    __slots__ = (
        "_overdue", "_queue", "late_replies", "losses", "max_outstanding", "opened", "replies", "timeout", "timeouts",
    )  # fmt: skip

    def __init__(self, timeout: float, max_outstanding: int = 64) -> None:
        self.timeout = timeout
        self.max_outstanding = max_outstanding
        self.opened = self.replies = self.timeouts = self.losses = self.late_replies = 0
        self._queue: list[InflightPing[T]] = []  # it is short, and a deque would take 700 bytes more
        # Deadlines come in the order of sending, so the pings that timed out are the first in the queue.
        self._overdue = 0

    @property
    def outstanding(self) -> int:
        """How many pings have no reply yet, whether or not they timed out."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """How many pings have no outcome yet."""
        return len(self._queue) - self._overdue

    @property
    def oldest(self) -> InflightPing[T] | None:
        """The ping that the next reply belongs to, or None."""
        return self._queue[0] if self._queue else None

    @property
    def newest(self) -> InflightPing[T] | None:
        """The ping that was sent last among those without a reply, or None."""
        return self._queue[-1] if self._queue else None

    @property
    def full(self) -> bool:
        """Whether so many replies are outstanding that no further ping may be sent."""
        return len(self._queue) >= self.max_outstanding

    @property
    def balanced(self) -> bool:
        """Whether every ping has exactly one outcome or is in flight. False is a fault of the exporter."""
        return self.opened == self.replies + self.timeouts + self.losses + self.in_flight

    def open(self, due: float, sent: float, token: T) -> InflightPing[T]:
        """Add a ping that is sent now, and return it. ``sent`` must never decrease. Raises RuntimeError if ``full``."""
        if self.full:
            raise RuntimeError(f"{self.max_outstanding} pings are unanswered: check `full` before sending")
        ping = InflightPing(due, sent, token)
        self._queue.append(ping)
        self.opened += 1
        return ping

    def record_reply(self, received: float) -> InflightPing[T] | None:
        """Record the next reply, received at ``received``. Return the ping that it decides, or None if it is too late.

        A reply at or after the deadline of its ping is late, even if ``expire`` was not called in between. The ping is
        then returned once, with the outcome ``timeout``. Raises LookupError for a reply without a ping: the connection
        is out of step and must be closed.
        """
        if not self._queue:
            raise LookupError("a reply without a ping")
        ping = self._queue.pop(0)
        ping.round_trip = max(0.0, received - ping.sent)
        if received < ping.sent + self.timeout and ping.outcome is None:
            ping.outcome = "reply"
            self.replies += 1
            return ping
        self.late_replies += 1
        if ping.outcome is None:
            ping.outcome = "timeout"
            self.timeouts += 1
            return ping
        self._overdue -= 1
        return None

    def drop_oldest(self) -> InflightPing[T] | None:
        """Remove the oldest ping: a later one was answered before it, so its own reply will not come.

        Return the ping if that decides it, or None if it had timed out. Raises LookupError if there is no ping.
        """
        if not self._queue:
            raise LookupError("no ping to drop")
        ping = self._queue.pop(0)
        if ping.outcome is not None:
            self._overdue -= 1
            return None
        ping.outcome = "lost"
        self.losses += 1
        return ping

    def expire(self, now: float) -> list[InflightPing[T]]:
        """Time out the pings whose deadline has come, and return them, oldest first.

        The caller must read the socket before, because a reply that came in time may be waiting there.
        """
        expired = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            ping = self._queue[self._overdue]
            ping.outcome = "timeout"
            self._overdue += 1
            expired.append(ping)
        self.timeouts += len(expired)
        return expired

    def next_deadline(self) -> float | None:
        """Return when ``expire`` has something to do next, or None if no ping is in flight."""
        return self._queue[self._overdue].sent + self.timeout if self.in_flight else None

    @property
    def oldest_undecided(self) -> InflightPing[T] | None:
        """The oldest ping without an outcome, or None."""
        return self._queue[self._overdue] if self.in_flight else None

    def close_all(self) -> list[InflightPing[T]]:
        """End all pings in flight and return them, oldest first: the connection is gone, and no reply will come."""
        lost = self._queue[self._overdue :]
        for ping in lost:
            ping.outcome = "lost"
        self.losses += len(lost)
        self._queue.clear()
        self._overdue = 0
        return lost


class PingSequence:
    """Uses the numbers of pings to find out which of the pings in flight a reply leaves out."""

    __slots__ = ("_has_reply", "_inflight", "_uses_numbers")

    def __init__(self, inflight: InflightPings[PendingPing]) -> None:
        self._inflight = inflight
        #: Whether the current connection uses numbers, and whether a reply has come on it.
        self._uses_numbers = True
        self._has_reply = False

    def begin(self, connection: ProbeConnection) -> None:
        """Let the PINGs of a new connection carry numbers, unless the connection before was closed because of them."""
        connection.is_numbered = self._uses_numbers
        self._has_reply = False

    def missing_replies(self, number: int | None) -> Sequence[InflightPing[PendingPing]]:
        """Drop the pings before the one with this number. Return those of them that had no outcome yet.

        Raises ProtocolError if no ping in flight has this number: a reply came twice, or belongs to another client.
        """
        self._has_reply = True
        oldest = self._inflight.oldest
        if number is None or oldest is None:
            return ()
        first = None if oldest.token.sent is None else oldest.token.sent.number
        if number == first:
            return ()
        ahead = self._inflight.outstanding if first is None else (number - first) % NUMBER_COUNT
        if ahead >= self._inflight.outstanding:
            raise ProtocolError("a reply that belongs to no ping")
        return [ping for _ in range(ahead) if (ping := self._inflight.drop_oldest()) is not None]

    def end(self, error: TargetError) -> None:
        """Record how a connection ended. Must be called before its pings are closed."""
        was_reset = isinstance(error, ConnectionResetByTargetError)
        closed_by_first_ping = was_reset and self._inflight.outstanding > 0 and not self._has_reply
        self._uses_numbers = not (self._uses_numbers and closed_by_first_ping)
