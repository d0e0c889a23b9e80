"""The log of one target, bounded: a target that changes all the time cannot fill it.

The first line of a kind is written at once. When lines of the same kinds are repeated too often, the further ones are
left out and counted: one line a minute tells how many. The newest line of each kind is written, with that count, as
soon as nothing of this kind has happened for a minute. So the log ends with what is true.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

from redis_pulse.log import Logger

Level = Literal["debug", "info", "warning", "error"]

#: Seconds over which lines are counted, and after which a kind that was silent is news again.
WINDOW = 60.0
#: So many repeated lines are written in that time.
MOST = 6


@dataclass(slots=True)
class _LeftOut:
    """The newest line of a kind that was not written."""

    level: Level
    event: str
    fields: dict[str, Any]
    at: float
    count: int = 0


class LogLimiter:
    """Writes lines by kind. ``clock`` is monotonic, in seconds; ``tick()`` is to be called now and then."""

    def __init__(self, logger: Logger, clock: Callable[[], float]) -> None:
        self._log = logger
        self._clock = clock
        self._told: dict[Hashable, float] = {}
        self._repeats: deque[float] = deque()
        self._left_out: dict[Hashable, _LeftOut] = {}
        self._since_summary = 0
        self._summary_due = 0.0

    def tell(self, kind: Hashable, level: Level, event: str, **fields: Any) -> None:
        """Write a line, or leave it out and count it when there were too many of its kind."""
        now = self._clock()
        while self._repeats and now - self._repeats[0] >= WINDOW:
            self._repeats.popleft()
        told = self._told.get(kind)
        repeated = told is not None and now - told < WINDOW
        if kind not in self._left_out and (not repeated or len(self._repeats) < MOST):
            if repeated:
                self._repeats.append(now)
            self._told[kind] = now
            getattr(self._log, level)(event, **fields)
            return
        if not self._left_out:
            self._since_summary, self._summary_due = 0, now + WINDOW
            self._log.warning("flapping", told=len(self._repeats), within_seconds=WINDOW)
        count = self._left_out[kind].count if kind in self._left_out else 0
        self._left_out[kind] = _LeftOut(level, event, fields, now, count + 1)
        self._since_summary += 1

    def tick(self) -> None:
        """Write what was left out and has not changed for a while; once a minute, how much was left out."""
        if not self._left_out:
            return
        now = self._clock()
        for kind, line in list(self._left_out.items()):
            if now - line.at >= WINDOW:
                del self._left_out[kind]
                self._told[kind] = now
                getattr(self._log, line.level)(line.event, **line.fields, left_out=line.count - 1)
        if self._left_out and now >= self._summary_due:
            self._log.warning("still flapping", left_out=self._since_summary, within_seconds=WINDOW)
            self._since_summary, self._summary_due = 0, now + WINDOW
