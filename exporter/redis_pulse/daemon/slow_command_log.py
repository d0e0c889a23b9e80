"""Log the slow commands of one target: one line for each, but never a flood.

A poll writes at most ``MAX_LINES`` lines, the slowest commands. Within a minute at most ``MAX_LINES_PER_MINUTE`` are
written. All others are counted, and one summary follows: at once, or a minute after the one before.
"""

from collections.abc import Callable, Sequence

from redis_pulse.log import Logger
from redis_pulse.metric import SlowCommand, SlowCommands

WINDOW = 60.0
#: Lines of one poll, without the summary.
MAX_LINES = 5
MAX_LINES_PER_MINUTE = 10
EVENT, SUMMARY = "slow command", "more slow commands"


class SlowCommandLog:
    """Writes the lines. ``clock`` returns monotonic seconds. Call ``tick()`` now and then."""

    def __init__(self, logger: Logger, clock: Callable[[], float]) -> None:
        self._log = logger
        self._clock = clock
        self._written: list[float] = []  # a deque would take 700 bytes more
        self._summary_due = 0.0
        self._left_out = self._unread = 0
        self._seconds = 0.0

    def record(self, found: SlowCommands) -> None:
        """Log the slow commands of one poll."""
        now = self._clock()
        while self._written and now - self._written[0] >= WINDOW:
            self._written.pop(0)
        chosen = _slowest(found.commands, min(MAX_LINES, MAX_LINES_PER_MINUTE - len(self._written)))
        for position, slow in enumerate(found.commands):
            if position in chosen:
                self._written.append(now)
                seconds = None if slow.seconds is None else round(slow.seconds, 6)
                self._log.info(EVENT, command=slow.command, seconds=seconds, client=slow.client)
            else:
                self._left_out += 1
                self._seconds += slow.seconds or 0.0
        self._unread += found.unread
        self.tick()

    def tick(self) -> None:
        """Write the summary if it is due."""
        now = self._clock()
        if not (self._left_out or self._unread) or now < self._summary_due:
            return
        count, seconds = self._left_out + self._unread, round(self._seconds, 6)
        self._log.info(SUMMARY, left_out=count, unread=self._unread, seconds=seconds)
        self._left_out = self._unread = 0
        self._seconds, self._summary_due = 0.0, now + WINDOW


def _slowest(commands: Sequence[SlowCommand], count: int) -> frozenset[int]:
    """Return the positions of the slowest commands."""
    ranked = sorted(range(len(commands)), key=lambda position: commands[position].seconds or 0.0, reverse=True)
    return frozenset(ranked[: max(count, 0)])
