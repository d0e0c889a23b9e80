"""Windows end before scrapes, hold all targets at the permitted rate, and repeat with the scrapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.scheduling.scrapers import Scraper
from redis_pulse.scheduling.windows import MAX_RATE, MAX_RATE_SHARED, Window, build_windows, keep_steady

GUARD = 0.06


def scrapers(*periods_and_nexts: tuple[float, float], jitter: float = 0.0) -> list[Scraper]:
    found = []
    for number, (period, moment) in enumerate(periods_and_nexts, 1):
        found.append(Scraper("x", number, period, moment - period, jitter))
    return found


def oldest(windows: list[Window], scrapes: list[Scraper], places: int = 200) -> float:
    """Return the greatest age at any scrape if each target is polled once a period."""
    worst = 0.0
    for number in range(places):
        moment = windows[0].first((number + 0.5) / places, 100.0, 0.0, 0.0)
        worst = max(worst, *((scrape.next - moment) % scrape.period for scrape in scrapes))
    return worst


def test_window_ends_before_the_scrape_and_is_as_long_as_the_rate_needs() -> None:
    [window] = build_windows(scrapers((15, 60)), 600, 5, GUARD)
    first, last = (window.first(place, 50.0, 0.0, 0.0) for place in (0.0, 1.0))
    assert last == pytest.approx(60 - GUARD)
    assert last - first == pytest.approx(600 / MAX_RATE)


def test_thousand_targets_fit_into_less_than_four_seconds() -> None:
    assert oldest(build_windows(scrapers((5, 60)), 1000, 5, GUARD), scrapers((5, 60))) < 3.5


@pytest.mark.parametrize("apart", [0.1, 0.5, 1.2, 2.4, 2.5])
def test_two_scrapers_share_a_window_in_which_no_sample_is_old(apart: float) -> None:
    pair = scrapers((5, 60), (5, 60 + apart))
    [window] = build_windows(pair, 1000, 5, GUARD)
    assert oldest([window], pair) < 4
    assert sum(span.length for span in window.spans) >= 1000 / MAX_RATE_SHARED * 0.99


def test_few_targets_are_polled_before_the_scrape_after_the_longest_gap() -> None:
    """With one poll for two scrapes, the second one comes sooner after it this way."""
    pair = scrapers((15, 60), (15, 63))
    [window] = build_windows(pair, 30, 5, GUARD)
    assert 60 - GUARD - 30 / MAX_RATE <= window.first(0.5, 50.0, 0.0, 0.0) <= 60 - GUARD


def test_scrapers_far_apart_each_have_a_window() -> None:
    assert len(build_windows(scrapers((15, 60), (15, 67)), 100, 5, GUARD)) == 2


def test_scrapes_more_often_than_polls_take_turns() -> None:
    """With scrapes each second and polls every 5 s, each scrape follows a fifth of the polls."""
    [window] = build_windows(scrapers((1, 60)), 1000, 5, GUARD)
    assert window.period == pytest.approx(5)
    assert len(window.spans) == 5


def test_scraper_for_which_the_rate_does_not_suffice_has_no_window() -> None:
    windows = build_windows(scrapers((5, 60), (7, 61)), 1200, 1, GUARD)
    assert [window.period for window in windows] == [5]


def test_place_stays_when_the_next_scrape_has_come() -> None:
    """Otherwise a target would change its turn with each scrape, and wait for two periods."""
    scraper = Scraper("x", 1, 1.0, 59.0, 0.0)
    [before] = build_windows([scraper], 100, 5, GUARD)
    assert scraper.takes(60.0)
    [after] = build_windows([scraper], 100, 5, GUARD)
    for place in (0.05, 0.3, 0.5, 0.7, 0.95):
        moments = [window.first(place, 70.0, 0.0, 0.0) for window in (before, after)]
        assert moments[0] == pytest.approx(moments[1], abs=0.01)


def test_eight_unsteady_scrapers_of_one_second_leave_a_window() -> None:
    """Between them there is no time that surely lies before a scrape."""
    crowd = scrapers(*((1.0, 60 + number / 8) for number in range(8)), jitter=0.5)
    [window] = build_windows(crowd, 100, 1, GUARD)
    assert 70 <= window.first(0.5, 70.0, 0.0, 0.0) <= 71


def test_small_changes_of_spans_are_ignored() -> None:
    old, new, other = (build_windows(scrapers((5, 60), (5, 62.4 + shift)), 100, 5, GUARD) for shift in (0, 0.005, 0.5))
    assert keep_steady(old, new)[0].spans == old[0].spans
    assert keep_steady(old, other) == other


@given(
    st.lists(st.tuples(st.floats(1, 150), st.floats(60, 200)), min_size=1, max_size=8),
    st.integers(0, 5000),
    st.floats(0.1, 60),
    st.floats(0, 1),
    st.floats(50, 1000),
    st.floats(0, 2),
)
def test_moment_is_in_the_next_period_at_the_latest(
    pairs: list[tuple[float, float]], targets: int, min_interval: float, place: float, earliest: float, jitter: float
) -> None:
    for window in build_windows(scrapers(*pairs, jitter=jitter), targets, min_interval, GUARD):
        moment = window.first(place, earliest, 0.0, 0.0)
        assert earliest <= moment <= earliest + window.period * 1.001
        assert window.period >= min_interval * 0.97 or len(pairs) > 1
