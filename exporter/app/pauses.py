"""Pauses of the garbage collector: what they keep waiting, our measurement included, is kept short and published.

A thousand targets are a million objects that live as long as the daemon. To look through all of them takes the
collector a second, again and again, and finds nothing. So while they are being made it is told, once a second, to leave
alone what there is: it looks only through what is younger, and then that is left alone too.
"""

import gc
from collections.abc import Callable

#: Seconds after the start, or after a configuration was taken over: by then everything that stays has been made.
SETTLED = 60.0


class Pauses:
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
        gc.callbacks.append(self._strike)
        self._settle_at = self._clock() + SETTLED
        self._leave_alone()

    def stop(self) -> None:
        """End; hand over what was noted."""
        if self._strike in gc.callbacks:
            gc.callbacks.remove(self._strike)
        self.flush()
        self._settle_at = None

    def settle(self, *, dropped: int, left: int) -> None:
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
        self._leave_alone()

    def flush(self) -> None:
        """Hand over what was noted; to be called once a second."""
        if self._settle_at is not None:
            if self._clock() >= self._settle_at:
                self._settle_at = None
            self._leave_alone()
        noted, self._noted = self._noted, []
        for seconds in noted:
            self._observe(seconds)

    @staticmethod
    def _leave_alone() -> None:
        gc.collect(1)  # what is garbage already would stay for ever
        gc.freeze()

    def _strike(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = self._clock()
        else:
            self._noted.append(self._clock() - self._began)
