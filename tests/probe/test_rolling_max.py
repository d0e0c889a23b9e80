"""The longest duration lately: every peak is seen by whoever looks once a window."""

from redis_pulse.probe.accounting import RollingMax


def test_the_longest_of_this_window_and_of_the_one_before() -> None:
    longest = RollingMax(15)
    assert longest.value(100) == 0
    longest.observe(100, 0.5)
    longest.observe(101, 0.1)
    assert longest.value(114.9) == 0.5
    longest.observe(116, 0.2)
    assert longest.value(130) == 0.5, "still seen a window later"
    assert longest.value(131.5) == 0.2
    assert longest.value(147) == 0


def test_a_peak_of_long_ago_is_forgotten_when_nothing_came_since() -> None:
    longest = RollingMax(15)
    longest.observe(100, 9.0)
    assert longest.value(1000) == 0
    longest.observe(2000, 0.1)
    assert longest.value(2000) == 0.1
