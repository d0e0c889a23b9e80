"""Polls come just before scrapes, never more often than permitted, and on the grid without scrapes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_pulse.scheduling.planner import PlannedTarget, PollPace, PollPlanner
from tests.fakes import ManualClock
from tests.scheduling.fleet import Fleet, Scrapes, regular

AUTO = PollPace(15.0, 5.0, aligns=True)


def target(pace: PollPace = AUTO, key: str = "it") -> PlannedTarget:
    return PlannedTarget(key, pace, 0.5, 0.0)


def planner_with_scraper(page: str | None = None) -> tuple[PollPlanner, ManualClock]:
    clock = ManualClock(0.0)
    planner = PollPlanner(clock, lambda _scraper: None)
    planner.targets = 1
    for number in range(4):
        clock.now = 10.0 * number
        planner.scraped("10.0.0.1 x", page)
    return planner, clock


def test_nobody_scrapes_and_the_grid_applies() -> None:
    planner = PollPlanner(ManualClock(), lambda _scraper: None)
    planner.scraped("curl", None)
    assert planner.next(target(), 1000.0) is None


def test_align_off_leaves_the_grid_whoever_scrapes() -> None:
    planner, _ = planner_with_scraper()
    assert planner.next(target(PollPace(15.0, 5.0, aligns=False)), 30.0) is None


def test_scraper_of_one_target_moves_the_polls_of_that_target_only() -> None:
    planner, _ = planner_with_scraper("it")
    assert planner.next(target(), 30.0) == pytest.approx(40 - 0.06, abs=0.01)
    assert planner.next(target(key="other"), 30.0) is None
    assert planner.scrapers_of_targets() == 1
    assert not list(planner.scrapers())
    planner.forget("it")
    assert planner.next(target(), 30.0) is None


def test_slow_target_is_polled_earlier() -> None:
    planner, _ = planner_with_scraper()
    moment = planner.next(PlannedTarget("it", AUTO, 0.5, 0.5), 30.0)
    assert moment == pytest.approx(39.44, abs=0.01)


def test_busy_event_loop_makes_polls_rarer() -> None:
    planner, clock = planner_with_scraper()
    for _ in range(200):
        clock.advance(0.1)
        planner.load.started(0.5, 3.0)
    assert planner.slowdown() == 3.0
    moment = planner.next(target(), clock())
    assert moment is not None
    assert moment - clock() > 10


def test_hundred_targets_are_half_a_second_old_at_a_scrape() -> None:
    fleet = Fleet(targets=100)
    fleet.run([regular(5, 0.3)], 300)
    assert fleet.age(0, 0.99) < 0.6
    assert fleet.age(0, 0.5) < 0.4
    assert min(fleet.gaps) >= 4.9


def test_two_scrapers_with_different_periods_are_served_if_settings_allow() -> None:
    fleet = Fleet(PollPace(15.0, 1.0, aligns=True), targets=50)
    fleet.run([regular(5, 0.3), regular(7, 2.7)], 300)
    assert max(fleet.age(0, 0.99), fleet.age(1, 0.99)) < 1.1
    assert min(fleet.gaps) >= 0.98


def test_two_scrapers_do_not_exceed_the_permitted_polls() -> None:
    fleet = Fleet(targets=50)
    fleet.run([regular(5, 0.3), regular(7, 2.7)], 300)
    assert fleet.age(0, 0.99) < 0.6
    assert fleet.age(1, 1.0) < 5.1
    assert fleet.polls <= 50 * 150 / 4.9


def test_interval_that_a_user_set_is_kept() -> None:
    """Scrapes every 15 s, polls every 30 s: each poll comes before every second scrape."""
    fleet = Fleet(PollPace(30.0, 30.0, aligns=True), targets=20, settled=800)
    fleet.run([regular(15, 4.0)], 1400)
    assert 29.3 <= min(fleet.gaps) <= max(fleet.gaps) <= 30.7
    assert fleet.age(0, 0.45) < 0.5
    assert fleet.age(0, 1.0) < 15.6


def test_rare_scrapes_leave_no_long_gap() -> None:
    fleet = Fleet(targets=20, settled=300)
    fleet.run([regular(60, 9.0)], 900)
    assert max(fleet.gaps) <= 15.3
    assert fleet.age(0, 1.0) < 0.5


def test_period_that_fits_no_interval_adds_no_polls() -> None:
    fleet = Fleet(PollPace(30.0, 30.0, aligns=True), targets=20, settled=300)
    fleet.run([regular(40, 4.0)], 900)
    assert min(fleet.gaps) >= 29.3


def test_missed_scrapes_and_a_restart_keep_samples_fresh() -> None:
    def moment(number: int) -> float | None:
        if number % 11 == 3 or 50 <= number < 56:
            return None
        return 0.3 + 5 * number + (2.2 if number >= 70 else 0)

    fleet = Fleet(targets=50)
    fleet.run([Scrapes(moment)], 500)
    assert fleet.age(0, 0.94) < 0.6
    assert max(fleet.gaps) <= 15.3
    assert min(fleet.gaps) >= 4.9


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1, 60), st.floats(0, 60), st.floats(0, 0.3)), min_size=1, max_size=4),
    st.sampled_from([(15.0, 5.0), (30.0, 30.0), (10.0, 1.0), (60.0, 20.0)]),
)
def test_gaps_stay_within_the_settings_whoever_scrapes(
    scrapers: list[tuple[float, float, float]], pace: tuple[float, float]
) -> None:
    fleet = Fleet(PollPace(*pace, aligns=True), targets=10, settled=61)
    fleet.run([regular(*scraper) for scraper in scrapers], 300)
    assert min(fleet.gaps) >= pace[1] * 0.979
    assert max(fleet.gaps) <= pace[0] * 1.021
