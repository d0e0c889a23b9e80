"""Works through long replies in slices. Between two slices other tasks run, for example pings."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

#: Items of at most 40 µs each.
ITEMS_PER_SLICE = 100
#: Bytes of text. The shortest lines of INFO, of 5 bytes, take 2 ms.
BYTES_PER_SLICE = 16_384
#: Further bytes of one line are left out.
MAX_LINE_BYTES = 65_536
#: Seconds after which the event loop gets a turn.
SECONDS_PER_SLICE = 0.002
#: The same for the page of metrics and for polls, which go on while pings are due.
MAX_SLICE = 0.001


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


class Turns:
    """Gives the event loop a turn when a slice is over. ``clock`` is in seconds."""

    def __init__(self, seconds: float = SECONDS_PER_SLICE, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._clock = clock
        self._slice = clock()

    async def take(self) -> None:
        """Wait for one turn of the loop, if the slice is over."""
        if self._clock() - self._slice >= self._seconds:
            await asyncio.sleep(0)
            self._slice = self._clock()


class SharedTurns:
    """Lets all tasks together work for one slice in each turn of the event loop. ``clock`` is in seconds.

    Twenty targets may be polled at once. With a slice for each, a due PING would wait for twenty slices.
    """

    def __init__(self, seconds: float = MAX_SLICE, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._clock = clock
        #: when the slice of this turn began, or None before anybody worked in it
        self._began: float | None = None

    async def take(self) -> None:
        """Wait for a turn of the loop whose slice is not over."""
        while self._began is not None:
            if self._clock() - self._began < self._seconds:
                return
            await asyncio.sleep(0)
        self._began = self._clock()
        asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._began = None
