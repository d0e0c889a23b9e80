"""One line in the log for each stall. In a flood of stalls, one line for many."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from redis_pulse import log
from redis_pulse.stalls import StallRecord, TokenBucket, Verdict

#: Lines of single stalls per second in a flood, and how many may come at once before.
LINES_PER_SECOND, LINES_BURST = 1.0, 50
#: Seconds of stalls that one line reports.
GROUP_SECONDS: Final = 10.0


class StallLog:
    """Decides which stalls of all targets get a line of their own, and reports the others together."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._log = log.get("stalls")
        self._clock = clock
        self._lines = TokenBucket(LINES_PER_SECOND, LINES_BURST, clock)
        self._due = 0.0
        self._targets: set[str | None] = set()
        self._causes: Counter[str] = Counter()
        self._longest = 0.0

    def may_write(self, record: StallRecord, verdict: Verdict) -> bool:
        """Return whether a stall gets a line. If not, it is a part of the next line of many."""
        if self._lines.take():
            return True
        if not self._causes:
            self._due = self._clock() + GROUP_SECONDS
        self._targets.add(record.target)
        self._causes[verdict.cause] += 1
        self._longest = max(self._longest, record.seconds)
        return False

    def tick(self) -> None:
        """Write the line of many if it is due. Call this once a second."""
        if self._causes and self._clock() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write the line of many, if there are any."""
        if not self._causes:
            return
        self._log.warning(
            "stalls of many targets",
            stalls=self._causes.total(),
            targets=len(self._targets),
            longest_seconds=round(self._longest, 3),
            causes=dict(self._causes.most_common()),
        )
        self._targets.clear()
        self._causes.clear()
        self._longest = 0.0
