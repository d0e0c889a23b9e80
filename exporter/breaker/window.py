"""What the breaker remembers of the last seconds."""

_PARTS = 12  # the window forgets in steps of a twelfth


class Window:
    """Calls, failures and slow calls of the last seconds, in a ring of parts of fixed size."""

    __slots__ = ("_part_seconds", "_parts", "_tick", "calls", "failures", "slow")

    def __init__(self, seconds: float) -> None:
        self._part_seconds = seconds / _PARTS
        self._tick = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._parts = [(0, 0, 0)] * _PARTS
        self.calls = self.failures = self.slow = 0

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        """Count a call that ended now."""
        tick = int(now / self._part_seconds)
        for passed in range(max(self._tick + 1, tick - _PARTS + 1), tick + 1):
            self._count(-1, *self._parts[passed % _PARTS])
            self._parts[passed % _PARTS] = (0, 0, 0)
        self._tick = tick
        calls, failures, slow_calls = self._parts[tick % _PARTS]
        self._parts[tick % _PARTS] = (calls + 1, failures + failed, slow_calls + slow)
        self._count(1, 1, failed, slow)

    def _count(self, sign: int, calls: int, failures: int, slow: int) -> None:
        self.calls += sign * calls
        self.failures += sign * failures
        self.slow += sign * slow
