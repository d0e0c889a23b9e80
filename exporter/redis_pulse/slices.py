"""Works through long replies in slices. Between two slices other tasks run, for example pings."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

#: Items of at most 40 µs each.
ITEMS_PER_SLICE = 100
#: Bytes of text. The shortest lines of INFO, of 5 bytes, take 2 ms.
BYTES_PER_SLICE = 16_384
#: Further bytes of one line are left out.
MAX_LINE_BYTES = 65_536
#: Seconds after which the event loop gets a turn. Pages and polls go on while pings are due.
MAX_SLICE = 0.001
#: Share of the time that other tasks just took. The next slice of a page may be that long, if it is more than
#: ``MAX_SLICE``. On a busy machine the other tasks have much to catch up with, and a page would otherwise take minutes.
YIELD_SHARE = 0.25
#: Longest slice in seconds, however long the other tasks took.
MAX_SLICE_BUSY = 0.005
#: Seconds for which a poll waits for pages.
MAX_WAIT = 0.25


async def sliced(items: Iterable[Item], size: int = ITEMS_PER_SLICE) -> AsyncIterator[Item]:
    """Yield all items. After ``size`` of them other tasks may run."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % size == 0:
            await asyncio.sleep(0)


async def text_slices(reply: bytes) -> AsyncIterator[str]:
    """Yield a text in parts of whole lines. After each part other tasks may run."""
    parts = _parts(reply)
    yield next(parts, "")
    for part in parts:
        await asyncio.sleep(0)
        yield part


def _parts(reply: bytes) -> Iterator[str]:
    start, length = 0, len(reply)
    while start < length:
        end = length if length - start <= BYTES_PER_SLICE else reply.rfind(b"\n", start, start + BYTES_PER_SLICE) + 1
        if not end:  # one line is longer than a slice
            end = reply.find(b"\n", start) + 1 or length
        yield reply[start : min(end, start + MAX_LINE_BYTES)].decode("utf-8", errors="replace")
        start = end


class SharedTurns:
    """Lets all polls together work for one slice in each turn of the event loop, and all pages too.

    ``clock`` is in seconds. Twenty targets may be polled at once. With a slice for each, a due PING would wait for
    twenty slices.

    Pages come first, because a scraper waits for them. While a page is built or sent, polls wait. A poll waits for one
    page at a time, and not longer than ``MAX_WAIT``. So polls go on while one page follows the other. A page that
    takes longer has its slices beside those of the polls.
    """

    def __init__(self, seconds: float = MAX_SLICE, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._clock = clock
        #: when the slices of this turn began, or None before anybody worked in them
        self._poll_began: float | None = None
        self._page_began: float | None = None
        #: how long a slice of a page may be
        self._page_seconds = seconds
        #: the pages that wait for a slice, the first one first
        self._queue = deque[object]()
        #: the pages that come first
        self._first = set[object]()
        #: set while no page comes first
        self._free = asyncio.Event()
        self._free.set()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self) -> None:
        """Wait for a page that comes first. Then wait for a turn whose slice of polls is not over."""
        await self._free.wait()
        while self._poll_began is not None:
            if self._clock() - self._poll_began < self._seconds:
                return
            await asyncio.sleep(0)
        self._poll_began = self._clock()
        asyncio.get_running_loop().call_soon(self._end_poll_slice)

    @contextmanager
    def page(self) -> Iterator[None]:
        """Let a page come before polls. The block builds or sends it, or makes another response."""
        page = object()
        if not self._first:
            self._free.clear()
            self._timer = asyncio.get_running_loop().call_later(MAX_WAIT, self._let_polls_go_on)
        self._first.add(page)
        try:
            yield
        finally:
            self._first.discard(page)  # it has left already, if it took long
            if not self._first:
                self._let_polls_go_on()

    @property
    def has_page(self) -> bool:
        """Whether a page comes first now."""
        return not self._free.is_set()

    def is_over_for_page(self) -> bool:
        """Return whether ``take_for_page`` would wait. Of many short steps it spares most calls."""
        return self._page_began is None or self._clock() - self._page_began >= self._page_seconds

    async def take_for_page(self) -> None:
        """Wait for the next slice of a page, if this one is over. Pages take turns.

        Slices are longer if other tasks have much to catch up with.
        """
        if not self.is_over_for_page():
            return
        ended, ticket = self._clock(), object()
        self._queue.append(ticket)
        try:
            while self._page_began is not None or self._queue[0] is not ticket:  # noqa: ASYNC110  # a few turns
                await asyncio.sleep(0)
        finally:
            self._queue.remove(ticket)
        self._page_began = began = self._clock()
        self._page_seconds = min(MAX_SLICE_BUSY, max(self._seconds, (began - ended) * YIELD_SHARE))
        asyncio.get_running_loop().call_soon(self._end_page_slice)

    def _end_poll_slice(self) -> None:
        self._poll_began = None

    def _end_page_slice(self) -> None:
        self._page_began = None

    def _let_polls_go_on(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._first.clear()
        self._free.set()
