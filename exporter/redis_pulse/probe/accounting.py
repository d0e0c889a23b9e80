"""Since when a target does not answer, as near as can be said: it is asked once an interval only. Pure.

The longest of what was seen lately: a number a target, nothing allocated.

The books of one target's slots: each is booked as scheduled, and ends in exactly one outcome.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from redis_pulse.circuit_breaker import Permit
from redis_pulse.client import SentPing
from redis_pulse.config import TargetSettings
from redis_pulse.errors import OperationTimeoutError, RejectedError, SkippedError, TargetError
from redis_pulse.probe.clock import RoundTrip, WallClockMonitor
from redis_pulse.probe.csv_log import ProbeCsvLog, csv_prefix
from redis_pulse.telemetry import TargetMetrics, families


class DowntimeEstimator:
    """Of one target that is asked every ``interval`` seconds. Times are in seconds on our clock."""

    __slots__ = ("_broke", "_failed", "_interval", "_lost", "answered")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        #: when it last answered well, and in time; None when it never did
        self.answered: float | None = None
        #: when the first slot that failed was due, and when the connection broke before it failed
        self._failed: float | None = None
        self._broke: float | None = None
        self._lost: float | None = None

    def answered_at(self, now: float) -> None:
        """Take note of a good answer."""
        self.answered = now
        self._failed = self._lost = self._broke = None

    def failed(self, due: float) -> None:
        """Take note of a slot, due then, that failed; the loss that made it fail, if one did, was told before."""
        if self._failed is None:
            self._failed, self._broke = due, self._lost

    def lost(self, now: float) -> None:
        """Take note that the connection was lost, or could not be made."""
        if self._lost is None:
            self._lost = now

    def since(self, *, is_waiting: bool) -> float | None:
        """Return since when; None while it answers. ``is_waiting``: a ping is unanswered just now.

        Since its connection was lost; where that did not tell, half way between its last answer and the first ping
        that failed, which is at most half an interval off.
        """
        first, broke = self._failed, self._broke
        if first is None and is_waiting and self.answered is not None:
            first, broke = self.answered + self._interval, self._lost
        if first is None or broke is not None:
            return broke
        return first if self.answered is None else (self.answered + max(self.answered, first)) / 2


class RollingMax:
    """The longest duration in the present window of ``length`` seconds and the one before.

    So whoever looks at least once a window sees every peak. Times are monotonic seconds.
    """

    __slots__ = ("_before", "_ends", "_length", "_present")

    def __init__(self, length: float) -> None:
        self._length = length
        self._ends = 0.0
        self._present = self._before = 0.0

    def observe(self, now: float, seconds: float) -> None:
        """Take note of a duration."""
        if now >= self._ends:
            self._turn(now)
        self._present = max(self._present, seconds)

    def value(self, now: float) -> float:
        """Return the longest; 0 when there was none."""
        if now >= self._ends:
            self._turn(now)
        return max(self._present, self._before)

    def _turn(self, now: float) -> None:
        self._before = self._present if now < self._ends + self._length else 0.0
        self._present = 0.0
        self._ends = now + self._length


PING = "ping"
#: Lines that the probe log gets at most for slots skipped in a row: we may have been stopped for a day.
MAX_SKIPPED = 1000


class ProbeResult(NamedTuple):
    """How the newest slot ended: seconds for a success, or the error; ``at`` in seconds on our clock."""

    due: float
    at: float
    seconds: float | None
    error: TargetError | None


class ProbeObserver(Protocol):
    """Who wants to know how slots end."""

    def on_probe(self, outcome: ProbeResult) -> None:
        """Take note of the outcome of a slot."""
        ...


class PendingPing:
    """One slot that was not refused: when it is due, the breaker's permit, and when it was sent, in which epoch."""

    __slots__ = ("due", "epoch", "permit", "sent")

    def __init__(self, due: float, permit: Permit | None) -> None:
        self.due = due
        self.permit = permit
        self.sent: SentPing | None = None
        self.epoch = 0


class ProbeTotals:
    """What goes on when a target moves: its slots that came due and that ended, and how long they took lately."""

    __slots__ = ("ended", "longest", "scheduled")

    def __init__(self, longest: RollingMax) -> None:
        #: ``scheduled == ended + in flight`` always, the pings in flight at earlier addresses included
        self.scheduled = self.ended = 0
        self.longest = longest


class ProbeAccounting:
    """Books every slot of a target, in its instruments, its breaker and the probe log.

    ``before`` is the ledger of the same target until now: its books go on. It takes only the outcomes of pings that are
    still in flight. At another address these say nothing of the target as it is now; at the same address they do.
    """

    def __init__(
        self,
        settings: TargetSettings,
        instruments: TargetMetrics,
        observer: ProbeObserver,
        clocks: WallClockMonitor,
        log: ProbeCsvLog | None,
        before: "ProbeAccounting | None" = None,
    ) -> None:
        self.settings = settings
        self._metrics = instruments
        self._observer = observer
        self._wall_clock = clocks
        self._log = log
        self._timeout = settings.probe.timeout
        self._interval = settings.probe.interval
        self._operation = instruments.operation(PING)
        self._not_sent = instruments.value(families.NOT_SENT)
        self._by_clock = {clock: instruments.value(families.PROBE_CLOCK, clock) for clock in ("kernel", "user")}
        self.totals: ProbeTotals = ProbeTotals(RollingMax(settings.poll.interval)) if before is None else before.totals
        self._csv_prefix = csv_prefix(settings.name, settings.endpoint)
        self.last: ProbeResult | None = None
        self.silence = DowntimeEstimator(settings.probe.interval)
        #: what is wrong, when something is: the newest error that is not merely the open breaker
        self.last_failure: TargetError | None = None
        #: whether another ledger is that of the target now, and which one learns of the newest outcome then
        self.is_replaced = False
        self.successor: ProbeAccounting | None = None
        if before is not None:
            self._follow(before)
        instruments.callbacks[families.LONGEST, PING] = lambda: self.totals.longest.value(clocks.now())

    def _follow(self, before: "ProbeAccounting") -> None:
        old, new = before.settings, self.settings
        before.is_replaced = True
        if old.poll.interval != new.poll.interval:
            self.totals.longest = RollingMax(new.poll.interval)
        if old.endpoint != new.endpoint:
            self._metrics.up.set(0)  # nothing is known of the new address
            return
        before.successor = self
        self.last, self.last_failure = before.last, before.last_failure
        if old.probe.interval == new.probe.interval:
            self.silence = before.silence

    def scheduled(self, count: int = 1) -> None:
        """Book slots as scheduled."""
        self.totals.scheduled += count
        self._operation.total.inc(count)

    def skipped(self, count: int, newest: float) -> None:
        """Book slots that came due, the last at ``newest``, while we were late or busy with ourselves."""
        self.totals.ended += count
        self._operation.failed("skipped", count=count)
        if self._log is not None:
            for number in range(min(count, MAX_SKIPPED) - 1, -1, -1):
                self._write(self._log, PendingPing(newest - number * self._interval, None), None, "skipped")

    def abandoned(self, pings: Sequence[PendingPing]) -> None:
        """Close slots without an outcome: nobody probes this target any more."""
        self.totals.ended += len(pings)
        for ping in pings:
            if ping.permit is not None:
                ping.permit.release()

    def record_reply(self, ping: PendingPing, decided: str | None, error: TargetError | None, trip: RoundTrip) -> None:
        """Book a reply, which decides its slot: ``reply``, ``timeout``, or None when that was decided long ago.

        Also whose clock told when it came, and what our own would have added.
        """
        self._by_clock[trip.clock].inc()
        if trip.late is not None:
            self._metrics.probe_accuracy.overhead.observe(trip.late)
        if decided != "reply":
            self._metrics.late_replies.inc()
            self._metrics.late_seconds.set(trip.seconds)
            if decided is not None:
                self.failed(ping, OperationTimeoutError("no answer in time"), trip)
        elif error is not None:
            self.failed(ping, error, trip)
        else:
            self._operation.succeeded(trip.seconds)
            now = self._wall_clock.now()
            self.silence.answered_at(now)
            self.totals.longest.observe(now, trip.seconds)
            self._finish(ping, None, trip)

    def not_sent(self, ping: PendingPing, error: TargetError) -> None:
        """Book a ping that was not sent because the target did not answer lately: a failure as any, counted besides."""
        if not isinstance(error, SkippedError):
            self._not_sent.inc()
        self.failed(ping, error)

    def failed(self, ping: PendingPing, error: TargetError, trip: RoundTrip | None = None) -> None:
        """Book a failure; ``trip`` when there was a reply all the same."""
        if isinstance(error, SkippedError):
            if ping.permit is not None:
                ping.permit.release()
            self.skipped(1, ping.due)
            return
        timed_out = isinstance(error, OperationTimeoutError)
        self._operation.failed(error.reason, self._timeout if timed_out else None)
        if timed_out:
            self.totals.longest.observe(self._wall_clock.now(), self._timeout)
        self._finish(ping, error, trip)

    def _finish(self, ping: PendingPing, error: TargetError | None, trip: RoundTrip | None) -> None:
        self.totals.ended += 1
        if error is not None:
            self.silence.failed(ping.due)
        permit = ping.permit
        if self.is_replaced and permit is not None:
            permit.release()  # this breaker decides nothing any more, and takes no second verdict
        if permit is not None:
            permit.failure(error) if error is not None and error.unavailable else permit.success()
        seconds = trip.seconds if trip is not None and error is None else None
        self.record_timestamp_source(ProbeResult(ping.due, self._wall_clock.now(), seconds, error))
        if self._log is not None:
            self._write(self._log, ping, trip, "" if error is None else error.reason)

    def record_timestamp_source(self, outcome: ProbeResult) -> None:
        """Take note of an outcome; the newest one says how the target is."""
        error = outcome.error
        if self.is_replaced:
            if self.successor is not None:
                self.successor.record_timestamp_source(outcome)
            return
        if not isinstance(error, RejectedError):
            self.last_failure = error
        if self.last is None or outcome.due >= self.last.due:
            self.last = outcome
            self._metrics.up.set(error is None)
            self._observer.on_probe(self.last)

    def _write(self, log: ProbeCsvLog, ping: PendingPing, trip: RoundTrip | None, reason: str) -> None:
        sent = ping.sent
        at, at_ns = (self._wall_clock.now(), self._wall_clock.wall()) if sent is None else (sent.at, sent.at_ns)
        due_ns = at_ns - round((at - ping.due) * 1e9)
        sent_ns = "" if sent is None else at_ns
        received_ns, clock = ("", "") if trip is None else (at_ns + round(trip.seconds * 1e9), trip.clock)
        outcome = "failure" if reason else "success"
        log.write(f"{self._csv_prefix},{due_ns},{sent_ns},{received_ns},{clock},{outcome},{reason}\n")
