"""Deadlines of tests, in which the time does not count that a busy machine took from the processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from attack.machine import longest_delay, run_delays

#: Seconds between two looks at the kernel, when the seconds of the clock are over.
_AGAIN = 0.1


class Patience:
    """Is over when the processes had ``seconds`` without waiting for a core: that of the test, and those in ``pids``.

    Only a thread that is ready to run waits for a core. The kernel counts that on Linux.
    """

    def __init__(self, seconds: float, *pids: int) -> None:
        self._ends = monotonic() + seconds
        self._processes = ("self", *map(str, pids))
        self._before = [run_delays(process) for process in self._processes]

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed. It is read from the kernel only when the seconds of the clock are over."""
        late = monotonic() - self._ends
        if late < 0:
            return False
        delays = zip(self._before, map(run_delays, self._processes), strict=True)
        return late >= max(longest_delay(before, after) for before, after in delays)


@asynccontextmanager
async def at_most(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError when the block had so many seconds, as ``asyncio.timeout``, but with patience."""
    patience = Patience(seconds)
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        await asyncio.sleep(seconds)
        while not patience.is_over:
            await asyncio.sleep(_AGAIN)
        limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
