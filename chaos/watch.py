"""Threads that look all the time: at the daemon's page, once a second, and at how busy the machine is."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator

from chaos import rules
from chaos.daemon import Daemon
from chaos.page import Page

#: Seconds between two pages, and the longest time without one, whatever happens.
EVERY, SILENCE = 1.0, 6.0
#: Seconds: a shorter delay of a thread delays no ping by a whole slot.
NOTEWORTHY = 0.1


class Ticker:
    """Measures how late a thread wakes up that does nothing else: so late may the daemon be, through no fault of it."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []
        self._delays: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(0.1):
            now = time.monotonic()
            self._late.append((now, now - before - 0.1))
            if now - before - 0.1 > NOTEWORTHY:
                self._delays.append(now - before - 0.1)
            before = now
            del self._late[:-1200]

    def latest(self, seconds: float) -> float:
        """Return the longest delay of the last so many seconds."""
        since = time.monotonic() - seconds
        return max((late for at, late in self._late if at >= since), default=0.0)

    def delays(self) -> list[float]:
        """Return how late it was each time since it was asked last, where that was worth a word."""
        found, self._delays = self._delays, []
        return found

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()


class Watcher:
    """Scrapes the daemon once a second, and holds each page against the one before.

    ``violation(rule, text)`` is told what is wrong. ``removed()`` are targets that we removed in this burst.
    """

    def __init__(
        self, daemon: Daemon, ticker: Ticker, violation: Callable[[str, str], None], removed: Callable[[], set[str]]
    ) -> None:
        self._daemon, self._ticker, self._violation, self._removed = daemon, ticker, violation, removed
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.last: Page | None = None
        #: the first page since a target is watched without an interruption
        self.first: dict[str, Page] = {}
        self.pages = 0
        self._heard = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._heard = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(20)

    @contextlib.contextmanager
    def interrupted(self) -> Iterator[None]:
        """Look at nothing meanwhile, and then begin anew: the daemon becomes another process."""
        with self._lock:
            yield
            self.last = None
            self.first = {}
            self._heard = time.monotonic()

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  # a thread that ends in silence would watch nothing
                self._violation("harness", f"a page could not be judged: {error!r}")

    def look(self) -> Page | None:
        """Scrape once, and judge the page; None when there is none."""
        with self._lock:
            try:
                page = self._daemon.page(SILENCE)
            except (OSError, http.client.HTTPException):
                self._miss()
                return None
            self._heard = page.answered
            self.pages += 1
            self._judge(page)
            return page

    def _miss(self) -> None:
        silence = time.monotonic() - self._heard
        if silence > SILENCE + 2 * self._ticker.latest(silence):
            self._violation("pages", f"no page for {silence:.1f} s")
            self._heard = time.monotonic()

    def _judge(self, page: Page) -> None:
        for text in rules.well_formed(page):
            self._violation("well-formed", text)
        removed = self._removed()
        if self.last is not None:
            for text in rules.never_less(self.last, page, own=True, but=removed):
                self._violation("counters", text)
        there = {target for target in page.targets() if rules.slots(page, target)}
        for target in [*self.first]:
            if target not in there or target in removed:
                del self.first[target]
        for target in there - removed:
            self.first.setdefault(target, page)
        self.last = page
