"""Two threads: one scrapes the daemon every second, the other measures how busy the machine is."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator

from chaos import rules
from chaos.daemon import Daemon
from chaos.page import Page

#: Seconds between two pages.
SCRAPE_INTERVAL = 1.0
#: The longest time without a page, in seconds. It applies during events too.
MAX_SILENCE = 6.0
#: Shorter delays are ignored, because they never delay a ping by its whole interval. In seconds.
MIN_DELAY = 0.1


class DelayMeter:
    """Measures how late an idle thread wakes up.

    The daemon may be as late, because then the machine causes the delay.
    """

    def __init__(self) -> None:
        self._recent: list[tuple[float, float]] = []
        self._delays: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(0.1):
            now = time.monotonic()
            delay = now - before - 0.1
            self._recent.append((now, delay))
            if delay > MIN_DELAY:
                self._delays.append(delay)
            before = now
            del self._recent[:-1200]

    def max_delay(self, seconds: float) -> float:
        """Return the longest delay of the last ``seconds``."""
        since = time.monotonic() - seconds
        return max((delay for at, delay in self._recent if at >= since), default=0.0)

    def take_delays(self) -> list[float]:
        """Return the delays above ``MIN_DELAY`` since the last call."""
        delays, self._delays = self._delays, []
        return delays

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()


class Watcher:
    """Scrapes the daemon every second, and compares each page with the previous one.

    It calls ``report_violation(rule, text)`` for each problem. ``removed_targets()`` returns the targets that this
    burst removed. Their counters may start again at 0.
    """

    def __init__(
        self,
        daemon: Daemon,
        delay_meter: DelayMeter,
        report_violation: Callable[[str, str], None],
        removed_targets: Callable[[], set[str]],
    ) -> None:
        self._daemon, self._delay_meter = daemon, delay_meter
        self._report_violation, self._removed_targets = report_violation, removed_targets
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.last_page: Page | None = None
        #: by target: the first page since it is watched without a gap
        self.first_pages: dict[str, Page] = {}
        self._last_received_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._last_received_at = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(20)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Do not scrape during the block, and forget all pages after it. The daemon becomes a new process."""
        with self._lock:
            yield
            self.last_page = None
            self.first_pages = {}
            self._last_received_at = time.monotonic()

    def _run(self) -> None:
        while not self._ended.wait(SCRAPE_INTERVAL):
            try:
                self.scrape()
            except Exception as error:  # noqa: BLE001  # without the report, the thread would end unnoticed
                self._report_violation("harness", f"a page could not be checked: {error!r}")

    def scrape(self) -> Page | None:
        """Scrape once and check the page. Return it, or None if there is no page."""
        with self._lock:
            try:
                page = self._daemon.page(MAX_SILENCE)
            except (OSError, http.client.HTTPException):
                self._handle_missing_page()
                return None
            self._last_received_at = page.received_at
            self._check(page)
            return page

    def _handle_missing_page(self) -> None:
        silence = time.monotonic() - self._last_received_at
        if silence > MAX_SILENCE + 2 * self._delay_meter.max_delay(silence):
            self._report_violation("pages", f"no page for {silence:.1f} s")
            self._last_received_at = time.monotonic()

    def _check(self, page: Page) -> None:
        for text in rules.well_formed(page):
            self._report_violation("well-formed", text)
        removed = self._removed_targets()
        if self.last_page is not None:
            for text in rules.counters_never_decrease(self.last_page, page, by_daemon=True, except_targets=removed):
                self._report_violation("counters", text)
        targets = {target for target in page.targets() if rules.scheduled_pings(page, target)}
        for target in [*self.first_pages]:
            if target not in targets or target in removed:
                del self.first_pages[target]
        for target in targets - removed:
            self.first_pages.setdefault(target, page)
        self.last_page = page
