"""Poll less often while polls start late: the event loop has too much to do, so pings are late too."""

from collections.abc import Callable

#: Seconds after which polls are counted.
SPAN = 5.0
#: Seconds by which a late poll starts too late.
LATE = 0.02
#: Shares of late polls from which polls become fewer, and below which they become more again.
TOO_MANY, FEW = 0.5, 0.1
#: A share of fewer polls says nothing.
MIN_POLLS = 20
#: Factor of one change.
STEP = 1.5
#: Seconds in time after which polls become more again. Each attempt that fails doubles them, up to the maximum.
PATIENCE, MAX_PATIENCE = 60.0, 1920.0


class LoadGuard:
    """The factor by which the shortest time between two polls is longer than the settings say."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._late, self._count = 0, 0
        self._in_time_since = self._raised = clock()
        self._patience = PATIENCE
        self.factor = 1.0

    def started(self, delay: float, maximum: float) -> None:
        """Record by how much a poll started late. The factor does not exceed ``maximum``."""
        self._late += delay > LATE
        self._count += 1
        now = self._clock()
        if now - self._began >= SPAN and self._count >= MIN_POLLS:
            self._judge(self._late / self._count, maximum, now)
            self._began, self._late, self._count = now, 0, 0

    def _judge(self, share: float, maximum: float, now: float) -> None:
        if share > FEW:
            self._in_time_since = now
        if share > TOO_MANY:
            if now - self._raised < 2 * SPAN:  # the newest attempt to poll more often was too much
                self._patience = min(2 * self._patience, MAX_PATIENCE)
            self.factor = min(self.factor * STEP, max(1.0, maximum))
        elif self.factor > 1.0 and now - self._in_time_since >= self._patience:
            self.factor = max(1.0, self.factor / STEP)
            self._in_time_since = self._raised = now
        elif self.factor == 1.0 and now - self._in_time_since >= MAX_PATIENCE:
            self._patience = PATIENCE
