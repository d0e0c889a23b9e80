"""Virtual time. Only the event loop moves it."""

#: Monotonic seconds and Unix time at the start. The recorded replies of the servers are from the hour before.
START = 1000.0
START_WALL_NS = 1_795_390_000_000_000_000


class VirtualClock:
    """The monotonic clock and the wall clock of the simulated machine."""

    def __init__(self) -> None:
        #: monotonic seconds
        self.now = START
        self._offset_ns = START_WALL_NS - round(START * 1e9)

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return self.now

    def monotonic_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return round(self.now * 1e9)

    def wall_ns(self) -> int:
        """Return nanoseconds of the wall clock."""
        return round(self.now * 1e9) + self._offset_ns

    def wall(self) -> float:
        """Return seconds of the wall clock."""
        return self.wall_ns() / 1e9

    def wall_ns_at(self, moment: float) -> int:
        """Return what the wall clock shows, or showed, at a monotonic moment, in ns."""
        return round(moment * 1e9) + self._offset_ns

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self._offset_ns += round(seconds * 1e9)
