"""The thread that scrapes once a second: what it reports about a page, and its first page of each target."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.daemon import Daemon
from chaos.page import Page
from chaos.watch import DelayMeter, Watcher


class ScriptedDaemon(Daemon):
    """A daemon that returns the given pages, or raises the given errors."""

    def __init__(self, *pages: Page | OSError) -> None:
        super().__init__(Path(), Path(), Path(), None)
        self._pages = list(pages)

    def page(self, timeout: float = 5.0) -> Page:
        page = self._pages.pop(0)
        if isinstance(page, OSError):
            raise page
        return page


def page(**pings: float) -> Page:
    lines = [f'redis_operations_total{{target="{name}",operation="ping"}} {count}' for name, count in pings.items()]
    return Page("# TYPE redis_operations_total counter\n" + "\n".join(lines) + "\n", time.monotonic(), time.monotonic())


@pytest.fixture
def delay_meter() -> Iterator[DelayMeter]:
    meter = DelayMeter()
    yield meter
    meter.stop()


class WatcherHarness:
    """A watcher, the rules whose violations it reported, and the removed targets."""

    def __init__(self, delay_meter: DelayMeter, *pages: Page | OSError) -> None:
        self.violations: list[str] = []
        self.removed: set[str] = set()
        daemon = ScriptedDaemon(*pages)
        self.watcher = Watcher(daemon, delay_meter, lambda rule, _: self.violations.append(rule), lambda: self.removed)


def test_decreasing_counter_is_reported(delay_meter: DelayMeter) -> None:
    harness = WatcherHarness(delay_meter, page(a=5), page(a=6), page(a=1))
    for _ in range(3):
        harness.watcher.scrape()
    assert harness.violations == ["counters"]


def test_counters_of_a_removed_target_may_restart(delay_meter: DelayMeter) -> None:
    pages = [page(a=5, b=5), page(a=1, b=6), page(a=2, b=7)]
    harness = WatcherHarness(delay_meter, *pages)
    harness.watcher.scrape()
    harness.removed = {"a"}
    harness.watcher.scrape()
    harness.removed = set()
    harness.watcher.scrape()
    assert harness.violations == []
    assert harness.watcher.first_pages == {"a": pages[2], "b": pages[0]}


def test_target_that_was_missing_on_a_page_is_watched_from_then_on(delay_meter: DelayMeter) -> None:
    pages = [page(a=5, b=5), page(b=6), page(a=1, b=7)]
    harness = WatcherHarness(delay_meter, *pages)
    for _ in range(3):
        harness.watcher.scrape()
    assert harness.violations == []
    assert harness.watcher.first_pages == {"a": pages[2], "b": pages[0]}


def test_new_process_may_count_from_0(delay_meter: DelayMeter) -> None:
    harness = WatcherHarness(delay_meter, page(a=5), page(a=1))
    harness.watcher.scrape()
    with harness.watcher.paused():
        pass
    harness.watcher.scrape()
    assert harness.violations == []


def test_one_missing_page_is_no_violation(delay_meter: DelayMeter) -> None:
    harness = WatcherHarness(delay_meter, page(a=5), OSError("refused"), page(a=6))
    assert [harness.watcher.scrape() is None for _ in range(3)] == [False, True, False]
    assert harness.violations == []
