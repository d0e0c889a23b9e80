"""Deadlines and durations of tests, in which the time does not count that a busy machine took from the processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from attack.machine import longest_delay, run_delays

#: Seconds between two looks at the kernel, when the seconds of the clock are over.
_AGAIN = 0.1
#: A deadline passes at last after so many times its seconds, however busy the machine is.
_LONGEST = 20

#: The ids of the processes that tests have started and that have not ended: daemons and servers.
started: set[int] = set()


class Stopwatch:
    """Counts the seconds since its creation in which no process waited for a core.

    The processes are that of the test, those in ``started`` and those in ``pids``. One may wait for another, so their
    delays add up. Only a thread that is ready to run waits for a core. The kernel counts that on Linux. On other
    systems all seconds count.
    """

    def __init__(self, *pids: int) -> None:
        self._began = monotonic()
        self._pids = pids
        self._before = {process: run_delays(process) for process in self._processes()}
        self._delays: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """The seconds of the clock."""
        return monotonic() - self._began

    @property
    def seconds(self) -> float:
        """The seconds that count."""
        return max(0.0, self.elapsed - self.delay)

    @property
    def delay(self) -> float:
        """The seconds for which processes waited. That of a process that has ended is from the last reading."""
        for process in self._processes():
            delay = longest_delay(self._before.get(process, {}), run_delays(process))
            self._delays[process] = max(delay, self._delays.get(process, 0.0))
        return sum(self._delays.values())

    def _processes(self) -> set[str]:
        return {"self", *map(str, self._pids), *map(str, started)}


class Patience:
    """Is over when the processes had ``seconds``, as a ``Stopwatch`` counts them."""

    def __init__(self, seconds: float, *pids: int) -> None:
        self._seconds = seconds
        self._watch = Stopwatch(*pids)

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed. It is read from the kernel only when the seconds of the clock are over."""
        elapsed = self._watch.elapsed
        if elapsed < self._seconds:
            return False
        return elapsed >= _LONGEST * self._seconds or self._watch.seconds >= self._seconds


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
