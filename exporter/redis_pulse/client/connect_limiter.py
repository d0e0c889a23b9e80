"""So many connects at once and no more, over all targets: a thousand at once would spoil each other's measurement."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: A connect that hangs costs nothing, so it gives its place back after so many seconds.
MAX_CONCURRENT, MAX_HOLD_SECONDS = 50, 0.1


class QueueTicket:
    """Where somebody stands who may have to wait for a turn: cut off while he waits, it was our queue that was slow."""

    __slots__ = ("is_waiting",)

    def __init__(self) -> None:
        self.is_waiting = False


class ConnectLimiter:
    """Lets ``at_once`` connects begin; each makes room for the next when it is over, or ``longest`` seconds old."""

    def __init__(self, at_once: int = MAX_CONCURRENT, longest: float = MAX_HOLD_SECONDS) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._longest = longest

    @asynccontextmanager
    async def acquire(self, place: QueueTicket | None = None) -> AsyncIterator[None]:
        """Wait for a turn and hold it for as long as the block lasts, or a little; ``place`` tells whether it waits."""
        place = place or QueueTicket()
        place.is_waiting = True
        await self._places.acquire()
        place.is_waiting = False
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._places.release()

        timer = asyncio.get_running_loop().call_later(self._longest, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()
