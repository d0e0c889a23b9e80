"""What we log of one target: its changes, once; never a line a probe."""

from exporter import log
from exporter.breaker import State
from exporter.errors import RejectedError, SkippedError, TargetError
from exporter.instruments import TargetInstruments
from exporter.log import Changes
from exporter.prober import Outcome
from exporter.targets import Target

CONNECT = "connect"


class Report:
    """Hears what client, prober, sampler and breaker of one target have to say; counts it and logs the changes."""

    def __init__(self, target: Target, instruments: TargetInstruments, slow_reply: float | None) -> None:
        self._log = log.get("target").bind(target=target.name, address=target.address)
        self._instruments = instruments
        self._connect = instruments.operation(CONNECT)
        self._connect_timeout = target.settings.connection.socket_connect_timeout
        self._slow_reply = slow_reply
        self._changes = Changes()
        self._failing: set[str] = set()
        self._away: set[str] = set()  # whose failure told that the target is away
        self._is_slow = False

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Book an attempt to connect."""
        self._connect.total.inc()
        if error is None:
            self._connect.succeeded(seconds)
        else:
            self._connect.failed(error.reason, self._connect_timeout if error.reason == "timeout" else None)

    def retried(self, operation: str) -> None:
        """Book a read that is sent again."""
        self._instruments.operation(operation).retries.inc()

    def probed(self, outcome: Outcome) -> None:
        """Log when the target comes, goes, or fails for another reason; and when its replies become slow."""
        error, seconds = outcome.error, outcome.seconds
        if error is None and seconds is not None:
            if self._changes.note("probe", "up"):
                self._log.info("connected", latency_ms=round(seconds * 1000, 3))
            self._notice_slow(seconds)
        elif error is not None and not isinstance(error, RejectedError) and self._changes.note("probe", error.reason):
            self._log.warning("lost", reason=error.reason, error=str(error))

    def _notice_slow(self, seconds: float) -> None:
        limit, was_slow = self._slow_reply, self._is_slow
        if limit is None or (slow := seconds > limit) == was_slow:
            return
        self._is_slow = slow
        tell = self._log.warning if slow else self._log.info
        tell("slow reply" if slow else "replies are fast again", latency_ms=round(seconds * 1000, 3), limit_s=limit)

    def collected(self, collector: str, error: Exception | None) -> None:
        """Log when a collector begins to fail, and when it works again."""
        if isinstance(error, RejectedError | SkippedError):
            return
        state = "ok" if error is None else error.reason if isinstance(error, TargetError) else type(error).__name__
        if isinstance(error, TargetError) and error.unavailable and self._away - {collector}:
            return  # one line tells that the target is away, not one for each collector
        if not self._changes.note(collector, state):
            return
        self._away.discard(collector)
        if error is None:
            if collector in self._failing:
                self._log.info("collector works again", collector=collector)
                self._failing.discard(collector)
            return
        self._failing.add(collector)
        if isinstance(error, TargetError) and error.unavailable:
            self._away.add(collector)
        if not isinstance(error, TargetError):
            self._log.error("collector is at fault", collector=collector, exc_info=error)
        else:
            self._log.warning("collector fails", collector=collector, reason=error.reason, error=str(error))

    def unsupported(self, collector: str, error: TargetError) -> None:
        """Log that the server lacks, or denies us, what a collector reads."""
        if self._changes.note(collector, f"unsupported {error.reason}"):
            self._log.warning("not supported by this server", collector=collector, error=str(error))

    def breaker_changed(self, old: State, new: State) -> None:
        """Book and log a change of the circuit breaker; its trials are no news."""
        self._instruments.breaker_changed(old, new)
        if new == "open" and old == "closed":
            self._log.warning("circuit breaker opened")
        elif new == "closed":
            self._log.info("circuit breaker closed")
