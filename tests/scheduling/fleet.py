"""A fleet that is polled and scraped on a virtual clock: what the planner achieves, without sockets."""

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from redis_pulse.scheduling.planner import PlannedTarget, PollPace, PollPlanner
from tests.fakes import ManualClock

#: The pace of targets without settings.
DEFAULT = PollPace(15.0, 5.0, aligns=True)
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass
class Scrapes:
    """The scrapes of one scraper. ``moments(number)`` is the time of a scrape, or None if it is missed."""

    moment: Callable[[int], float | None]
    client: str = "10.0.0.1 Prometheus/3.5.0"


def regular(period: float, phase: float, jitter: float = 0.005, client: str = "10.0.0.1 Prometheus/3.5.0") -> Scrapes:
    """Return scrapes that come every ``period`` seconds, a little late each time."""
    noise = random.Random(f"{period} {phase}")
    return Scrapes(lambda number: phase + number * period + abs(noise.gauss(0, jitter)), client)


@dataclass
class Fleet:
    """Targets with polls of 30 ms. ``ages`` has the ages of all samples at scrapes from ``settled`` on, by scraper."""

    pace: PollPace = DEFAULT
    targets: int = 50
    settled: float = 150.0
    clock: ManualClock = field(default_factory=lambda: ManualClock(0.0))
    gaps: list[float] = field(default_factory=list)
    ages: dict[int, list[float]] = field(default_factory=dict)
    polls: int = 0

    def __post_init__(self) -> None:
        self.planner = PollPlanner(self.clock, lambda _scraper: None)
        self.planner.targets = self.targets

    def run(self, scrapers: Sequence[Scrapes], seconds: float) -> None:
        """Let so many seconds pass."""
        events: list[tuple[float, int, int]] = []  # moment, scraper or -1, number of the scrape or target
        places = [index * GOLDEN % 1 for index in range(self.targets)]
        ended = [0.0] * self.targets
        started = [0.0] * self.targets
        for index, place in enumerate(places):
            heapq.heappush(events, (place * self.pace.interval, -1, index))
        for who in range(len(scrapers)):
            heapq.heappush(events, (scrapers[who].moment(0) or 0.0, who, 0))
            self.ages[who] = []
        while events[0][0] < seconds:
            now, who, number = heapq.heappop(events)
            self.clock.now = now
            if who >= 0:
                self._scrape(events, scrapers[who], who, number, ended)
                continue
            if now > self.settled:
                self.gaps.append(now - started[number])
                self.polls += 1
            started[number], ended[number] = now, now + 0.03
            target = PlannedTarget(str(number), self.pace, places[number], 0.03)
            moment = self.planner.next(target, now)
            heapq.heappush(events, (now + self.pace.interval if moment is None else moment, -1, number))

    def _scrape(
        self, events: list[tuple[float, int, int]], scrapes: Scrapes, who: int, number: int, ended: list[float]
    ) -> None:
        if scrapes.moment(number) is not None:
            if self.clock() > self.settled:
                self.ages[who] += [self.clock() - moment for moment in ended]
            self.planner.scraped(scrapes.client, None)
        following = number + 1
        while (moment := scrapes.moment(following)) is None:
            following += 1
        heapq.heappush(events, (moment, who, following))

    def age(self, who: int, share: float) -> float:
        """Return the age that so large a share of the samples does not exceed."""
        ages = sorted(self.ages[who])
        return ages[min(len(ages) - 1, int(share * len(ages)))]
