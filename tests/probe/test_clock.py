"""A stamp is believed only where it cannot be wrong: whatever somebody does to the wall's clock."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.probe import WallClockMonitor
from redis_pulse.probe.clock import CLOCK_TOLERANCE_NS, MAX_READ_GAP, MAX_SLEW_RATIO, RoundTrip, round_trip
from tests.fakes import ManualClock

MS = 1_000_000


class Wall:
    """The wall's clock: runs with the other one, but for what somebody does to it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.moved = 0

    def __call__(self) -> int:
        return round(self.clock() * 1e9) + 1_700_000_000 * 1_000_000_000 + self.moved


class Torn:
    """A clock that lets time pass at every reading: we are preempted between the two."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.times = 0

    def __call__(self) -> float:
        if self.times:
            self.times -= 1
            self.clock.advance(MAX_READ_GAP * 2)
        return self.clock()


def test_while_both_clocks_run_alike_it_is_one_epoch() -> None:
    clock = ManualClock()
    clocks = WallClockMonitor(clock, Wall(clock))
    for seconds in (0.0, 0.001, 1.0, 3600.0):
        clock.advance(seconds)
        assert clocks.epoch() == 0


def test_a_wall_clock_that_is_set_begins_an_epoch_once() -> None:
    clock = ManualClock()
    wall = Wall(clock)
    clocks = WallClockMonitor(clock, wall)
    for step in (3_600_000 * MS, -3_600_000 * MS, 2 * CLOCK_TOLERANCE_NS):
        before = clocks.epoch()
        wall.moved += step
        assert clocks.epoch() == before + 1
        assert clocks.epoch() == before + 1


def test_slewing_begins_none() -> None:
    """NTP moves a clock by at most 500 µs a second."""
    clock = ManualClock()
    wall = Wall(clock)
    clocks = WallClockMonitor(clock, wall)
    for _ in range(100):
        clock.advance(1)
        wall.moved += round(MAX_SLEW_RATIO * 1e9 / 2)
        assert clocks.epoch() == 0


def test_a_reading_that_was_torn_is_taken_again_and_never_an_epoch() -> None:
    clock = ManualClock()
    torn = Torn(clock)
    clocks = WallClockMonitor(torn, Wall(clock))
    for times in range(10):
        torn.times = times
        assert clocks.epoch() == 0


def test_the_stamp_takes_off_what_we_were_late_by() -> None:
    assert round_trip(10.0, 0, 10.030, 30 * MS, 1 * MS, same_epoch=True) == RoundTrip(0.001, 0.029)
    assert round_trip(10.0, 0, 10.030, 30 * MS, 1 * MS, same_epoch=True).clock == "kernel"


def test_without_a_stamp_or_in_another_epoch_our_own_clock_counts() -> None:
    for stamp, same_epoch in ((None, True), (1 * MS, False)):
        took = round_trip(10.0, 0, 10.5, 500 * MS, stamp, same_epoch=same_epoch)
        assert took == RoundTrip(0.5, None)
        assert took.clock == "user"


def test_a_stamp_outside_of_sending_and_reading_is_nobodys() -> None:
    for stamp in (-1, 500 * MS + CLOCK_TOLERANCE_NS + 1):
        assert round_trip(10.0, 0, 10.5, 500 * MS, stamp, same_epoch=True).clock == "user"
    assert round_trip(10.0, 0, 10.5, 500 * MS, 500 * MS + CLOCK_TOLERANCE_NS, same_epoch=True) == RoundTrip(
        (500 * MS + CLOCK_TOLERANCE_NS) / 1e9, 0
    )


def test_a_stamp_that_makes_the_trip_longer_than_we_waited_is_wrong() -> None:
    """The wall's clock went forward by an hour, and nobody saw it yet."""
    hour = 3_600_000 * MS
    assert round_trip(10.0, 0, 10.5, hour + 500 * MS, hour + 400 * MS, same_epoch=True) == RoundTrip(0.5, None)


@given(
    wait=st.floats(0, 5),
    lag=st.floats(0, 1),
    steps=st.lists(
        st.tuples(st.sampled_from(["before", "flying", "lying"]), st.integers(-10 * MS, 10 * MS)), max_size=3
    ),
)
def test_whatever_is_done_to_the_wall_clock_no_step_is_booked_as_latency(
    wait: float, lag: float, steps: list[tuple[str, int]]
) -> None:
    """The trip is never longer than until we read it, and never wrong by more than a step too small to be seen."""
    clock = ManualClock()
    wall = Wall(clock)
    clocks = WallClockMonitor(clock, wall)

    def move(when: str) -> None:
        wall.moved += sum(step for at, step in steps if at == when)

    move("before")
    epoch = clocks.epoch()
    sent, sent_ns = clock(), wall()
    clock.advance(wait)
    move("flying")
    stamp = wall()
    move("lying")
    clock.advance(lag)
    read, read_ns = clock(), wall()
    took = round_trip(sent, sent_ns, read, read_ns, stamp, same_epoch=clocks.epoch() == epoch)
    unseen = (2 * CLOCK_TOLERANCE_NS + (wait + lag) * 1e9 * MAX_SLEW_RATIO) / 1e9
    assert took.seconds <= wait + lag + unseen
    if not any(at in ("flying", "lying") for at, _ in steps):
        assert took.clock == "kernel"
        assert abs(took.seconds - wait) < 1e-6
    elif took.clock == "user":
        assert abs(took.seconds - wait - lag) < 1e-6
