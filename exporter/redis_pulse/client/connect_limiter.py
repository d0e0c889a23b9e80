"""Limits the connects that run at once, over all targets.

All targets share one connect limiter. A thousand concurrent connects would distort each other's measurements.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: The limit of concurrent connects. A connect that hangs costs little, so it frees its place after so many seconds.
MAX_CONCURRENT, MAX_HOLD_SECONDS = 50, 0.1


class QueueTicket:
    """Tells whether its holder waits for the connect limiter.

    If the holder is cut off while it waits, the queue of the exporter was slow, not the target.
    """

    __slots__ = ("is_waiting",)

    def __init__(self) -> None:
        self.is_waiting = False


class ConnectLimiter:
    """Limits concurrent connects to ``max_concurrent``. Those older than ``max_hold_seconds`` are not counted."""

    def __init__(self, max_concurrent: int = MAX_CONCURRENT, max_hold_seconds: float = MAX_HOLD_SECONDS) -> None:
        self._semaphore = asyncio.Semaphore(max_concurrent)
        self._max_hold_seconds = max_hold_seconds

    @asynccontextmanager
    async def acquire(self, ticket: QueueTicket | None = None) -> AsyncIterator[None]:
        """Wait for a place. Hold it until the block ends, or for ``max_hold_seconds``. ``ticket`` shows the waiting."""
        ticket = ticket or QueueTicket()
        ticket.is_waiting = True
        await self._semaphore.acquire()
        ticket.is_waiting = False
        is_held = True

        def release() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                self._semaphore.release()

        timer = asyncio.get_running_loop().call_later(self._max_hold_seconds, release)
        try:
            yield
        finally:
            timer.cancel()
            release()
