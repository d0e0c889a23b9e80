"""What we log of one target: its changes, once; never a line a probe.

The words of a line say what happened to the target (``trouble``) or to its collectors (``causes``). ``lines`` keeps a
target that changes all the time from filling the log.
"""

from collections.abc import Callable, Iterable, Sequence

from exporter import log
from exporter.app.causes import Causes
from exporter.app.lines import Lines
from exporter.app.trouble import Trouble
from exporter.breaker import State
from exporter.errors import RejectedError, SkippedError, TargetError
from exporter.instruments import TargetInstruments
from exporter.metric import Fault
from exporter.prober import Outcome
from exporter.targets import Target

CONNECT = "connect"


class Report:
    """Hears what client, prober, sampler and breaker of one target have to say; counts it and logs the changes."""

    def __init__(
        self,
        target: Target,
        instruments: TargetInstruments,
        slow_reply: float | None,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._log = log.get("target").bind(target=target.name, address=target.address)
        self._lines = Lines(self._log, clock)
        self._instruments = instruments
        self._connect = instruments.operation(CONNECT)
        self._connect_timeout = target.settings.connection.socket_connect_timeout
        self._slow_reply = slow_reply
        self._trouble = Trouble(self._lines)
        self._causes = Causes(self._lines, target.settings.user)
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
        self._instruments.operation(operation).retries.inc()

    def probed(self, outcome: Outcome) -> None:
        """Log when the target comes, goes, or fails for another reason; and when its replies become slow."""
        self._lines.tick()
        self._trouble.probed(outcome)
        if outcome.error is None and outcome.seconds is not None:
            self._notice_slow(outcome.seconds)
        if not isinstance(outcome.error, RejectedError):
            self._causes.probed(is_up=outcome.error is None)

    def _notice_slow(self, seconds: float) -> None:
        limit, was_slow = self._slow_reply, self._is_slow
        if limit is None or (slow := seconds > limit) == was_slow:
            return
        self._is_slow = slow
        event = "slow reply" if slow else "replies are fast again"
        latency = round(seconds * 1000, 3)
        self._lines.tell("slow", "warning" if slow else "info", event, latency_ms=latency, limit_s=limit)

    def collected(self, collector: str, error: Exception | None) -> None:
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

    def rests(self, collector: str) -> None:
        """Forget what was wrong with a collector that is not run any more."""
        self._causes.rests(collector)

    def parts(self, collector: str, faults: Sequence[Fault]) -> None:
        """Log which parts of a collector, such as scripts, give nothing."""
        self._causes.parts(collector, faults)

    def polled(self) -> None:
        """Write what a poll, which is over, has shown."""
        self._causes.tell()

    def breaker_changed(self, old: State, new: State) -> None:
        """Book and log a change of the circuit breaker; its trials are no news, nor is it beside a failing ping."""
        self._instruments.breaker_changed(old, new)
        event = "circuit breaker closed" if new == "closed" else "circuit breaker opened"
        if new == "open" and old == "closed":
            self._is_opening_told = not self._trouble.is_told
        elif new != "closed":
            return
        if self._is_opening_told:
            self._lines.tell("breaker", "info" if new == "closed" else "warning", event)
        else:
            self._log.debug(event)
