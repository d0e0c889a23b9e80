"""A kernel timestamp is trusted only if it cannot be wrong, whatever is done to the wall clock."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.probe import WallClockMonitor
from redis_pulse.probe.clock import CLOCK_TOLERANCE_NS, MAX_READ_GAP, MAX_SLEW_RATIO, RoundTrip, round_trip
from tests.fakes import ManualClock

MS = 1_000_000


class ManualWallClock:
    """A wall clock that runs with the monotonic clock, plus ``offset`` nanoseconds."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.offset = 0

    def __call__(self) -> int:
        return round(self.clock() * 1e9) + 1_700_000_000 * 1_000_000_000 + self.offset


class PreemptedClock:
    """A clock that advances at each of the next ``times`` readings, as if the process was preempted."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.times = 0

    def __call__(self) -> float:
        if self.times:
            self.times -= 1
            self.clock.advance(MAX_READ_GAP * 2)
        return self.clock()


def test_epoch_stays_while_both_clocks_agree() -> None:
    clock = ManualClock()
    clocks = WallClockMonitor(clock, ManualWallClock(clock))
    for seconds in (0.0, 0.001, 1.0, 3600.0):
        clock.advance(seconds)
        assert clocks.epoch() == 0


def test_setting_the_wall_clock_starts_one_epoch() -> None:
    clock = ManualClock()
    wall = ManualWallClock(clock)
    clocks = WallClockMonitor(clock, wall)
    for step in (3_600_000 * MS, -3_600_000 * MS, 2 * CLOCK_TOLERANCE_NS):
        before = clocks.epoch()
        wall.offset += step
        assert clocks.epoch() == before + 1
        assert clocks.epoch() == before + 1


def test_slewing_starts_no_epoch() -> None:
    """NTP moves a clock by at most 500 µs per second."""
    clock = ManualClock()
    wall = ManualWallClock(clock)
    clocks = WallClockMonitor(clock, wall)
    for _ in range(100):
        clock.advance(1)
        wall.offset += round(MAX_SLEW_RATIO * 1e9 / 2)
        assert clocks.epoch() == 0


def test_preempted_reading_is_repeated_and_starts_no_epoch() -> None:
    clock = ManualClock()
    preempted = PreemptedClock(clock)
    clocks = WallClockMonitor(preempted, ManualWallClock(clock))
    for times in range(10):
        preempted.times = times
        assert clocks.epoch() == 0


def test_timestamp_subtracts_the_delay_of_the_read() -> None:
    assert round_trip(10.0, 0, 10.030, 30 * MS, 1 * MS, same_epoch=True) == RoundTrip(0.001, 0.029)
    assert round_trip(10.0, 0, 10.030, 30 * MS, 1 * MS, same_epoch=True).clock == "kernel"


def test_user_clock_counts_without_timestamp_or_in_another_epoch() -> None:
    for kernel_timestamp, same_epoch in ((None, True), (1 * MS, False)):
        took = round_trip(10.0, 0, 10.5, 500 * MS, kernel_timestamp, same_epoch=same_epoch)
        assert took == RoundTrip(0.5, None)
        assert took.clock == "user"


def test_timestamp_outside_of_send_and_read_is_not_used() -> None:
    for kernel_timestamp in (-1, 500 * MS + CLOCK_TOLERANCE_NS + 1):
        assert round_trip(10.0, 0, 10.5, 500 * MS, kernel_timestamp, same_epoch=True).clock == "user"
    assert round_trip(10.0, 0, 10.5, 500 * MS, 500 * MS + CLOCK_TOLERANCE_NS, same_epoch=True) == RoundTrip(
        (500 * MS + CLOCK_TOLERANCE_NS) / 1e9, 0
    )


def test_timestamp_that_exceeds_the_wait_is_not_used() -> None:
    """The wall clock went forward by an hour, and no comparison has noticed it yet."""
    hour = 3_600_000 * MS
    assert round_trip(10.0, 0, 10.5, hour + 500 * MS, hour + 400 * MS, same_epoch=True) == RoundTrip(0.5, None)


@given(
    wait=st.floats(0, 5),
    lag=st.floats(0, 1),
    steps=st.lists(
        st.tuples(st.sampled_from(["before", "in flight", "unread"]), st.integers(-10 * MS, 10 * MS)), max_size=3
    ),
)
def test_no_step_of_the_wall_clock_becomes_latency(wait: float, lag: float, steps: list[tuple[str, int]]) -> None:
    """A round trip is not longer than until the read. It is wrong by no more than a step too small to be noticed."""
    clock = ManualClock()
    wall = ManualWallClock(clock)
    clocks = WallClockMonitor(clock, wall)

    def move(when: str) -> None:
        wall.offset += sum(step for at, step in steps if at == when)

    move("before")
    epoch = clocks.epoch()
    sent, sent_ns = clock(), wall()
    clock.advance(wait)
    move("in flight")
    kernel_timestamp = wall()
    move("unread")
    clock.advance(lag)
    read, read_ns = clock(), wall()
    took = round_trip(sent, sent_ns, read, read_ns, kernel_timestamp, same_epoch=clocks.epoch() == epoch)
    unnoticed = (2 * CLOCK_TOLERANCE_NS + (wait + lag) * 1e9 * MAX_SLEW_RATIO) / 1e9
    assert took.seconds <= wait + lag + unnoticed
    if not any(at in ("in flight", "unread") for at, _ in steps):
        assert took.clock == "kernel"
        assert abs(took.seconds - wait) < 1e-6
    elif took.clock == "user":
        assert abs(took.seconds - wait - lag) < 1e-6
