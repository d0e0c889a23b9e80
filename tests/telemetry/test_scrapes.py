"""The ages of samples at scrapes are a histogram, and each scraper has its state."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest

from redis_pulse.telemetry.scrapes import MAX_AGES, ScrapeMetrics, ScraperLike
from tests.scheduling.test_scrapers import Arrivals


class Planner:
    """Two scrapers, one of which has stopped."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self.arrivals.come(range(0, 91, 15))
        self.arrivals.come(range(70, 151, 10), "10.0.0.2 x")

    def scrapers(self) -> Iterable[ScraperLike]:
        return self.arrivals.registry.states(155)

    def scrapers_of_targets(self) -> int:
        return 3

    def slowdown(self) -> float:
        return 1.5


def page(metrics: ScrapeMetrics, registry: CollectorRegistry) -> list[str]:
    assert metrics is not None
    return generate_latest(registry).decode().splitlines()


def test_ages_are_counted_in_buckets() -> None:
    registry = CollectorRegistry()
    metrics = ScrapeMetrics(registry)
    ages = {"a": 0.2, "b": 0.5, "c": 70.0, "d": None}
    metrics.record_ages(list(ages), ages.get)
    metrics.record_ages(["a"], ages.get)
    lines = page(metrics, registry)
    name = "redis_exporter_sample_age_at_scrape_seconds"
    for bound, count in {"0.1": 0, "0.25": 2, "0.5": 3, "60.0": 3, "+Inf": 4}.items():
        assert f'{name}_bucket{{le="{bound}"}} {count}.0' in lines
    assert f"{name}_sum 70.9" in lines
    assert f"{name}_count 4.0" in lines


def test_large_fleet_is_read_in_turns() -> None:
    metrics = ScrapeMetrics(CollectorRegistry())
    read: list[str] = []
    names = [str(number) for number in range(3 * MAX_AGES - 1)]
    for _ in range(3):
        before = len(read)
        metrics.record_ages(names, read.append)
        assert len(read) - before <= MAX_AGES
    assert sorted(read) == sorted(names)


def test_states_of_scrapers_are_published() -> None:
    registry = CollectorRegistry()
    metrics = ScrapeMetrics(registry)
    metrics.planner = Planner()
    lines = page(metrics, registry)
    assert 'redis_exporter_scraper_locked{scraper="1"} 0.0' in lines
    assert 'redis_exporter_scraper_locked{scraper="2"} 1.0' in lines
    assert 'redis_exporter_scraper_period_seconds{scraper="2"} 10.0' in lines
    assert "redis_exporter_target_scrapers_locked 3.0" in lines
    assert "redis_exporter_poll_slowdown 1.5" in lines
