"""Accounting of the scheduled probes of one target. Each is counted once and gets exactly one outcome.

A *scheduled probe* is one ping of the grid. It ends as a success, or as a failure with one reason. The reason
``skipped`` means that the exporter was late, which is not the target's fault. Times are monotonic seconds.
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

PING = "ping"
#: The most lines that the probe log gets for probes that were skipped in a row. A machine may sleep for a day.
MAX_SKIPPED_LINES = 1000


class ProbeResult(NamedTuple):
    """How a scheduled probe ended: with ``seconds`` for a success, or with ``error`` for a failure."""

    due: float
    #: When it ended.
    at: float
    seconds: float | None
    error: TargetError | None
    #: Whether its PING was sent.
    was_sent: bool = True
    #: Whether the kernel timed the reply.
    kernel_clock: bool = False
    #: Its PING, if that was sent.
    sent: SentPing | None = None


class ProbeObserver(Protocol):
    """Is notified of the results of scheduled probes."""

    def on_probe(self, result: ProbeResult) -> None:
        """Handle the result of a scheduled probe that is now the newest."""
        ...

    def on_overdue(self, due: float) -> None:
        """Handle that the PING due at ``due`` has waited longer than ``stalls.threshold`` and still waits."""
        ...

    def on_late_reply(self, due: float, at: float, seconds: float) -> None:
        """Handle the reply, read at ``at``, to a PING that had timed out. It took ``seconds``."""
        ...


class PingSchedule(Protocol):
    """The moments of the pings of one target."""

    def pause(self) -> None:
        """Serve no moment until ``resume``."""
        ...

    def resume(self, moment: float) -> None:
        """Serve the moments from this one on."""
        ...


class PendingPing:
    """A scheduled probe without an outcome. ``permit`` is that of the breaker, or None if the breaker gave none."""

    __slots__ = ("due", "epoch", "permit", "sent")

    def __init__(self, due: float, permit: Permit | None) -> None:
        self.due = due
        self.permit = permit
        #: When the PING was sent, on both clocks; None until then.
        self.sent: SentPing | None = None
        #: The epoch of the wall clock in which it was sent.
        self.epoch = 0


class RollingMax:
    """The longest duration in the current window of ``length`` seconds and in the window before.

    A reader that reads at least once per window sees every peak. It stores a few numbers and allocates nothing.
    """

    __slots__ = ("_before", "_current", "_ends", "_length")

    def __init__(self, length: float) -> None:
        self._length = length
        self._ends = 0.0
        self._current = self._before = 0.0

    def observe(self, now: float, seconds: float) -> None:
        """Record a duration."""
        if now >= self._ends:
            self._start_window(now)
        self._current = max(self._current, seconds)

    def value(self, now: float) -> float:
        """Return the longest duration, or 0 if there was none."""
        if now >= self._ends:
            self._start_window(now)
        return max(self._current, self._before)

    def _start_window(self, now: float) -> None:
        self._before = self._current if now < self._ends + self._length else 0.0
        self._current = 0.0
        self._ends = now + self._length


class DowntimeEstimator:
    """Estimates since when a target is down. With one ping per ``interval`` seconds, that is not seen exactly."""

    __slots__ = ("_failed", "_interval", "_lost", "_lost_before_failure", "last_success")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        #: When the target last answered in time and without an error; None if it never did.
        self.last_success: float | None = None
        #: When the first failed probe was due.
        self._failed: float | None = None
        #: When the connection was lost first, since the last success.
        self._lost: float | None = None
        #: The same loss, if it was known when the first probe failed.
        self._lost_before_failure: float | None = None

    def record_success(self, now: float) -> None:
        """Record a good reply."""
        self.last_success = now
        self._failed = self._lost = self._lost_before_failure = None

    def record_failure(self, due: float) -> None:
        """Record a failed probe. If a lost connection made it fail, ``record_loss`` must be called before."""
        if self._failed is None:
            self._failed, self._lost_before_failure = due, self._lost

    def record_loss(self, now: float) -> None:
        """Record that the connection was lost or could not be made."""
        if self._lost is None:
            self._lost = now

    def since(self, *, is_waiting: bool) -> float | None:
        """Return since when the target is down, or None while it answers. ``is_waiting``: a ping is unanswered now.

        That is when its connection was lost. If no loss explains the first failure, it is half way between the last
        success and the first failed ping. This is wrong by at most half an interval.
        """
        failed, lost = self._failed, self._lost_before_failure
        if failed is None and is_waiting and self.last_success is not None:
            failed, lost = self.last_success + self._interval, self._lost
        if failed is None or lost is not None:
            return lost
        if self.last_success is None:
            return failed
        return (self.last_success + max(self.last_success, failed)) / 2


class ProbeTotals:
    """What continues when a target moves: its counts of scheduled and ended probes, and their longest durations."""

    __slots__ = ("ended", "longest", "scheduled")

    def __init__(self, longest: RollingMax) -> None:
        #: ``scheduled == ended + in flight`` always holds. It includes the pings in flight at earlier addresses.
        self.scheduled = self.ended = 0
        self.longest = longest


def finish(
    ping: PendingPing, at: float, error: TargetError | None = None, round_trip: RoundTrip | None = None
) -> ProbeResult:
    """Return the result of a probe that ended at ``at``. Changes nothing.

    A failure has no duration, even if there was a reply: an error reply, or a reply after the deadline.
    """
    seconds = round_trip.seconds if round_trip is not None and error is None else None
    is_stamped = round_trip is not None and round_trip.clock == "kernel"
    return ProbeResult(ping.due, at, seconds, error, ping.sent is not None, is_stamped, ping.sent)


class ProbeAccounting:
    """Records every scheduled probe of a target in its metrics, its breaker and the probe log.

    ``predecessor`` is the accounting of the same target until now. This one continues its totals. The predecessor
    then records only the results of pings that are still in flight. At another address these say nothing about the
    present state of the target. At the same address they do, so they are passed on.
    """

    def __init__(
        self,
        settings: TargetSettings,
        metrics: TargetMetrics,
        observer: ProbeObserver,
        wall_clock: WallClockMonitor,
        csv_log: ProbeCsvLog | None,
        predecessor: "ProbeAccounting | None" = None,
    ) -> None:
        self.settings = settings
        self._metrics = metrics
        self._observer = observer
        self._wall_clock = wall_clock
        self._csv_log = csv_log
        self._csv_prefix = csv_prefix(settings.name, settings.endpoint)
        self._timeout = settings.probe.timeout
        self._interval = settings.probe.interval
        self._operation = metrics.operation(PING)
        self._not_sent = metrics.value(families.NOT_SENT)
        self._replies = {clock: metrics.value(families.PROBE_CLOCK, clock) for clock in ("kernel", "user")}
        self.totals: ProbeTotals = (
            ProbeTotals(RollingMax(settings.poll.interval)) if predecessor is None else predecessor.totals
        )
        self.downtime = DowntimeEstimator(settings.probe.interval)
        #: The result of the newest probe.
        self.last: ProbeResult | None = None
        #: What is wrong with the target: the newest error, except those that only say that the breaker is open.
        self.last_failure: TargetError | None = None
        #: Whether another accounting has replaced this one, and the one that gets the further results, if any.
        self.is_replaced = False
        self.successor: ProbeAccounting | None = None
        if predecessor is not None:
            self._continue(predecessor)
        metrics.callbacks[families.LONGEST, PING] = lambda: self.totals.longest.value(wall_clock.now())

    def _continue(self, predecessor: "ProbeAccounting") -> None:
        old, new = predecessor.settings, self.settings
        predecessor.is_replaced = True
        if old.poll.interval != new.poll.interval:
            self.totals.longest = RollingMax(new.poll.interval)
        if old.endpoint != new.endpoint:
            self._metrics.up.set(0)  # nothing is known about the new address
            return
        predecessor.successor = self
        self.last, self.last_failure = predecessor.last, predecessor.last_failure
        if old.probe.interval == new.probe.interval:
            self.downtime = predecessor.downtime

    def scheduled(self, count: int = 1) -> None:
        """Count probes that came due."""
        self.totals.scheduled += count
        self._operation.total.inc(count)

    def record_reply(
        self, ping: PendingPing, status: str | None, error: TargetError | None, round_trip: RoundTrip
    ) -> None:
        """Record the reply to a ping, the clock that timed it, and the delay that the exporter would have added.

        ``status`` is the outcome that the reply decides: ``reply``, ``timeout``, or None if it was decided before.
        """
        self._replies[round_trip.clock].inc()
        if round_trip.overhead is not None:
            self._metrics.probe_accuracy.overhead.observe(round_trip.overhead)
        if status == "reply":
            if error is not None:
                self.failed(ping, error, round_trip)
            else:
                self._end(ping, None, round_trip)
            return
        self._metrics.late_replies.inc()
        self._metrics.value(families.LATE_SECONDS).set(round_trip.seconds)
        if status is not None:
            self.failed(ping, OperationTimeoutError("no answer in time"), round_trip)
        if not self.is_replaced:
            self._observer.on_late_reply(ping.due, self._wall_clock.now(), round_trip.seconds)

    def overdue(self, ping: PendingPing) -> None:
        """Report a ping that still waits after ``stalls.threshold``."""
        if not self.is_replaced:
            self._observer.on_overdue(ping.due)

    def not_sent(self, ping: PendingPing, error: TargetError) -> None:
        """Record a ping that was not sent because the target did not answer before.

        It is a failure like any other, and it is also counted separately.
        """
        if not isinstance(error, SkippedError):
            self._not_sent.inc()
        self.failed(ping, error)

    def failed(self, ping: PendingPing, error: TargetError, round_trip: RoundTrip | None = None) -> None:
        """Record a failure. ``round_trip`` is given if there was a reply nevertheless."""
        if not isinstance(error, SkippedError):
            self._end(ping, error, round_trip)
            return
        if ping.permit is not None:
            ping.permit.release()
        self.skipped(1, ping.due)

    def skipped(self, count: int, newest: float) -> None:
        """Record probes that were not sent because the exporter was late or busy. The last was due at ``newest``."""
        self.totals.ended += count
        self._operation.failed("skipped", count=count)
        if self._csv_log is not None:
            for number in range(min(count, MAX_SKIPPED_LINES) - 1, -1, -1):
                self._write(self._csv_log, PendingPing(newest - number * self._interval, None), None, "skipped")

    def abandoned(self, pings: Sequence[PendingPing]) -> None:
        """End probes without an outcome, because this target is not probed any more."""
        self.totals.ended += len(pings)
        for ping in pings:
            if ping.permit is not None:
                ping.permit.release()

    def _end(self, ping: PendingPing, error: TargetError | None, round_trip: RoundTrip | None) -> None:
        result = finish(ping, self._wall_clock.now(), error, round_trip)
        self._count(result)
        self._give_verdict(ping.permit, error)
        self.publish(result)
        if self._csv_log is not None:
            self._write(self._csv_log, ping, round_trip, "" if error is None else error.reason)

    def _count(self, result: ProbeResult) -> None:
        """Record the one outcome of a probe. A timeout is observed as long as its deadline."""
        self.totals.ended += 1
        error, seconds = result.error, result.seconds
        if error is not None:
            seconds = self._timeout if isinstance(error, OperationTimeoutError) else None
            self._operation.failed(error.reason, seconds)
            self.downtime.record_failure(result.due)
        elif seconds is not None:
            self._operation.succeeded(seconds)
            self.downtime.record_success(result.at)
        if seconds is not None:
            self.totals.longest.observe(result.at, seconds)

    def _give_verdict(self, permit: Permit | None, error: TargetError | None) -> None:
        if permit is None:
            return
        if self.is_replaced:
            permit.release()  # this breaker decides nothing any more
        elif error is not None and error.unavailable:
            permit.failure(error)
        else:
            permit.success()

    def publish(self, result: ProbeResult) -> None:
        """Publish a result in ``redis_up`` and to the observer. Only the newest probe says how the target is."""
        if self.is_replaced:
            if self.successor is not None:
                self.successor.publish(result)
            return
        if not isinstance(result.error, RejectedError):
            self.last_failure = result.error
        if self.last is None or result.due >= self.last.due:
            self.last = result
            self._metrics.up.set(result.error is None)
            self._observer.on_probe(result)

    def _write(self, log: ProbeCsvLog, ping: PendingPing, round_trip: RoundTrip | None, reason: str) -> None:
        """Write a line of the probe log. All its times are on the wall clock."""
        sent = ping.sent
        at, at_ns = (self._wall_clock.now(), self._wall_clock.wall()) if sent is None else (sent.at, sent.at_ns)
        due_ns = at_ns - round((at - ping.due) * 1e9)
        sent_ns = "" if sent is None else at_ns
        received_ns, clock = (
            ("", "") if round_trip is None else (at_ns + round(round_trip.seconds * 1e9), round_trip.clock)
        )
        outcome = "failure" if reason else "success"
        log.write(f"{self._csv_prefix},{due_ns},{sent_ns},{received_ns},{clock},{outcome},{reason}\n")
