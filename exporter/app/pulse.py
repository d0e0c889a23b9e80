"""The pulse of our own loop: how late it wakes, whether it turns, and whether somebody set the wall clock."""

import asyncio
from collections.abc import Callable
from time import time

INTERVAL = 1.0
#: Seconds by which wall and monotonic clock may part between two beats: beyond it, the wall clock was set.
STEP = 0.05
#: Seconds without a beat after which the loop is called stuck.
STUCK = 5.0


class Pulse:
    """Beats once a second; ``on_step`` is called when the wall clock was set."""

    def __init__(
        self,
        on_lag: Callable[[float], None],
        on_step: Callable[[], None],
        *,
        clock: Callable[[], float],
        wall: Callable[[], float] = time,
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_beat = on_beat
        self._on_lag = on_lag
        self._on_step = on_step
        self._clock = clock
        self._wall = wall
        self._due = clock()
        self._offset = wall() - clock()
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; needs a running loop."""
        self._due = self._clock() + INTERVAL
        self._handle = asyncio.get_running_loop().call_later(INTERVAL, self._again)

    def stop(self) -> None:
        """End."""
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def beat(self) -> None:
        """Take one measurement."""
        now = self._clock()
        self._on_lag(max(0.0, now - self._due))
        self._on_beat()
        self._due = now + INTERVAL
        offset = self._wall() - now
        if abs(offset - self._offset) > STEP:
            self._on_step()
        self._offset = offset

    @property
    def healthy(self) -> bool:
        """Whether the newest beat came in time."""
        return self._clock() - self._due < STUCK

    def _again(self) -> None:
        # First: a fault in one of those who are called must not stop the heart.
        self._handle = asyncio.get_running_loop().call_later(INTERVAL, self._again)
        self.beat()
