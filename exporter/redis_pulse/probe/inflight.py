"""What became of every scheduled ping of one target: plain accounting, times passed in, no I/O.

    if slots.full: …                            # a failure (timeout): the target owes us too many replies
    slot = slots.open(due, clock(), token)      # the moment just before send
    sock.send(PING)                             # when it fails: slots.lost()
    …
    slot = slots.answered(received)             # its outcome is reply or timeout; None: a late reply, no outcome
    slot = slots.passed_over()                  # the next reply is to a later ping: a failure; None: it had one
    for slot in slots.expire(clock()): …        # each a failure (timeout)

Replies come in the order of the pings, so the pings on the wire are a queue. A slot that reached its deadline has its
outcome, but stays in the queue until its late reply takes it out. Every slot gets exactly one outcome:
``opened == replies + timeouts + losses + in_flight`` holds at every moment (``balanced``).

When a reply came is for the caller to say: by the kernel's stamp it may have come before it was read, and in time.

A round trip runs from ``sent`` to the reply, and the deadline is ``sent + timeout``. Counted from ``due``, our own
lateness would be booked as the target's latency; it is ``InflightPing.lateness``, to be published apart.
(Nothing is omitted by
that, because pings are sent on schedule whether or not earlier ones are answered.)

Which PING a reply belongs to: each carries a number, and the server gives it back.

Replies come in the order of the PINGs, but one may never come: a proxy on the way lost it, or the server's own fault
ate it. Without numbers every later reply would be taken for the answer to the PING before, a whole interval too slow,
for as long as the connection lives. Errors bear no number: they answer the oldest, and the next number sets it right.

A proxy may take a PING with a word for nonsense and hang up. So after a connection that was closed before anything was
answered on it, the next one is tried without numbers, and whatever follows that one again with them.
"""

from collections import deque
from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from redis_pulse.client import ProbeConnection
from redis_pulse.client.probe_connection import NUMBERS
from redis_pulse.errors import ConnectionResetByTargetError, ProtocolError, TargetError
from redis_pulse.probe.accounting import PendingPing

ReplyStatus = Literal["reply", "timeout", "lost"]
T = TypeVar("T")


class InflightPing(Generic[T]):
    """One ping on the wire. Times are monotonic seconds; ``token`` is whatever the prober wants to find again."""

    __slots__ = ("due", "outcome", "round_trip", "sent", "token")

    def __init__(self, due: float, sent: float, token: T) -> None:
        self.due = due
        self.sent = sent
        self.token = token
        #: None while the slot is open
        self.outcome: ReplyStatus | None = None
        #: seconds from ``sent`` to the reply; None without one
        self.round_trip: float | None = None

    @property
    def lateness(self) -> float:
        """Seconds from ``due`` to ``sent``: our own fault, no part of the round trip."""
        return max(0.0, self.sent - self.due)


class InflightPings(Generic[T]):
    """The pings on the wire of one connection after another, and the count of what became of all of them.

    ``timeout`` is in seconds; ``max_outstanding`` bounds the queue, pings that wait for a late reply included.
    Counters, which only grow: ``opened``; ``replies`` (in time), ``timeouts``, ``losses`` (outcomes); ``late_replies``
    (to slots that timed out). ``late_round_trip`` is that of the newest late reply, in seconds, None before the first.
    """

    __slots__ = (
        "_overdue", "_queue", "late_replies", "late_round_trip", "losses", "max_outstanding", "opened", "replies",
        "timeout", "timeouts",
    )  # fmt: skip

    def __init__(self, timeout: float, max_outstanding: int = 64) -> None:
        self.timeout = timeout
        self.max_outstanding = max_outstanding
        self.opened = self.replies = self.timeouts = self.losses = self.late_replies = 0
        self.late_round_trip: float | None = None
        self._queue: deque[InflightPing[T]] = deque()
        # Deadlines come in the order of sending, so the slots that timed out are the first of the queue.
        self._overdue = 0

    @property
    def outstanding(self) -> int:
        """Pings on the wire without a reply, timed out or not."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """Pings on the wire without an outcome."""
        return len(self._queue) - self._overdue

    @property
    def oldest(self) -> InflightPing[T] | None:
        """The ping that the next reply belongs to."""
        return self._queue[0] if self._queue else None

    @property
    def full(self) -> bool:
        """Whether the target owes us so many replies that no further ping may be sent."""
        return len(self._queue) >= self.max_outstanding

    @property
    def balanced(self) -> bool:
        """Whether every slot has had exactly one outcome or is in flight; anything else is a bug of ours."""
        return self.opened == self.replies + self.timeouts + self.losses + self.in_flight

    def open(self, due: float, sent: float, token: T) -> InflightPing[T]:
        """Book a ping that goes on the wire now. ``sent`` never goes back. Raises RuntimeError when ``full``."""
        if self.full:
            raise RuntimeError(f"{self.max_outstanding} pings are unanswered: look at `full` before sending")
        slot = InflightPing(due, sent, token)
        self._queue.append(slot)
        self.opened += 1
        return slot

    def record_reply(self, received: float) -> InflightPing[T] | None:
        """Book the next reply, received at ``received``. Returns the slot it decides, or None when it comes too late.

        A reply at or after the deadline of its slot is late, also when ``expire`` was not called in between: the slot
        is then returned once, with the outcome ``timeout``. Raises LookupError for a reply that nobody asked for: the
        connection is out of step and must be given up.
        """
        if not self._queue:
            raise LookupError("a reply without a ping")
        slot = self._queue.popleft()
        slot.round_trip = max(0.0, received - slot.sent)
        if received < slot.sent + self.timeout and slot.outcome is None:
            slot.outcome = "reply"
            self.replies += 1
            return slot
        self.late_replies += 1
        self.late_round_trip = slot.round_trip
        if slot.outcome is None:
            slot.outcome = "timeout"
            self.timeouts += 1
            return slot
        self._overdue -= 1
        return None

    def drop_oldest(self) -> InflightPing[T] | None:
        """Close the oldest ping: a later one was answered before it, so its own reply will not come any more.

        Returns the slot when that decides it, None when it had timed out. Raises LookupError when there is none.
        """
        if not self._queue:
            raise LookupError("no ping to pass over")
        slot = self._queue.popleft()
        if slot.outcome is not None:
            self._overdue -= 1
            return None
        slot.outcome = "lost"
        self.losses += 1
        return slot

    def expire(self, now: float) -> list[InflightPing[T]]:
        """Close the slots whose deadline is reached, oldest first. Read the socket before: a reply may lie there."""
        expired = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            slot = self._queue[self._overdue]
            slot.outcome = "timeout"
            self._overdue += 1
            expired.append(slot)
        self.timeouts += len(expired)
        return expired

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do next; None when nothing is in flight."""
        return self._queue[self._overdue].sent + self.timeout if self.in_flight else None

    def close_all(self) -> list[InflightPing[T]]:
        """Close all slots in flight, oldest first: the connection is gone, and no reply will come any more."""
        lost = list(self._queue)[self._overdue :]
        for slot in lost:
            slot.outcome = "lost"
        self.losses += len(lost)
        self._queue.clear()
        self._overdue = 0
        return lost


class PingSequence:
    """Finds what was left out before a reply, in the pings on the wire."""

    __slots__ = ("_is_heard", "_is_wanted", "_slots")

    def __init__(self, slots: InflightPings[PendingPing]) -> None:
        self._slots = slots
        self._is_wanted = True
        self._is_heard = False

    def begin(self, wire: ProbeConnection) -> None:
        """Let the PINGs of a new connection carry numbers, unless the one before died of it."""
        wire.numbered = self._is_wanted
        self._is_heard = False

    def missing_replies(self, number: int | None) -> Sequence[InflightPing[PendingPing]]:
        """Close the pings before the one that a reply is to, and return those that had no outcome yet.

        Raises ProtocolError when no ping of that number is on the wire: a reply came twice, or is somebody else's.
        """
        self._is_heard = True
        oldest = self._slots.oldest
        if number is None or oldest is None:
            return ()
        first = None if oldest.token.sent is None else oldest.token.sent.number
        if number == first:
            return ()
        ahead = self._slots.outstanding if first is None else (number - first) % NUMBERS
        if ahead >= self._slots.outstanding:
            raise ProtocolError("a reply that nobody asked for")
        return [slot for _ in range(ahead) if (slot := self._slots.drop_oldest()) is not None]

    def end(self, error: TargetError) -> None:
        """Take note of how a connection ended, before its pings are closed."""
        died = isinstance(error, ConnectionResetByTargetError) and self._slots.outstanding > 0 and not self._is_heard
        self._is_wanted = not (self._is_wanted and died)
