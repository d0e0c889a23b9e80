"""Growing delays: for the open times of a circuit breaker, and between attempts to connect."""

import random
from collections.abc import Callable

Jitter = Callable[[], float]


class Backoff:
    """Growing delays with full jitter: the n-th is between ``floor`` and ``base``·2ⁿ⁻¹, which is capped at ``cap``.

    All values are in seconds. ``jitter()`` returns a value in [0, 1).
    """

    __slots__ = ("_base", "_bound", "_cap", "_floor", "_jitter")

    def __init__(self, base: float, cap: float, *, floor: float = 0.0, jitter: Jitter = random.random) -> None:
        self._base, self._bound, self._cap, self._floor, self._jitter = base, base, max(base, cap), floor, jitter

    def next(self) -> float:
        """Return the next delay in seconds, and double the bound of the one after it."""
        delay = self._floor + self._jitter() * (self._bound - self._floor)
        self._bound = min(self._cap, 2 * self._bound)
        return delay

    def reset(self) -> None:
        """Start again at ``base``, after a success."""
        self._bound = self._base
