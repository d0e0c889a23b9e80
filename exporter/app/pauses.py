"""Pauses of the garbage collector: what they keep waiting, our measurement included, is published."""

import gc
from collections.abc import Callable


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

    def start(self) -> None:
        """Begin."""
        gc.callbacks.append(self._strike)

    def stop(self) -> None:
        """End; hand over what was noted."""
        if self._strike in gc.callbacks:
            gc.callbacks.remove(self._strike)
        self.flush()

    def flush(self) -> None:
        """Hand over what was noted."""
        noted, self._noted = self._noted, []
        for seconds in noted:
            self._observe(seconds)

    def _strike(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = self._clock()
        else:
            self._noted.append(self._clock() - self._began)
