"""Log failing collectors: one line for each cause, however many collectors it affects.

A failure of the whole target, such as a lost connection or a wrong password, is logged by its pings. A collector that
meets one waits for the next ping. If that ping fails too, the collector is not mentioned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from redis_pulse.advice import for_error
from redis_pulse.daemon.log_limiter import LogLimiter
from redis_pulse.errors import (
    AuthError,
    NotOfferedError,
    PermissionDeniedError,
    RejectedError,
    SkippedError,
    TargetError,
)
from redis_pulse.metric import CollectorFault

#: Reason and text of an error.
Cause = tuple[str, str]
DENIED: Cause = ("denied", "")


@dataclass(slots=True)
class _AffectedCollectors:
    """The collectors that a cause has affected since it was logged, and those that it still affects."""

    reason: str
    ever: dict[str, None] = field(default_factory=dict)  # an ordered set
    now: set[str] = field(default_factory=set)


class FailureCauses:
    """Follows the collectors of one target. They run as ``user``."""

    def __init__(self, lines: LogLimiter, user: str) -> None:
        self._lines = lines
        self._user = user
        #: failures to log at the end of the poll, and those that wait for the next ping
        self._new: dict[str, TargetError] = {}
        self._held: dict[str, TargetError] = {}
        #: missing permissions by collector, and those to log at the end of the poll
        self._denied: dict[str, frozenset[str]] = {}
        self._new_denied: dict[str, frozenset[str]] = {}
        self._affected: dict[Cause, _AffectedCollectors] = {}
        self._cause_of: dict[str, Cause] = {}
        #: collectors that work again, by the reason of their failure
        self._recovered: dict[str, list[str]] = {}
        #: type names of unexpected exceptions, and reasons of missing support, by collector
        self._faulty: dict[str, str] = {}
        self._unsupported: dict[str, str] = {}
        #: reason and text by collector and part
        self._failing_parts: dict[tuple[str, str], tuple[str, str]] = {}

    def record_failure(self, collector: str, error: Exception, *, is_unavailable: bool) -> None:
        """Record a failed run. ``is_unavailable`` means that the pings of the target fail too."""
        if isinstance(error, RejectedError):
            return
        if not isinstance(error, TargetError):
            type_name = type(error).__name__
            if self._faulty.get(collector) != type_name:
                self._faulty[collector] = type_name
                self._lines.log(collector, "error", "collector is at fault", collector=collector, exc_info=error)
            return
        if not _affects_target(error):
            self._new[collector] = error
        elif not is_unavailable:
            self._held[collector] = error

    def record_success(self, collector: str) -> None:
        """Record that a collector read everything it needs."""
        self._works(collector)
        if self._denied.pop(collector, None) is not None:
            self._recovered.setdefault(PermissionDeniedError.reason, []).append(collector)

    def forget(self, collector: str) -> None:
        """Forget a collector that does not run any more. Nothing is logged."""
        for by_collector in (
            self._held, self._new, self._unsupported, self._faulty, self._denied, self._new_denied,
        ):  # fmt: skip
            by_collector.pop(collector, None)
        cause = self._cause_of.pop(collector, None)
        if cause is not None:
            self._affected[cause].now.discard(collector)
            if not self._affected[cause].now:
                del self._affected[cause]

    def record_unsupported(self, collector: str, error: TargetError) -> None:
        """Log once that the server does not support what a collector reads. It may refuse that on purpose."""
        if self._unsupported.get(collector) != error.reason:
            self._unsupported[collector] = error.reason
            if isinstance(error, NotOfferedError):
                self._lines.log(collector, "info", "not offered here", collector=collector, error=str(error))
            else:
                self._lines.log(
                    collector, "warning", "not supported by this server", collector=collector, error=str(error)
                )

    def record_denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        """Record the commands that the user may not run, in the spelling of an ACL.

        ``worked`` means that the run succeeded without them.
        """
        if worked:
            self._works(collector)
        missing = frozenset(f"+{command}" for command in commands)
        if self._denied.get(collector) != missing:
            self._denied[collector] = self._new_denied[collector] = missing

    def record_parts(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        """Log once for each part of a collector why it fails, and once when it works again."""
        for fault in faults:
            part = (collector, fault.part)
            if self._failing_parts.get(part) != (fault.reason, fault.text):
                self._failing_parts[part] = (fault.reason, fault.text)
                self._lines.log(
                    part, "warning", "part of a collector fails",
                    collector=collector, part=fault.part, reason=fault.reason, error=fault.text,
                )  # fmt: skip
        failing = {fault.part for fault in faults}
        for part in [part for part in self._failing_parts if part[0] == collector and part[1] not in failing]:
            del self._failing_parts[part]
            self._lines.log(part, "info", "part of a collector works again", collector=collector, part=part[1])

    def on_probe(self, *, is_up: bool) -> None:
        """Log the failures that waited for this ping, unless it failed too and so has a line of its own."""
        if is_up:
            self._new |= self._held
            self.log_new()
        self._held.clear()

    def log_new(self) -> None:
        """Log what is new since the last call, one line for each cause."""
        self._log_denied()
        self._log_failures()
        for reason, collectors in self._recovered.items():
            if working := [collector for collector in dict.fromkeys(collectors) if collector not in self._cause_of]:
                self._lines.log(working[0], "info", "collector works again", collector=",".join(working), reason=reason)
        self._recovered.clear()

    def _log_denied(self) -> None:
        new, self._new_denied = self._new_denied, {}
        if new:
            missing = sorted({command for commands in new.values() for command in commands})
            self._lines.log(
                DENIED, "warning", "not permitted",
                user=self._user, missing=" ".join(missing), collector=",".join(new), see="docs/acl.md",
            )  # fmt: skip

    def _log_failures(self) -> None:
        new_causes: dict[Cause, dict[str, None]] = {}
        for collector, error in self._new.items():
            before = self._cause_of.get(collector)
            if before is not None and before[0] == error.reason:
                continue
            self._end_cause(collector)
            cause = (error.reason, str(error))
            self._cause_of[collector] = cause
            affected = self._affected.setdefault(cause, _AffectedCollectors(error.reason))
            if not affected.ever:
                new_causes[cause] = affected.ever
            affected.ever[collector] = None
            affected.now.add(collector)
        self._new.clear()
        for (reason, text), collectors in new_causes.items():
            self._lines.log(
                next(iter(collectors)), "warning", "collector fails",
                collector=",".join(collectors), reason=reason, error=text, see=f"docs/{for_error(reason, text).link}",
            )  # fmt: skip

    def _works(self, collector: str) -> None:
        """Record that a collector works, except for permissions that it can do without."""
        self._held.pop(collector, None)
        self._new.pop(collector, None)
        self._unsupported.pop(collector, None)
        if self._faulty.pop(collector, None) is not None:
            self._recovered.setdefault("fault", []).append(collector)
        self._end_cause(collector)

    def _end_cause(self, collector: str) -> None:
        """Remove a collector from its cause. The cause ends with its last collector, and all have recovered then."""
        cause = self._cause_of.pop(collector, None)
        if cause is None:
            return
        affected = self._affected[cause]
        affected.now.discard(collector)
        if not affected.now:
            del self._affected[cause]
            self._recovered.setdefault(affected.reason, []).extend(affected.ever)


def _affects_target(error: TargetError) -> bool:
    """Return whether an error concerns the whole target, so that its pings meet it too."""
    return error.unavailable or isinstance(error, AuthError | SkippedError)
