"""Pauses of the garbage collector: what they keep waiting, our measurement included, is kept short and published.

A thousand targets are a million objects that live as long as the daemon. To look through all of them takes the
collector a second, again and again, and finds nothing. So while they are being made it is told, once a second, to leave
alone what there is: it looks only through what is younger, and then that is left alone too.

The pulse of our own loop: how late it wakes, whether it turns, and whether somebody set the wall clock.

One warning when descriptors do not suffice: at the start, after a reload, and when a connect found none.
"""

import asyncio
import gc
from collections.abc import Callable
from time import time

from redis_pulse import file_descriptors, log

#: Seconds after the start, or after a configuration was taken over: by then everything that stays has been made.
SETTLED = 60.0


class GcMonitor:
    """Times every collection between ``start`` and ``stop``.

    The collector may strike anywhere, also where a lock of an instrument is held: so a pause is only noted at first,
    and ``flush`` hands what was noted to ``observe``, in seconds.
    """

    def __init__(self, observe: Callable[[float], None], *, clock: Callable[[], float]) -> None:
        self._observe = observe
        self._clock = clock
        self._began = 0.0
        self._noted: list[float] = []
        self._settle_at: float | None = None
        self._dropped = 0

    def start(self) -> None:
        """Begin."""
        gc.callbacks.append(self._on_gc)
        self._settle_at = self._clock() + SETTLED
        self._collect_and_freeze()

    def stop(self) -> None:
        """End; hand over what was noted."""
        if self._on_gc in gc.callbacks:
            gc.callbacks.remove(self._on_gc)
        self.flush()
        self._settle_at = None

    def freeze_after_change(self, *, dropped: int, left: int) -> None:
        """Leave alone what there is, and what is made in the next minute; so many targets were dropped and are left.

        What was left alone and has been dropped since must be looked through once, or it would stay for ever: when it
        is a tenth of all. A node of a large cluster that comes and goes must not cost a pause each time.
        """
        self._dropped += dropped
        if self._dropped > left // 10:
            self._dropped = 0
            gc.unfreeze()
            gc.collect()
        self._settle_at = self._clock() + SETTLED
        self._collect_and_freeze()

    def flush(self) -> None:
        """Hand over what was noted; to be called once a second."""
        if self._settle_at is not None:
            if self._clock() >= self._settle_at:
                self._settle_at = None
            self._collect_and_freeze()
        noted, self._noted = self._noted, []
        for seconds in noted:
            self._observe(seconds)

    @staticmethod
    def _collect_and_freeze() -> None:
        gc.collect(1)  # what is garbage already would stay for ever
        gc.freeze()

    def _on_gc(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = self._clock()
        else:
            self._noted.append(self._clock() - self._began)


INTERVAL = 1.0
#: Seconds by which wall and monotonic clock may part between two beats: beyond it, the wall clock was set.
CLOCK_STEP = 0.05
#: Seconds without a beat after which the loop is called stuck.
STALLED_AFTER = 5.0


class LoopMonitor:
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

    def tick(self) -> None:
        """Take one measurement."""
        now = self._clock()
        self._on_lag(max(0.0, now - self._due))
        self._on_beat()
        self._due = now + INTERVAL
        offset = self._wall() - now
        if abs(offset - self._offset) > CLOCK_STEP:
            self._on_step()
        self._offset = offset

    @property
    def healthy(self) -> bool:
        """Whether the newest beat came in time."""
        return self._clock() - self._due < STALLED_AFTER

    def _again(self) -> None:
        # First: a fault in one of those who are called must not stop the heart.
        self._handle = asyncio.get_running_loop().call_later(INTERVAL, self._again)
        self.tick()


class DescriptorMonitor:
    """Compares the limit with what the targets need, and looks whether connects were not made for want of one."""

    def __init__(self) -> None:
        self._log = log.get("app")
        self._seen = file_descriptors.shortages
        self._told: tuple[int | None, int] | None = None
        self._targets = 0

    def check(self, targets: int) -> None:
        """Warn when so many targets need more descriptors than we may have."""
        self._targets = targets
        limit = file_descriptors.limit()
        if limit is not None and limit < file_descriptors.needed(targets):
            self._tell("the limit of open files is low for so many targets")

    def tick(self) -> None:
        """Warn when targets were skipped since the last beat; once for each limit and number of targets."""
        if file_descriptors.shortages != self._seen:
            self._seen = file_descriptors.shortages
            self._tell("targets are skipped: there is no descriptor, memory or thread for a connection")

    def _tell(self, event: str) -> None:
        limit = file_descriptors.limit()
        state = (limit, self._targets)
        if state == self._told:
            return
        self._told = state
        self._log.warning(event, limit=limit, targets=self._targets, cure=file_descriptors.advice(self._targets))
