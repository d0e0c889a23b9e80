"""Limit the log lines of one target, so that a target that changes all the time cannot fill the log.

The first line of a kind is written at once. If lines of the same kinds are repeated too often, further ones are
suppressed and counted. One line a minute reports how many were suppressed. When a kind is quiet for a minute, its
newest line is written with that count. So the log always ends with the current state.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

from redis_pulse.log import Logger

Level = Literal["debug", "info", "warning", "error"]

#: Seconds in which repeated lines are counted. A kind that was quiet for so long is new again.
WINDOW = 60.0
#: Repeated lines that are written in that time, at most.
MAX_REPEATS = 6
#: Kinds whose last line is remembered. If there are more, those that were quiet for ``WINDOW`` are forgotten.
MAX_KINDS = 256


@dataclass(slots=True)
class _SuppressedLine:
    """The newest line of a kind that was not written."""

    level: Level
    event: str
    fields: dict[str, Any]
    at: float
    count: int = 0


class LogLimiter:
    """Writes lines by kind. ``clock`` returns monotonic seconds. Call ``tick()`` now and then."""

    def __init__(self, logger: Logger, clock: Callable[[], float]) -> None:
        self._log = logger
        self._clock = clock
        self._written_at: dict[Hashable, float] = {}
        self._repeats: list[float] = []  # a deque would take 700 bytes more
        self._suppressed: dict[Hashable, _SuppressedLine] = {}
        self._since_summary = 0
        self._summary_due = 0.0

    def log(self, kind: Hashable, level: Level, event: str, **fields: Any) -> None:
        """Write a line, or suppress and count it if there were too many of its kind."""
        now = self._clock()
        while self._repeats and now - self._repeats[0] >= WINDOW:
            self._repeats.pop(0)
        written_at = self._written_at.get(kind)
        is_repeated = written_at is not None and now - written_at < WINDOW
        if kind not in self._suppressed and (not is_repeated or len(self._repeats) < MAX_REPEATS):
            if is_repeated:
                self._repeats.append(now)
            if len(self._written_at) >= MAX_KINDS:
                self._written_at = {one: at for one, at in self._written_at.items() if now - at < WINDOW}
            self._written_at[kind] = now
            getattr(self._log, level)(event, **fields)
            return
        if not self._suppressed:
            self._since_summary, self._summary_due = 0, now + WINDOW
            self._log.warning("flapping", told=len(self._repeats), within_seconds=WINDOW)
        count = self._suppressed[kind].count if kind in self._suppressed else 0
        self._suppressed[kind] = _SuppressedLine(level, event, fields, now, count + 1)
        self._since_summary += 1

    def tick(self) -> None:
        """Write suppressed lines of kinds that are quiet now, and once a minute how many lines were suppressed."""
        if not self._suppressed:
            return
        now = self._clock()
        for kind, line in list(self._suppressed.items()):
            if now - line.at >= WINDOW:
                del self._suppressed[kind]
                self._written_at[kind] = now
                getattr(self._log, line.level)(line.event, **line.fields, left_out=line.count - 1)
        if self._suppressed and now >= self._summary_due:
            self._log.warning("still flapping", left_out=self._since_summary, within_seconds=WINDOW)
            self._since_summary, self._summary_due = 0, now + WINDOW
