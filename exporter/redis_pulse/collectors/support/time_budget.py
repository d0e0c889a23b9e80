"""Limits the time of a run, and leaves a share of it to the server and its other clients."""

from asyncio import sleep as asyncio_sleep
from collections.abc import Awaitable, Callable
from time import monotonic

from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveSeconds

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

#: Seconds of work before a pause. Longer work hurts on machines with few cores. The server and its clients then wait
#: for a core, as long as the kernel lets them. Shorter work would pause too often: the loop sleeps for at least 1 ms.
MIN_WORK_BEFORE_PAUSE = 0.0003


class TimeBudgetOptions(Options):
    """How long a run may last, and which share of it is pause."""

    budget: PositiveSeconds = Field(
        0.5, le=60, description="Time that one poll may take, including pauses; the next poll continues from there."
    )
    pause: float = Field(0.5, ge=0, le=0.99, description="Minimum share of this time that is spent in pauses.")


class TimeBudget:
    """The time of one run: call ``pause()`` before each batch, and stop after it when ``exhausted`` is true."""

    def __init__(
        self, options: TimeBudgetOptions, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep, *, share: float = 1.0
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._budget = options.budget
        self._pause_per_work = options.pause / (1 - options.pause)
        self._work_began = clock()
        self._end = self._work_began + self._budget * share

    def extend(self, share: float) -> None:
        """Start another part of the run, which lasts for ``share`` of the whole budget."""
        self._end = self._clock() + self._budget * share

    @property
    def exhausted(self) -> bool:
        """True if no further batch may start."""
        return self._clock() >= self._end

    async def pause(self) -> None:
        """Pause in proportion to the work since the last pause.

        Without enough work it returns at once. The work then counts towards the next pause.
        """
        worked = self._clock() - self._work_began
        if worked >= MIN_WORK_BEFORE_PAUSE:
            await self._sleep(worked * self._pause_per_work)
            self._work_began = self._clock()
