"""Since when a target does not answer, as near as can be said: it is asked once an interval only. Pure."""


class Silence:
    """Of one target that is asked every ``interval`` seconds. Times are in seconds on our clock."""

    __slots__ = ("_failed", "_interval", "_lost", "answered")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        #: when it last answered well, and in time; None when it never did
        self.answered: float | None = None
        self._failed: float | None = None
        self._lost: float | None = None

    def heard(self, now: float) -> None:
        """Take note of a good answer."""
        self.answered = now
        self._failed = self._lost = None

    def failed(self, due: float) -> None:
        """Take note of a slot, due then, that failed."""
        if self._failed is None:
            self._failed = due

    def lost(self, now: float) -> None:
        """Take note that the connection was lost, or could not be made."""
        if self._lost is None:
            self._lost = now

    def since(self, *, is_waiting: bool) -> float | None:
        """Return since when; None while it answers. ``is_waiting``: a ping is unanswered just now.

        Since its connection was lost; where that did not tell, half way between its last answer and the first ping
        that failed, which is at most half an interval off.
        """
        first = self._failed
        if first is None and is_waiting and self.answered is not None:
            first = self.answered + self._interval
        if first is None:
            return None
        if self._lost is not None and self._lost <= first:
            return self._lost
        return first if self.answered is None else (self.answered + max(self.answered, first)) / 2
