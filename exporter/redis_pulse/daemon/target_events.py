"""Count and log what happens to one target: its changes, each once, and never a line for each probe.

An outage of the pings is two lines: one when it begins, and one with its length when it ends. The event names what was
observed. A server that does not reply on an open connection is ``not answering``, and not ``lost``. ``FailureCauses``
logs failing collectors. ``LogLimiter`` keeps a target that changes all the time from filling the log.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis_pulse import log
from redis_pulse.advice import for_error
from redis_pulse.circuit_breaker import State
from redis_pulse.commands import Args
from redis_pulse.config import TargetSettings
from redis_pulse.daemon.failure_causes import FailureCauses
from redis_pulse.daemon.log_limiter import LogLimiter
from redis_pulse.daemon.slow_command_log import SlowCommandLog
from redis_pulse.daemon.stall_log import StallLog
from redis_pulse.errors import (
    AuthError,
    ConnectionRefusedByTargetError,
    ConnectionResetByTargetError,
    MaxClientsError,
    NameResolutionError,
    OperationTimeoutError,
    RejectedError,
    SkippedError,
    TargetError,
    TlsError,
    UnreachableError,
)
from redis_pulse.metric import CollectorFault, LatencySpikes, SlowCommands
from redis_pulse.probe import ProbeResult
from redis_pulse.stalls import PingOutcome, StallMonitor, StallRecord, Verdict
from redis_pulse.status import TargetStatus
from redis_pulse.telemetry import TargetMetrics, families
from redis_pulse.tokens import RenewalReason

CONNECT = "connect"
CONNECTED, LOST, CANNOT_CONNECT = "connected", "lost", "cannot connect"
SILENT, ERRORS, ANSWERING = "not answering", "answering with errors", "answering again"
#: Seconds for which another reason must last before it is logged. A server that restarts shows several.
MIN_REASON_DURATION = 5.0
#: Errors that mean that there is no usable connection.
_CONNECTION_ERRORS = (
    AuthError,
    ConnectionRefusedByTargetError,
    ConnectionResetByTargetError,
    MaxClientsError,
    NameResolutionError,
    TlsError,
    UnreachableError,
)
#: The kind of the lines about pings, for ``LogLimiter``.
_PROBE = "probe"


@dataclass(slots=True)
class _Outage:
    """A time in which no ping succeeded."""

    since: float
    #: whether the connection was lost or could not be opened
    lost_connection: bool = False
    logged_reasons: set[str] = field(default_factory=set)
    #: the newest reason that was not logged, and since when it lasts
    next_reason: str = ""
    next_since: float = 0.0


class OutageLog:
    """Follows the pings of one target, and logs each outage."""

    def __init__(self, lines: LogLimiter) -> None:
        self._lines = lines
        self._was_up = False
        self._outage: _Outage | None = None
        #: whether a connection was ever opened
        self.was_connected = False

    @property
    def is_reported(self) -> bool:
        """Whether the newest ping failed, so that its outage is in the log."""
        return self._outage is not None

    def on_probe(self, result: ProbeResult) -> None:
        """Record the result of a ping. A ping that the open circuit breaker rejected changes nothing."""
        if result.error is None:
            self._succeeded(result)
        elif not isinstance(result.error, RejectedError):
            self._failed(result, result.error)

    def _succeeded(self, result: ProbeResult) -> None:
        outage, self._outage = self._outage, None
        if self._was_up and outage is None:
            return
        fields = {"latency_ms": round((result.seconds or 0.0) * 1000, 3)}
        if outage is not None:
            fields["seconds"] = round(result.at - outage.since, 3)
        is_new_connection = not self._was_up or outage is None or outage.lost_connection
        self._was_up = True
        self._lines.log(_PROBE, "info", CONNECTED if is_new_connection else ANSWERING, **fields)

    def _failed(self, result: ProbeResult, error: TargetError) -> None:
        event, reason = self._event_for(error), error.reason
        outage = self._outage
        begins = outage is None
        if outage is None:
            outage = self._outage = _Outage(result.due)
        outage.lost_connection |= event in (LOST, CANNOT_CONNECT)
        if reason in outage.logged_reasons:
            outage.next_reason = ""
            return
        if reason != outage.next_reason:
            outage.next_reason, outage.next_since = reason, result.at
        if begins or result.at - outage.next_since >= MIN_REASON_DURATION:
            outage.logged_reasons.add(reason)
            see = f"docs/{for_error(reason, str(error)).link}"
            self._lines.log(_PROBE, "warning", event, reason=reason, error=str(error), see=see)

    def _event_for(self, error: TargetError) -> str:
        if isinstance(error, OperationTimeoutError):
            return SILENT if self.was_connected else CANNOT_CONNECT
        if not isinstance(error, _CONNECTION_ERRORS):
            return ERRORS
        return LOST if self._was_up else CANNOT_CONNECT


class TargetEventLogger:
    """Receives the events of the client, the prober, the poller and the circuit breaker of one target."""

    def __init__(
        self,
        target: TargetSettings,
        metrics: TargetMetrics,
        status: TargetStatus,
        slow_reply: float | None,
        *,
        clock: Callable[[], float],
        stall_log: StallLog | None = None,
    ) -> None:
        self._stall_log = stall_log or StallLog(clock)
        self._log = log.get("target").bind(target=target.name, address=target.address)
        self._lines = LogLimiter(self._log, clock)
        self._metrics = metrics
        self._status = status
        self._connect = metrics.operation(CONNECT)
        self._connect_timeout = target.connection.socket_connect_timeout
        self._slow_reply = slow_reply
        self._outage_log = OutageLog(self._lines)
        self._failure_causes = FailureCauses(self._lines, target.user)
        self._slow_commands = SlowCommandLog(self._log, clock)
        #: receives the same events to find stalls
        self.stalls: StallMonitor | None = None
        self._is_slow = False
        self._is_opening_logged = False

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Count an attempt to connect."""
        self._connect.total.inc()
        if error is None:
            self._outage_log.was_connected = True
            self._connect.succeeded(seconds)
        else:
            self._connect.failed(error.reason, self._connect_timeout if error.reason == "timeout" else None)

    def retried(self, operation: str) -> None:
        """Count a read that is sent again."""
        self._metrics.operation(operation).retries.inc()

    def replied(self, commands: Sequence[Args], replies: Sequence[Any]) -> None:
        """Pass on the replies of a poll, which are evidence while a stall lasts."""
        if (stalls := self.stalls) is not None and stalls.is_examining:
            self._guard_stalls(lambda: stalls.on_replies(commands, replies))

    def token_not_renewed(self, reason: RenewalReason) -> None:
        """Count a renewal of the login that failed."""
        self._metrics.value(families.TOKEN_FAILURES, reason).inc()

    def on_probe(self, result: ProbeResult) -> None:
        """Log when an outage begins, changes its reason or ends, and when replies become slow or fast again."""
        self._lines.tick()
        self._outage_log.on_probe(result)
        self._status.on_probe(result.seconds, result.error)
        if (stalls := self.stalls) is not None:
            reason = None if result.error is None else result.error.reason
            outcome = PingOutcome(*result[:3], reason, result.was_sent, result.kernel_clock)
            self._guard_stalls(lambda: stalls.on_outcome(outcome))
        if result.error is None and result.seconds is not None:
            self._check_slow(result.seconds)
        if not isinstance(result.error, RejectedError):
            self._failure_causes.on_probe(is_up=result.error is None)

    def on_overdue(self, due: float) -> None:
        """Pass on that a ping has waited long."""
        self._status.on_overdue()
        if (stalls := self.stalls) is not None:
            self._guard_stalls(lambda: stalls.on_overdue(due))

    def on_late_reply(self, due: float, _at: float, seconds: float) -> None:
        """Pass on the reply to a ping that had timed out."""
        if (stalls := self.stalls) is not None:
            self._guard_stalls(lambda: stalls.on_late_reply(due, seconds))

    def _guard_stalls(self, call: Callable[[], None]) -> None:
        """Keep a bug in the stalls away from the pings. Log it once, and record no more stalls of this target."""
        try:
            call()
        except Exception as error:  # noqa: BLE001  # the measurement goes on
            self.stalls = None
            self._log.error("stalls are no longer recorded", exc_info=error)

    def on_stall(self, record: StallRecord, verdict: Verdict) -> None:
        """Log a stall that has ended, with its cause. In a flood of stalls, one line is of many."""
        seconds = round(record.seconds, 3)
        self._status.on_stall(record.started + record.seconds, f"a stall of {seconds:g} s ended, cause {verdict.cause}")
        if not self._stall_log.may_write(record, verdict):
            return
        self._lines.log(
            ("stall", verdict.cause),
            *("warning", "stall"),
            seconds=seconds,
            cause=verdict.cause,
            why=verdict.why,
            seen=record.seen,
        )

    def _check_slow(self, seconds: float) -> None:
        limit, was_slow = self._slow_reply, self._is_slow
        if limit is None or (is_slow := seconds > limit) == was_slow:
            return
        self._is_slow = is_slow
        event = "slow reply" if is_slow else "replies are fast again"
        latency = round(seconds * 1000, 3)
        self._lines.log("slow", "warning" if is_slow else "info", event, latency_ms=latency, limit_s=limit)

    def on_collector(self, collector: str, error: Exception | None) -> None:
        """Record the end of a run, to log it if it is news. A run that was skipped on our side does not count."""
        if isinstance(error, SkippedError):
            return
        if error is None:
            self._failure_causes.record_success(collector)
        else:
            self._failure_causes.record_failure(collector, error, is_unavailable=self._outage_log.is_reported)

    def unsupported(self, collector: str, error: TargetError) -> None:
        """Log that the server does not support what a collector reads."""
        self._failure_causes.record_unsupported(collector, error)

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        """Record that the user may not run these commands."""
        self._failure_causes.record_denied(collector, commands, worked=worked)

    def skipped_for_role(self, collector: str) -> None:
        """Forget the failures of a collector that does not run any more."""
        self._failure_causes.forget(collector)

    def partial_failures(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        """Log the parts of a collector, such as scripts, that fail."""
        self._failure_causes.record_parts(collector, faults)

    def slow_commands(self, found: SlowCommands) -> None:
        """Log slow commands. Their names are known ones, and nothing else of them is logged."""
        self._slow_commands.record(found)
        if found.commands:
            self._status.on_slow_command(found.commands[-1].command, found.commands[-1].seconds)
        if (stalls := self.stalls) is not None:
            self._guard_stalls(lambda: stalls.later.slow_commands(found))

    def latency_spikes(self, found: LatencySpikes) -> None:
        """Pass on the newest spikes of the server's latency monitor."""
        if (stalls := self.stalls) is not None:
            self._guard_stalls(lambda: stalls.later.latency_spikes(found))

    def polled(self) -> None:
        """Log what is new after a poll."""
        if (stalls := self.stalls) is not None:
            self._guard_stalls(stalls.later.polled)
        self._slow_commands.tick()
        self._failure_causes.log_new()

    def breaker_changed(self, old: State, new: State) -> None:
        """Count and log a change of the circuit breaker.

        Trials are not logged. Neither is a change during an outage, because the outage has a line already.
        """
        self._metrics.breaker_changed(old, new)
        self._status.breaker_changed(old, new)
        event = "circuit breaker closed" if new == "closed" else "circuit breaker opened"
        if new == "open" and old == "closed":
            self._is_opening_logged = not self._outage_log.is_reported
        elif new != "closed":
            return
        if self._is_opening_logged:
            self._lines.log("breaker", "info" if new == "closed" else "warning", event)
        else:
            self._log.debug(event)
