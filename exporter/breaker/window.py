"""What the breaker remembers of the last seconds."""

_PARTS = 12  # the window forgets in steps of a twelfth


class Window:
    """Calls and failures of the last seconds, in a ring of parts: as small at 100 calls a second as at one."""

    __slots__ = ("_calls", "_failures", "_part_seconds", "_slow", "_tick", "calls", "failures", "slow")

    def __init__(self, seconds: float) -> None:
        self._part_seconds = seconds / _PARTS
        self._tick = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._calls, self._failures, self._slow = [0] * _PARTS, [0] * _PARTS, [0] * _PARTS
        self.calls = self.failures = self.slow = 0

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        """Count a call that ended now."""
        tick = int(now / self._part_seconds)
        for passed in range(max(self._tick + 1, tick - _PARTS + 1), tick + 1):
            self.calls -= self._calls[passed % _PARTS]
            self.failures -= self._failures[passed % _PARTS]
            self._calls[passed % _PARTS] = self._failures[passed % _PARTS] = 0
        self._tick = tick
        self.calls += 1
        self._calls[tick % _PARTS] += 1
        self.failures += failed
        self._failures[tick % _PARTS] += failed
        if slow:
            self.slow += 1
            self._slow[tick % _PARTS] += 1
