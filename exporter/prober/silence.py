"""Since when a target does not answer, as near as can be said: it is asked once an interval only. Pure."""


class Silence:
    """Of one target that is asked every ``interval`` seconds. Times are in seconds on our clock."""

    __slots__ = ("_broke", "_failed", "_interval", "_lost", "answered")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        #: when it last answered well, and in time; None when it never did
        self.answered: float | None = None
        #: when the first slot that failed was due, and when the connection broke before it failed
        self._failed: float | None = None
        self._broke: float | None = None
        self._lost: float | None = None

    def heard(self, now: float) -> None:
        """Take note of a good answer."""
        self.answered = now
        self._failed = self._lost = self._broke = None

    def failed(self, due: float) -> None:
        """Take note of a slot, due then, that failed; the loss that made it fail, if one did, was told before."""
        if self._failed is None:
            self._failed, self._broke = due, self._lost

    def lost(self, now: float) -> None:
        """Take note that the connection was lost, or could not be made."""
        if self._lost is None:
            self._lost = now

    def since(self, *, is_waiting: bool) -> float | None:
        """Return since when; None while it answers. ``is_waiting``: a ping is unanswered just now.

        Since its connection was lost; where that did not tell, half way between its last answer and the first ping
        that failed, which is at most half an interval off.
        """
        first, broke = self._failed, self._broke
        if first is None and is_waiting and self.answered is not None:
            first, broke = self.answered + self._interval, self._lost
        if first is None or broke is not None:
            return broke
        return first if self.answered is None else (self.answered + max(self.answered, first)) / 2
