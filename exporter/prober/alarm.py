"""One timer of the loop that is set, rings once, and may be set again."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls ``ring()`` when it is time."""

    __slots__ = ("_handle", "_ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it is going to ring."""
        return self._handle is not None

    def set(self, seconds: float) -> None:
        """Ring after so many seconds; at once when they are over."""
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(max(0.0, seconds), self._now)

    def stop(self) -> None:
        """Do not ring."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _now(self) -> None:
        self._handle = None
        self._ring()
