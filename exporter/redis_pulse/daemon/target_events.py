"""What we say of a target whose pings fail: one line when it begins, one when it is over, with its length.

The words say what was seen. A server that does not answer on a connection that holds is ``not answering``; it is not
``lost``.

What we log of one target: its changes, once; never a line a probe.

The words of a line say what happened to the target (``trouble``) or to its collectors (``causes``). ``lines`` keeps a
target that changes all the time from filling the log.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from redis_pulse import log
from redis_pulse.circuit_breaker import State
from redis_pulse.daemon.failure_causes import FailureCauses
from redis_pulse.daemon.log_limiter import LogLimiter
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
from redis_pulse.metric import CollectorFault
from redis_pulse.probe import ProbeResult
from redis_pulse.server_info import Target
from redis_pulse.telemetry import TargetMetrics

CONNECTED, LOST, CANNOT_CONNECT = "connected", "lost", "cannot connect"
SILENT, ERRORS, ANSWERING = "not answering", "answering with errors", "answering again"
#: Seconds for which a further reason must hold before it is told: a server that restarts shows several.
HOLDS = 5.0
#: Errors by which there is no connection, or not for us.
_BROKEN = (
    AuthError,
    ConnectionRefusedByTargetError,
    ConnectionResetByTargetError,
    MaxClientsError,
    NameResolutionError,
    TlsError,
    UnreachableError,
)
_KIND = "probe"


@dataclass(slots=True)
class _Outage:
    """A time in which no ping succeeded."""

    since: float
    #: whether the connection broke, or could not be made
    broke: bool = False
    told: set[str] = field(default_factory=set)
    #: the newest reason that was not told, and since when it holds
    next: str = ""
    next_since: float = 0.0


class OutageLog:
    """Follows the pings of one target."""

    def __init__(self, lines: LogLimiter) -> None:
        self._lines = lines
        self._was_up = False
        self._episode: _Outage | None = None
        #: whether a connection was ever made
        self.was_connected = False

    @property
    def is_told(self) -> bool:
        """Whether the newest ping failed, and a line has said so."""
        return self._episode is not None

    def on_probe(self, outcome: ProbeResult) -> None:
        """Take note of how a ping ended; an open breaker is no news."""
        if outcome.error is None:
            self._answered(outcome)
        elif not isinstance(outcome.error, RejectedError):
            self._failed(outcome, outcome.error)

    def _answered(self, outcome: ProbeResult) -> None:
        episode, self._episode = self._episode, None
        if self._was_up and episode is None:
            return
        fields = {"latency_ms": round((outcome.seconds or 0.0) * 1000, 3)}
        if episode is not None:
            fields["seconds"] = round(outcome.at - episode.since, 3)
        event = CONNECTED if not self._was_up or episode is None or episode.broke else ANSWERING
        self._was_up = True
        self._lines.tell(_KIND, "info", event, **fields)

    def _failed(self, outcome: ProbeResult, error: TargetError) -> None:
        event, reason = self._word(error), error.reason
        episode = self._episode
        begins = episode is None
        if episode is None:
            episode = self._episode = _Outage(outcome.due)
        episode.broke |= event in (LOST, CANNOT_CONNECT)
        if reason in episode.told:
            episode.next = ""
            return
        if reason != episode.next:
            episode.next, episode.next_since = reason, outcome.at
        if begins or outcome.at - episode.next_since >= HOLDS:
            episode.told.add(reason)
            self._lines.tell(_KIND, "warning", event, reason=reason, error=str(error))

    def _word(self, error: TargetError) -> str:
        if isinstance(error, OperationTimeoutError):
            return SILENT if self.was_connected else CANNOT_CONNECT
        if not isinstance(error, _BROKEN):
            return ERRORS
        return LOST if self._was_up else CANNOT_CONNECT


CONNECT = "connect"


class TargetEventLogger:
    """Hears what client, prober, sampler and breaker of one target have to say; counts it and logs the changes."""

    def __init__(
        self,
        target: Target,
        instruments: TargetMetrics,
        slow_reply: float | None,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._log = log.get("target").bind(target=target.name, address=target.address)
        self._lines = LogLimiter(self._log, clock)
        self._metrics = instruments
        self._connect = instruments.operation(CONNECT)
        self._connect_timeout = target.settings.connection.socket_connect_timeout
        self._slow_reply = slow_reply
        self._trouble = OutageLog(self._lines)
        self._causes = FailureCauses(self._lines, target.settings.user)
        self._is_slow = False
        self._is_opening_told = False

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Book an attempt to connect."""
        self._connect.total.inc()
        if error is None:
            self._trouble.was_connected = True
            self._connect.succeeded(seconds)
        else:
            self._connect.failed(error.reason, self._connect_timeout if error.reason == "timeout" else None)

    def retried(self, operation: str) -> None:
        """Book a read that is sent again."""
        self._metrics.operation(operation).retries.inc()

    def on_probe(self, outcome: ProbeResult) -> None:
        """Log when the target comes, goes, or fails for another reason; and when its replies become slow."""
        self._lines.tick()
        self._trouble.on_probe(outcome)
        if outcome.error is None and outcome.seconds is not None:
            self._notice_slow(outcome.seconds)
        if not isinstance(outcome.error, RejectedError):
            self._causes.on_probe(is_up=outcome.error is None)

    def _notice_slow(self, seconds: float) -> None:
        limit, was_slow = self._slow_reply, self._is_slow
        if limit is None or (slow := seconds > limit) == was_slow:
            return
        self._is_slow = slow
        event = "slow reply" if slow else "replies are fast again"
        latency = round(seconds * 1000, 3)
        self._lines.tell("slow", "warning" if slow else "info", event, latency_ms=latency, limit_s=limit)

    def on_collector(self, collector: str, error: Exception | None) -> None:
        """Take note of the end of a run, to be logged when it is news; a run that we skipped says nothing."""
        if isinstance(error, SkippedError):
            return
        if error is None:
            self._causes.worked(collector)
        else:
            self._causes.failed(collector, error, is_away=self._trouble.is_told)

    def unsupported(self, collector: str, error: TargetError) -> None:
        """Log that the server lacks what a collector reads."""
        self._causes.unsupported(collector, error)

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        """Log that the user may not run these commands."""
        self._causes.denied(collector, commands, worked=worked)

    def skipped_for_role(self, collector: str) -> None:
        """Forget what was wrong with a collector that is not run any more."""
        self._causes.rests(collector)

    def parts(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        """Log which parts of a collector, such as scripts, give nothing."""
        self._causes.parts(collector, faults)

    def polled(self) -> None:
        """Write what a poll, which is over, has shown."""
        self._causes.tell()

    def breaker_changed(self, old: State, new: State) -> None:
        """Book and log a change of the circuit breaker; its trials are no news, nor is it beside a failing ping."""
        self._metrics.breaker_changed(old, new)
        event = "circuit breaker closed" if new == "closed" else "circuit breaker opened"
        if new == "open" and old == "closed":
            self._is_opening_told = not self._trouble.is_told
        elif new != "closed":
            return
        if self._is_opening_told:
            self._lines.tell("breaker", "info" if new == "closed" else "warning", event)
        else:
            self._log.debug(event)
