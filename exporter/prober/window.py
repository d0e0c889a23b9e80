"""The longest of what was seen lately: a number a target, nothing allocated."""


class Longest:
    """The longest duration in the present window of ``length`` seconds and the one before.

    So whoever looks at least once a window sees every peak. Times are monotonic seconds.
    """

    __slots__ = ("_before", "_ends", "_length", "_present")

    def __init__(self, length: float) -> None:
        self._length = length
        self._ends = 0.0
        self._present = self._before = 0.0

    def observe(self, now: float, seconds: float) -> None:
        """Take note of a duration."""
        if now >= self._ends:
            self._turn(now)
        self._present = max(self._present, seconds)

    def value(self, now: float) -> float:
        """Return the longest; 0 when there was none."""
        if now >= self._ends:
            self._turn(now)
        return max(self._present, self._before)

    def _turn(self, now: float) -> None:
        self._before = self._present if now < self._ends + self._length else 0.0
        self._present = 0.0
        self._ends = now + self._length
