"""How old samples are when they are scraped, and which scrapers the polls follow."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

#: Upper bounds in seconds.
AGE_BUCKETS = (0.1, 0.25, 0.5, 0.6, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0)
#: Targets whose age is read at one scrape. With more targets each scrape reads others.
MAX_AGES = 1000


class ScraperLike(Protocol):
    """A scraper that the polls follow."""

    @property
    def number(self) -> int:
        """Its number, from 1."""
        ...

    @property
    def is_locked(self) -> bool:
        """Whether its scrapes come as expected."""
        ...

    @property
    def period(self) -> float:
        """The time between two scrapes."""
        ...


class PlannerLike(Protocol):
    """What plans the polls. It is in a higher layer."""

    def scrapers(self) -> Iterable[ScraperLike]:
        """Return the scrapers of the whole page."""
        ...

    def scrapers_of_targets(self) -> int:
        """Return the number of locked scrapers of single targets."""
        ...

    def slowdown(self) -> float:
        """Return the factor by which polls are rarer than the settings permit."""
        ...


class _ExampleScraper(NamedTuple):
    """A scraper for the documentation."""

    number: int = 1
    is_locked: bool = True
    period: float = 15.0


class ScrapeMetrics(Collector):
    """The ages of samples at scrapes, and the state of the scrapers. ``planner`` is set by its owner."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.planner: PlannerLike | None = None
        self._counts = [0] * (len(AGE_BUCKETS) + 1)
        self._sum = 0.0
        self._turn = 0
        self._examples: Sequence[ScraperLike] = ()
        registry.register(self)

    def record_ages(self, targets: Sequence[str], age: Callable[[str], float | None]) -> None:
        """Record the ages of the samples of these targets, or of some of them, at a scrape."""
        step = -(-len(targets) // MAX_AGES) or 1
        self._turn += 1
        ages = sorted(seconds for name in targets[self._turn % step :: step] if (seconds := age(name)) is not None)
        below = 0
        for index, bound in enumerate(AGE_BUCKETS):
            count = bisect_right(ages, bound)
            self._counts[index] += count - below
            below = count
        self._counts[-1] += len(ages) - below
        self._sum += sum(ages)

    def show_every_family(self) -> None:
        """Show a scraper, so that the documentation has its labels."""
        self._examples = (_ExampleScraper(),)

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        total, buckets = 0, []
        for bound, count in zip([*map(str, AGE_BUCKETS), "+Inf"], self._counts, strict=True):
            total += count
            buckets.append((bound, total))
        ages = HistogramMetricFamily(
            "redis_exporter_sample_age_at_scrape_seconds",
            "Age of the newest INFO samples of a target when a scraper requested them.",
        )
        ages.add_metric([], buckets=buckets, sum_value=self._sum)
        yield ages
        locked = GaugeMetricFamily(
            "redis_exporter_scraper_locked",
            "1 while the scrapes of a scraper come as expected, so that polls come just before them; else 0.",
            labels=["scraper"],
        )
        period = GaugeMetricFamily(
            "redis_exporter_scraper_period_seconds",
            "Learned time between two scrapes of a scraper.",
            labels=["scraper"],
        )
        for scraper in self._examples or (self.planner.scrapers() if self.planner else ()):
            locked.add_metric([str(scraper.number)], float(scraper.is_locked))
            period.add_metric([str(scraper.number)], scraper.period)
        yield locked
        yield period
        yield GaugeMetricFamily(
            "redis_exporter_target_scrapers_locked",
            "Scrapers of single targets (/scrape?target=) whose scrapes come as expected.",
            value=self.planner.scrapers_of_targets() if self.planner else 0,
        )
        yield GaugeMetricFamily(
            "redis_exporter_poll_slowdown",
            "Factor by which poll.min_interval is prolonged because polls started late; 1 normally.",
            value=self.planner.slowdown() if self.planner else 1,
        )
