"""Scrapers are recognized by their period alone, and no other client is taken for one."""

import random
from collections.abc import Iterable

import pytest

from redis_pulse.scheduling.scrapers import MAX_CLIENTS, MAX_SCRAPERS, Scraper, ScraperRegistry

PROMETHEUS = "10.0.0.1 Prometheus/3.5.0"


class Arrivals:
    """A registry, and the scrapers that it found."""

    def __init__(self) -> None:
        self.found: list[Scraper] = []
        self.registry = ScraperRegistry(self.found.append)

    def come(self, moments: Iterable[float], client: str = PROMETHEUS) -> None:
        for moment in moments:
            self.registry.arrived(client, moment)

    def periods(self, now: float) -> list[float]:
        """Return the periods of the scrapers that are followed."""
        return sorted(round(scraper.period, 1) for scraper in self.registry.following(now))

    def locked(self, now: float) -> list[bool]:
        return [state.is_locked for state in self.registry.states(now)]


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals()


def every(period: float, start: float, end: float, jitter: float = 0.0) -> list[float]:
    noise = random.Random(start)
    count = int((end - start) / period) + 1
    return [start + number * period + abs(noise.gauss(0, jitter)) for number in range(count)]


def test_scraper_is_found_after_three_equal_gaps(arrivals: Arrivals) -> None:
    arrivals.come([0, 15, 30])
    assert not arrivals.found
    arrivals.come([45])
    [scraper] = arrivals.found
    assert (scraper.number, scraper.period, scraper.next) == (1, 15, 60)


def test_scrapers_behind_one_address_are_told_apart(arrivals: Arrivals) -> None:
    """Two Prometheus servers on one host, or behind one proxy, have the same address and user agent."""
    arrivals.come(sorted([*every(5, 0.3, 60, 0.01), *every(7, 2.7, 60, 0.01)]))
    assert arrivals.periods(60) == [5, 7]


def test_scrapers_with_one_period_at_unequal_distances_are_two(arrivals: Arrivals) -> None:
    arrivals.come(sorted([*every(5, 0, 60), *every(5, 2.4, 60)]))
    assert arrivals.periods(60) == [5, 5]


def test_missed_scrape_while_learning_does_not_double_the_period(arrivals: Arrivals) -> None:
    arrivals.come([0, 5, 10, 20, 25, 30])
    assert arrivals.periods(30) == [5]


def test_jitter_of_a_fifth_of_a_second_is_followed(arrivals: Arrivals) -> None:
    arrivals.come(every(5, 0, 300, 0.2))
    assert arrivals.periods(300) == [5]
    assert arrivals.locked(300) == [True]


def test_missed_scrapes_keep_the_period_and_then_lose_it(arrivals: Arrivals) -> None:
    """A Prometheus that restarts keeps its phase, so its last period is the best guess for a while."""
    arrivals.come(every(5, 0, 100))
    expected = {2: ([True], [5]), 5: ([False], [5]), 12: ([], [])}
    for missed, state in expected.items():
        now = 100 + 5 * missed + 3
        assert (arrivals.locked(now), arrivals.periods(now)) == state


def test_scraper_that_returns_in_phase_is_locked_at_once(arrivals: Arrivals) -> None:
    arrivals.come([*every(5, 0, 100), 130])
    assert arrivals.locked(131) == [True]
    assert len(arrivals.found) == 1


def test_scraper_that_restarts_at_another_phase_needs_one_gap(arrivals: Arrivals) -> None:
    arrivals.come([*every(5, 0, 100), 117, 122])
    assert arrivals.registry.following(122)[0].next == pytest.approx(127)
    assert len(arrivals.found) == 1


def test_locked_scraper_hides_one_that_stopped(arrivals: Arrivals) -> None:
    """A pod that is replaced comes from another address. The old one needs no polls."""
    arrivals.come(every(5, 0, 100))
    arrivals.come(every(5, 103, 120), "10.0.0.2 Prometheus/3.5.0")
    assert [scraper.number for scraper in arrivals.registry.following(120)] == [2]


def test_clock_that_stands_still_loses_no_scraper(arrivals: Arrivals) -> None:
    """A machine that sleeps has no monotonic time meanwhile, so the phase has moved when it wakes."""
    arrivals.come([*every(15, 0, 150), 158, 173, 188])
    assert arrivals.periods(188) == [15]
    assert arrivals.registry.following(188)[0].next == pytest.approx(203, abs=0.1)


def test_twenty_scrapes_at_once_are_one(arrivals: Arrivals) -> None:
    arrivals.come(moment + number * 0.001 for moment in every(5, 0, 60) for number in range(20))
    assert arrivals.periods(60) == [5]


def test_requests_at_random_are_soon_found_out(arrivals: Arrivals) -> None:
    """Chance makes four equal gaps now and then. What follows does not come as expected."""
    random_moments = random.Random(7)
    moment, followed = 0.0, 0
    for _ in range(500):
        moment += random_moments.expovariate(1 / 20)
        arrivals.come([moment])
        followed += bool(arrivals.registry.following(moment))
    assert len(arrivals.found) < 15
    assert followed < 150


def test_few_requests_by_hand_are_no_scraper(arrivals: Arrivals) -> None:
    arrivals.come([0, 3, 40, 41, 95])
    assert not arrivals.found


def test_scraper_of_a_starved_machine_is_followed(arrivals: Arrivals) -> None:
    """Its scrapes are late by 80 ms on average, and each tenth by a second more."""
    noise = random.Random(3)
    locked = 0
    for number in range(100):
        late = noise.expovariate(1 / 0.08) + (noise.random() < 0.1) * noise.expovariate(1)
        arrivals.come([5 * number + late])
        locked += arrivals.locked(5 * number + late) == [True]
    assert locked > 85
    assert len(arrivals.found) == 1


@pytest.mark.parametrize("period", [0.5, 200.0])
def test_period_out_of_range_is_not_followed(arrivals: Arrivals, period: float) -> None:
    arrivals.come(every(period, 0, 20 * period))
    assert all(1 <= scraper.period <= 150 for scraper in arrivals.found)
    assert period > 1 or len(arrivals.found) <= MAX_SCRAPERS


def test_number_of_scrapers_and_clients_is_bounded(arrivals: Arrivals) -> None:
    """Numbers are label values, and a client can invent user agents."""
    for client in range(20):
        arrivals.come(every(30, client, 200), f"10.0.0.{client} x")
    states = list(arrivals.registry.states(200))
    assert sorted(state.number for state in states) == list(range(1, MAX_SCRAPERS + 1))
    for client in range(1000):
        arrivals.come([300.0], f"10.1.0.{client} x")
    assert len(arrivals.registry._clients) <= MAX_CLIENTS
