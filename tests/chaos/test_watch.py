"""The thread that scrapes once a second: what it says of a page, and since when it watches each target."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.daemon import Daemon
from chaos.page import Page
from chaos.watch import Ticker, Watcher


class Scripted(Daemon):
    """A daemon whose pages are given."""

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
def ticker() -> Iterator[Ticker]:
    one = Ticker()
    yield one
    one.stop()


class Seen:
    """A watcher, what it complained about, and which targets we removed."""

    def __init__(self, ticker: Ticker, *pages: Page | OSError) -> None:
        self.told: list[str] = []
        self.removed: set[str] = set()
        daemon = Scripted(*pages)
        self.watcher = Watcher(daemon, ticker, lambda rule, _: self.told.append(rule), lambda: self.removed)


def test_a_counter_that_decreases_is_told(ticker: Ticker) -> None:
    seen = Seen(ticker, page(a=5), page(a=6), page(a=1))
    for _ in range(3):
        seen.watcher.look()
    assert seen.told == ["counters"]


def test_a_target_that_we_removed_may_begin_anew(ticker: Ticker) -> None:
    pages = [page(a=5, b=5), page(a=1, b=6), page(a=2, b=7)]
    seen = Seen(ticker, *pages)
    seen.watcher.look()
    seen.removed = {"a"}
    seen.watcher.look()
    seen.removed = set()
    seen.watcher.look()
    assert seen.told == []
    assert seen.watcher.first == {"a": pages[2], "b": pages[0]}


def test_a_target_that_was_not_on_a_page_is_watched_anew(ticker: Ticker) -> None:
    pages = [page(a=5, b=5), page(b=6), page(a=1, b=7)]
    seen = Seen(ticker, *pages)
    for _ in range(3):
        seen.watcher.look()
    assert seen.told == []
    assert seen.watcher.first == {"a": pages[2], "b": pages[0]}


def test_another_process_begins_at_0(ticker: Ticker) -> None:
    seen = Seen(ticker, page(a=5), page(a=1))
    seen.watcher.look()
    with seen.watcher.interrupted():
        pass
    seen.watcher.look()
    assert seen.told == []


def test_one_page_that_does_not_come_is_no_violation(ticker: Ticker) -> None:
    seen = Seen(ticker, page(a=5), OSError("refused"), page(a=6))
    assert [seen.watcher.look() is None for _ in range(3)] == [False, True, False]
    assert seen.told == []
