"""Decide when to poll a target next: just before a scrape if scrapers are known, otherwise on the grid."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from redis_pulse.scheduling.load_guard import LoadGuard
from redis_pulse.scheduling.scrapers import Scraper, ScraperRegistry, ScraperState
from redis_pulse.scheduling.windows import PLAY, Window, build_windows, keep_steady

#: Seconds from the end of a poll until a scrape that must have its samples.
GUARD = 0.06
#: Seconds for which windows are used without a look at the scrapers: a scrape that is missed may change them.
_KEEP = 1.0
#: Share of a period by which a slow poll starts earlier, at most.
_MAX_AHEAD = 0.25
#: Share of the shortest time between two polls by which a poll may start later than planned, at most.
_MAX_DELAY = 0.1


class PollPace(NamedTuple):
    """How often a target may and must be polled, in seconds, and whether polls follow scrapes."""

    interval: float
    min_interval: float
    aligns: bool

    @property
    def shortest(self) -> float:
        """The shortest time between two polls."""
        return min(self.min_interval, self.interval)


class PlannedTarget(NamedTuple):
    """What the planner needs of a target. ``place`` is from 0 to 1, ``seconds`` is the duration of a poll."""

    key: str
    pace: PollPace
    place: float
    seconds: float


class _Page:
    """The scrapers of one page, and the windows that follow from them."""

    __slots__ = ("_windows", "registry")

    def __init__(self, on_found: Callable[[Scraper], None]) -> None:
        self.registry = ScraperRegistry(on_found)
        #: by shortest time between two polls: when they were built, for which scrapers and targets
        self._windows: dict[float, tuple[float, int, int, list[Window]]] = {}

    def windows(self, shortest: float, targets: int, now: float) -> list[Window]:
        built, version, count, windows = self._windows.get(shortest, (-_KEEP, -1, 0, []))
        if version != self.registry.version or count != targets or now - built >= _KEEP:
            windows = keep_steady(windows, build_windows(self.registry.following(now), targets, shortest, GUARD))
            if len(self._windows) > 16:  # settings changed often
                self._windows.clear()
            self._windows[shortest] = (now, self.registry.version, targets, windows)
        return windows


class PollPlanner:
    """Plans the polls of all targets. ``clock`` is monotonic. ``on_found`` receives each scraper of the whole page."""

    def __init__(self, clock: Callable[[], float], on_found: Callable[[Scraper], None]) -> None:
        self._clock = clock
        self._page = _Page(on_found)
        #: pages of one target each
        self._pages: dict[str, _Page] = {}
        #: how many targets are polled before scrapes
        self.targets = 0
        self.load = LoadGuard(clock)

    def scraped(self, client: str, target: str | None) -> None:
        """Learn from a scrape by ``client``: of the whole page, or of the page of one target."""
        if target is None:
            page = self._page
        else:
            page = self._pages.get(target) or _Page(lambda _scraper: None)
            self._pages[target] = page
        page.registry.arrived(client, self._clock())

    def forget(self, target: str) -> None:
        """Forget the scrapers of a target."""
        self._pages.pop(target, None)

    def scrapers(self) -> Iterator[ScraperState]:
        """Yield the scrapers of the whole page."""
        return self._page.registry.states(self._clock())

    def scrapers_of_targets(self) -> int:
        """Return the number of scrapers of single targets that are locked."""
        now = self._clock()
        return sum(state.is_locked for page in self._pages.values() for state in page.registry.states(now))

    def slowdown(self) -> float:
        """Return the factor by which polls are rarer than the settings permit, because the event loop is busy."""
        return self.load.factor

    def next(self, target: PlannedTarget, newest: float) -> float | None:
        """Return when to poll a target whose newest poll started at ``newest``. Return None if the grid applies."""
        now = self._clock()
        pace = target.pace
        if not pace.aligns:
            return None
        shortest = min(pace.shortest * self.load.factor, pace.interval)
        windows = self._page.windows(shortest, self.targets, now)
        if (own := self._pages.get(target.key)) is not None:
            windows = [*windows, *own.windows(shortest, 1, now)]
        if not windows:
            return None
        earliest = max(now, newest + shortest * (1 - PLAY))
        best, period = min(
            (window.first(target.place, earliest, _ahead(target, window), _MAX_DELAY * shortest), window.period)
            for window in windows
        )
        longest = newest + pace.interval
        if best <= longest + PLAY * pace.interval:
            return best
        # The scrape comes later than the longest gap. One poll before it must leave time for the poll of the scrape.
        if (before := best - shortest * (1 - PLAY)) >= earliest:
            return min(longest, before)
        if period > pace.interval * (1 + PLAY) or 2 * shortest <= pace.interval:
            return max(longest, now)
        # No gap but this one is allowed. So come closer to the scrape with each poll.
        is_late = longest - (best - period) < best - longest
        return max(longest + (-PLAY if is_late else PLAY) * pace.interval, now)


def _ahead(target: PlannedTarget, window: Window) -> float:
    """Return how much earlier a slow target is polled."""
    return min(target.seconds, _MAX_AHEAD * window.period)
