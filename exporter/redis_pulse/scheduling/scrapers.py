"""Learn from the arrivals of scrapes when the next ones come.

A scraper is a phase-locked loop. It has a period and the moment of the next scrape. Each arrival corrects both.
Several scrapers may come from one address with one user agent, such as two Prometheus servers behind a proxy. So an
arrival is matched with the scrapers that expected it. What no scraper expected is kept for a while, and searched for
arrivals at equal distances. Times are monotonic seconds, so a step of a wall clock moves nothing.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from operator import sub
from typing import Literal, NamedTuple

#: Scrapers with a shorter or longer period are not followed. Prometheus marks series stale after five minutes.
MIN_PERIOD, MAX_PERIOD = 1.0, 150.0
#: Scrapers that are followed at once. Each has a number, which is a label value.
MAX_SCRAPERS = 8
#: Clients whose arrivals are remembered until a period is found, and arrivals of each.
MAX_CLIENTS, MAX_ARRIVALS = 32, 24
#: Arrivals of one client within so many seconds count once.
SAME_MOMENT = 0.1
#: Missed scrapes in a row after which a scraper is no longer locked, and after which it is forgotten. Between them
#: its last period still counts: a Prometheus that restarts keeps its phase.
MISSES_UNTIL_HOLDING, MISSES_UNTIL_FORGOTTEN = 3, 10
#: Expected scrapes from which a scraper is no coincidence, and misses after which it is forgotten until then.
CONFIRMED, MISSES_OF_NEW = 3, 2
#: Arrivals in a row that show the period of a scraper with much jitter. Their gaps may differ by this share.
_MANY, _UNSTEADY = 8, 0.25
#: Factor of the mean error up to which the period of all arrivals is preferred to that of some.
_WORSE = 4.0
#: Share of the error of an arrival by which the next moment and the period are corrected.
_PHASE_GAIN, _PERIOD_GAIN = 0.3, 0.05
#: Share of the newest error in the mean error.
_JITTER_GAIN = 0.1

State = Literal["locked", "holding", "forgotten"]


def tolerance(period: float) -> float:
    """Return how far an arrival may be off, in seconds, and still show a period that is not known yet."""
    return 0.06 + 0.003 * period


class ScraperState(NamedTuple):
    """What is known of a scraper, for metrics."""

    number: int
    is_locked: bool
    period: float


class Scraper:
    """One who scrapes regularly.

    ``next`` is the moment of the next scrape, and ``count`` the number of periods before it. ``jitter`` is the mean
    error of the arrivals. ``taken`` is how many scrapes came as expected.
    """

    __slots__ = ("client", "count", "jitter", "next", "number", "period", "taken")

    def __init__(self, client: str, number: int, period: float, arrived: float, jitter: float) -> None:
        self.client = client
        self.number = number
        self.period = period
        self.next = arrived + period
        self.count = self.taken = 0
        self.jitter = jitter

    @property
    def window(self) -> float:
        """How far from its expected moment an arrival is still taken for the scrape."""
        return min(0.2 * self.period, max(0.1 + 0.005 * self.period, 4 * self.jitter))

    def missed(self, now: float) -> int:
        """Return the number of scrapes in a row that were expected and have not come."""
        late = now - self.next - self.window
        return 0 if late <= 0 else int(late / self.period) + 1

    def state(self, now: float) -> State:
        """Return whether its scrapes come, or came until recently."""
        missed = self.missed(now)
        if self.taken < CONFIRMED:
            return "locked" if missed < MISSES_OF_NEW else "forgotten"
        if missed < MISSES_UNTIL_HOLDING:
            return "locked"
        return "holding" if missed < MISSES_UNTIL_FORGOTTEN else "forgotten"

    def takes(self, now: float) -> bool:
        """Return whether an arrival was expected about now. If so, correct the period and the next moment."""
        periods = round((now - self.next) / self.period)
        error = now - (self.next + periods * self.period)
        if abs(error) > self.window:
            return False
        if periods >= 0:  # otherwise this scrape has come already, and this is another client at the same moment
            self.jitter += _JITTER_GAIN * (abs(error) - self.jitter)
            expected = now - error
            self.period += _PERIOD_GAIN * error / (periods + 1)
            self.next = expected + _PHASE_GAIN * error + self.period
            self.count += periods + 1
            self.taken += 1
        return True

    def resume(self, arrived: float) -> None:
        """Go on with the same period from another moment: the scraper was restarted."""
        self.next = arrived + self.period


class _Client:
    """The newest arrivals of a client that no scraper expected."""

    __slots__ = ("arrivals", "newest")

    def __init__(self) -> None:
        self.arrivals: deque[float] = deque(maxlen=MAX_ARRIVALS)
        self.newest = float("-inf")

    def find_period(self) -> tuple[float, float, list[float]] | None:
        """Return a period that ends with the newest arrival, its mean error, and its arrivals. None without one."""
        if (exact := self._exact()) is None:
            return self._unsteady(list(self.arrivals)[-_MANY:]) if len(self.arrivals) >= _MANY else None
        # With much jitter, only each third scrape may fit. With two scrapers, the exact period fits far better.
        _, error, arrivals = exact
        all_since = self._unsteady([arrival for arrival in self.arrivals if arrival >= arrivals[0]])
        return all_since if all_since is not None and all_since[1] < _WORSE * error else exact

    @staticmethod
    def _unsteady(arrivals: list[float]) -> tuple[float, float, list[float]] | None:
        """Return the period of arrivals in a row that come about equally far apart."""
        found = _fit(arrivals, list(range(len(arrivals))))
        is_regular = all(abs(gap - found[0]) <= _UNSTEADY * found[0] for gap in map(sub, arrivals[1:], arrivals))
        return found if is_regular and MIN_PERIOD <= found[0] <= MAX_PERIOD else None

    def _exact(self) -> tuple[float, float, list[float]] | None:
        """Return the shortest period with three of four earlier arrivals. Others may have come between them."""
        newest = self.arrivals[-1]
        for earlier in reversed(list(self.arrivals)[:-1]):
            period = newest - earlier
            if period > MAX_PERIOD:
                break
            if period < MIN_PERIOD:
                continue
            found, indexes = [newest, earlier], [0, -1]
            for index in (-2, -3, -4):
                expected = found[-1] - period * (indexes[-1] - index)
                nearest = min(self.arrivals, key=lambda at, expected=expected: abs(at - expected))  # type: ignore[misc]
                if abs(nearest - expected) <= tolerance(period):
                    found.append(nearest)
                    indexes.append(index)
            if len(found) >= 4:  # three gaps, one of them perhaps over a missed scrape
                return _fit(found[::-1], indexes[::-1])
        return None


def _fit(arrivals: list[float], indexes: list[int]) -> tuple[float, float, list[float]]:
    """Return the period, the mean error and the arrivals, which are in order."""
    period = (arrivals[-1] - arrivals[0]) / (indexes[-1] - indexes[0])
    errors = [at - arrivals[0] - (index - indexes[0]) * period for at, index in zip(arrivals, indexes, strict=True)]
    return period, sum(map(abs, errors)) / len(errors), arrivals


class ScraperRegistry:
    """All who scrape one page. ``on_found`` receives a scraper whose period was learned."""

    __slots__ = ("_clients", "_on_found", "_scrapers", "version")

    def __init__(self, on_found: Callable[[Scraper], None]) -> None:
        self._scrapers: list[Scraper] = []
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._on_found = on_found
        #: changes whenever something was learned
        self.version = 0

    def arrived(self, client: str, now: float) -> None:
        """Learn from a scrape. ``client`` identifies who sent it, as far as that is known."""
        self.version += 1
        for scraper in self._scrapers:
            if scraper.client == client and scraper.state(now) != "forgotten" and scraper.takes(now):
                return
        known = self._clients.get(client)
        if known is None:
            known = self._clients[client] = _Client()
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(client)
        if now - known.newest < SAME_MOMENT:
            return
        known.newest = now
        known.arrivals.append(now)
        if not self._resume(client, known, now):
            self._learn(client, known, now)

    def following(self, now: float) -> list[Scraper]:
        """Return the scrapers whose scrapes come. If there are none, return those that came until recently."""
        locked = [scraper for scraper in self._scrapers if scraper.state(now) == "locked"]
        return locked or [scraper for scraper in self._scrapers if scraper.state(now) == "holding"]

    def states(self, now: float) -> Iterator[ScraperState]:
        """Yield the state of every scraper that is not forgotten."""
        for scraper in self._scrapers:
            if (state := scraper.state(now)) != "forgotten":
                yield ScraperState(scraper.number, state == "locked", scraper.period)

    def _resume(self, client: str, known: _Client, now: float) -> bool:
        """Find a scraper that missed a scrape and whose period lies between two unexpected arrivals."""
        for scraper in self._scrapers:
            if scraper.client != client or not scraper.missed(now) or scraper.state(now) == "forgotten":
                continue
            for earlier in known.arrivals:
                if abs(now - earlier - scraper.period) <= tolerance(scraper.period):
                    scraper.resume(now)
                    known.arrivals.clear()
                    return True
        return False

    def _learn(self, client: str, known: _Client, now: float) -> None:
        if (found := known.find_period()) is None:
            return
        period, jitter, arrivals = found
        for arrival in arrivals:
            known.arrivals.remove(arrival)
        self._scrapers = [scraper for scraper in self._scrapers if scraper.state(now) != "forgotten"]
        if len(self._scrapers) >= MAX_SCRAPERS:
            held = [scraper for scraper in self._scrapers if scraper.state(now) == "holding"]
            if not held:
                return  # the pages of eight scrapers are enough to align to
            self._scrapers.remove(max(held, key=lambda scraper: scraper.missed(now)))
        taken = {scraper.number for scraper in self._scrapers}
        number = next(number for number in range(1, MAX_SCRAPERS + 1) if number not in taken)
        scraper = Scraper(client, number, period, now, jitter)
        self._scrapers.append(scraper)
        self._on_found(scraper)
