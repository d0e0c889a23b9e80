"""Watch the runtime of the daemon itself: garbage collection, event loop and file descriptors.

``GcMonitor`` publishes the pauses of the garbage collector and keeps them short. A thousand targets are a million
objects that live as long as the daemon. A full collection of them takes a second, finds nothing, and would be repeated
again and again. While these objects are being made, the monitor freezes all existing objects once a second. Then the
collector visits only younger ones.

``LoopMonitor`` measures the lag of the event loop. It also detects steps of the wall clock.

``DescriptorMonitor`` warns once if there are too few file descriptors. It checks the limit at the start and after a
reload. It also watches for connects that failed for lack of a descriptor.
"""

import asyncio
import gc
from collections.abc import Callable
from time import time

from redis_pulse import file_descriptors, log

#: Seconds after the start or a change of the configuration. By then all objects that stay have been made.
SETTLING_TIME = 60.0


class GcMonitor:
    """Times every garbage collection between ``start`` and ``stop``.

    A collection may start anywhere, even where the lock of a metric is held. So a pause is only kept at first.
    ``flush`` passes the kept pauses to ``observe``, in seconds.
    """

    def __init__(self, observe: Callable[[float], None], *, clock: Callable[[], float]) -> None:
        self._observe = observe
        self._clock = clock
        self._began = 0.0
        self._pauses: list[float] = []
        self._freeze_until: float | None = None
        self._removed = 0

    def start(self) -> None:
        """Start timing collections and freezing objects."""
        gc.callbacks.append(self._on_gc)
        self._freeze_until = self._clock() + SETTLING_TIME
        self._collect_and_freeze()

    def stop(self) -> None:
        """Stop, and pass on the kept pauses. Frozen objects stay frozen."""
        if self._on_gc in gc.callbacks:
            gc.callbacks.remove(self._on_gc)
        self.flush()
        self._freeze_until = None

    def freeze_after_change(self, *, removed: int, remaining: int) -> None:
        """Freeze all objects now and for another minute. The arguments are numbers of targets.

        The objects of removed targets are frozen already, and would stay for the life of the process. So a full
        collection follows when a tenth of all targets has been removed. A smaller change must not cost a pause each
        time. A node of a large cluster may come and go often.
        """
        self._removed += removed
        if self._removed > remaining // 10:
            self._removed = 0
            gc.unfreeze()
            gc.collect()
        self._freeze_until = self._clock() + SETTLING_TIME
        self._collect_and_freeze()

    def flush(self) -> None:
        """Pass on the kept pauses. Call this once a second."""
        if self._freeze_until is not None:
            if self._clock() >= self._freeze_until:
                self._freeze_until = None
            self._collect_and_freeze()
        pauses, self._pauses = self._pauses, []
        for seconds in pauses:
            self._observe(seconds)

    @staticmethod
    def _collect_and_freeze() -> None:
        gc.collect(1)  # garbage that is frozen is never freed
        gc.freeze()

    def _on_gc(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = self._clock()
        else:
            self._pauses.append(self._clock() - self._began)


#: Seconds between two ticks of the event loop.
TICK_INTERVAL = 1.0
#: Seconds by which wall clock and monotonic clock may differ between two ticks. Beyond it, the wall clock was set.
CLOCK_STEP = 0.05
#: Seconds without a tick after which the event loop counts as stalled.
STALLED_AFTER = 5.0


class LoopMonitor:
    """Ticks once a second, with calls of ``on_lag`` and ``on_tick``.

    A tick also calls ``on_clock_step`` if the wall clock was set.
    """

    def __init__(
        self,
        on_lag: Callable[[float], None],
        on_clock_step: Callable[[], None],
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float] = time,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_tick = on_tick
        self._on_lag = on_lag
        self._on_clock_step = on_clock_step
        self._clock = clock
        self._wall_clock = wall_clock
        self._due = clock()
        self._offset = wall_clock() - clock()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start ticking. The loop must be running."""
        self._due = self._clock() + TICK_INTERVAL
        self._timer = asyncio.get_running_loop().call_later(TICK_INTERVAL, self._on_timer)

    def stop(self) -> None:
        """Stop ticking."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def tick(self) -> None:
        """Measure the lag and compare the clocks."""
        now = self._clock()
        self._on_lag(max(0.0, now - self._due))
        self._on_tick()
        self._due = now + TICK_INTERVAL
        offset = self._wall_clock() - now
        if abs(offset - self._offset) > CLOCK_STEP:
            self._on_clock_step()
        self._offset = offset

    @property
    def healthy(self) -> bool:
        """Whether the newest tick came in time."""
        return self._clock() - self._due < STALLED_AFTER

    def _on_timer(self) -> None:
        # Set the next timer first: an exception in one of the hooks must not stop the ticks.
        self._timer = asyncio.get_running_loop().call_later(TICK_INTERVAL, self._on_timer)
        self.tick()


class DescriptorMonitor:
    """Compares the limit of file descriptors with the number of targets, and watches for connects that lacked one."""

    def __init__(self) -> None:
        self._log = log.get("app")
        self._known_shortages = file_descriptors.shortages
        self._warned: tuple[int | None, int] | None = None
        self._targets = 0

    def check(self, targets: int) -> None:
        """Warn if this number of targets needs more descriptors than the limit allows."""
        self._targets = targets
        limit = file_descriptors.limit()
        if limit is not None and limit < file_descriptors.required_limit(targets):
            self._warn("the limit of open files is low for so many targets")

    def tick(self) -> None:
        """Warn if targets were skipped since the last tick, once for each limit and number of targets."""
        if file_descriptors.shortages != self._known_shortages:
            self._known_shortages = file_descriptors.shortages
            self._warn("targets are skipped: there is no descriptor, memory or thread for a connection")

    def _warn(self, event: str) -> None:
        limit = file_descriptors.limit()
        state = (limit, self._targets)
        if state == self._warned:
            return
        self._warned = state
        self._log.warning(event, limit=limit, targets=self._targets, cure=file_descriptors.limit_hint(self._targets))
