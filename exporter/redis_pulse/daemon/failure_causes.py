"""What we say of collectors that fail: one line for a cause, however many collectors it hits.

What hits the target as a whole (it is away, or wants another password) is told by its pings. Such a failure waits for
the next ping: when that fails too, the collectors are not mentioned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from redis_pulse.daemon.log_limiter import LogLimiter
from redis_pulse.errors import AuthError, PermissionDeniedError, RejectedError, SkippedError, TargetError
from redis_pulse.metric import CollectorFault

#: What a cause is known by.
Cause = tuple[str, str]
DENIED: Cause = ("denied", "")


@dataclass(slots=True)
class _Hit:
    """The collectors that a cause has hit since it was told, and those that it still hits."""

    reason: str
    ever: dict[str, None] = field(default_factory=dict)  # an ordered set
    now: set[str] = field(default_factory=set)


class FailureCauses:
    """Follows the collectors of one target, which are polled as ``user``."""

    def __init__(self, lines: LogLimiter, user: str) -> None:
        self._lines = lines
        self._user = user
        #: failures to be told at the end of a poll, and those that wait for the next ping
        self._fresh: dict[str, TargetError] = {}
        self._held: dict[str, TargetError] = {}
        self._denied: dict[str, frozenset[str]] = {}
        self._denied_fresh: dict[str, frozenset[str]] = {}
        self._hits: dict[Cause, _Hit] = {}
        self._cause_of: dict[str, Cause] = {}
        self._well: dict[str, list[str]] = {}  # collectors that work again, by the reason for which they failed
        self._faulty: dict[str, str] = {}
        self._unsupported: dict[str, str] = {}
        self._parts: dict[tuple[str, str], tuple[str, str]] = {}

    def failed(self, collector: str, error: Exception, *, is_away: bool) -> None:
        """Take note of a failure; ``is_away`` says that the pings fail too."""
        if isinstance(error, RejectedError):
            return
        if not isinstance(error, TargetError):
            if self._faulty.get(collector) != (kind := type(error).__name__):
                self._faulty[collector] = kind
                self._lines.tell(collector, "error", "collector is at fault", collector=collector, exc_info=error)
            return
        if not _of_the_target(error):
            self._fresh[collector] = error
        elif not is_away:
            self._held[collector] = error

    def worked(self, collector: str) -> None:
        """Take note that a collector read what it wanted."""
        self._recovered(collector)
        if self._denied.pop(collector, None) is not None:
            self._well.setdefault(PermissionDeniedError.reason, []).append(collector)

    def rests(self, collector: str) -> None:
        """Forget a collector that is not run any more, without a line."""
        for known in (self._held, self._fresh, self._unsupported, self._faulty, self._denied, self._denied_fresh):
            known.pop(collector, None)
        cause = self._cause_of.pop(collector, None)
        if cause is not None:
            self._hits[cause].now.discard(collector)
            if not self._hits[cause].now:
                del self._hits[cause]

    def _recovered(self, collector: str) -> None:
        self._held.pop(collector, None)
        self._fresh.pop(collector, None)
        self._unsupported.pop(collector, None)
        if self._faulty.pop(collector, None) is not None:
            self._well.setdefault("fault", []).append(collector)
        self._leave(collector)

    def unsupported(self, collector: str, error: TargetError) -> None:
        """Say once that the server lacks what a collector reads."""
        if self._unsupported.get(collector) != error.reason:
            self._unsupported[collector] = error.reason
            self._lines.tell(
                collector, "warning", "not supported by this server", collector=collector, error=str(error)
            )

    def denied(self, collector: str, commands: Iterable[str], *, worked: bool) -> None:
        """Take note of what the user may not run, as an ACL names it; ``worked``: it is not needed."""
        if worked:
            self._recovered(collector)
        missing = frozenset(f"+{command}" for command in commands)
        if self._denied.get(collector) != missing:
            self._denied[collector] = self._denied_fresh[collector] = missing

    def parts(self, collector: str, faults: Sequence[CollectorFault]) -> None:
        """Say once of each part of a collector why it gives nothing, and when it works again."""
        for fault in faults:
            place = (collector, fault.part)
            if self._parts.get(place) != (fault.reason, fault.text):
                self._parts[place] = (fault.reason, fault.text)
                self._lines.tell(
                    place, "warning", "part of a collector fails",
                    collector=collector, part=fault.part, reason=fault.reason, error=fault.text,
                )  # fmt: skip
        failing = {fault.part for fault in faults}
        for place in [place for place in self._parts if place[0] == collector and place[1] not in failing]:
            del self._parts[place]
            self._lines.tell(place, "info", "part of a collector works again", collector=collector, part=place[1])

    def on_probe(self, *, is_up: bool) -> None:
        """Tell what waited for this ping, unless the target is away: then its own line tells it."""
        if is_up:
            self._fresh |= self._held
            self.tell()
        self._held.clear()

    def tell(self) -> None:
        """Write what is new since the last time, one line for a cause."""
        self._tell_denied()
        news: dict[Cause, dict[str, None]] = {}
        errors: dict[Cause, TargetError] = {}
        for collector, error in self._fresh.items():
            before = self._cause_of.get(collector)
            if before is not None and before[0] == error.reason:
                continue
            self._leave(collector)
            cause = (error.reason, str(error))
            self._cause_of[collector] = cause
            hit = self._hits.setdefault(cause, _Hit(error.reason))
            if not hit.ever:
                news[cause], errors[cause] = hit.ever, error
            hit.ever[collector] = None
            hit.now.add(collector)
        self._fresh.clear()
        for cause, hit_by_it in news.items():
            self._lines.tell(
                next(iter(hit_by_it)), "warning", "collector fails",
                collector=",".join(hit_by_it), reason=cause[0], error=cause[1],
            )  # fmt: skip
        for reason, collectors in self._well.items():
            if well := [one for one in dict.fromkeys(collectors) if one not in self._cause_of]:
                self._lines.tell(well[0], "info", "collector works again", collector=",".join(well), reason=reason)
        self._well.clear()

    def _tell_denied(self) -> None:
        fresh, self._denied_fresh = self._denied_fresh, {}
        if fresh:
            missing = sorted({word for words in fresh.values() for word in words})
            self._lines.tell(
                DENIED, "warning", "not permitted",
                user=self._user, missing=" ".join(missing), collector=",".join(fresh), see="docs/acl.md",
            )  # fmt: skip

    def _leave(self, collector: str) -> None:
        """Take a collector out of its cause, which is over when it was the last."""
        cause = self._cause_of.pop(collector, None)
        if cause is None:
            return
        hit = self._hits[cause]
        hit.now.discard(collector)
        if not hit.now:
            del self._hits[cause]
            self._well.setdefault(hit.reason, []).extend(hit.ever)


def _of_the_target(error: TargetError) -> bool:
    return error.unavailable or isinstance(error, AuthError | SkippedError)
