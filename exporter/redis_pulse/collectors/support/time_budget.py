"""How long a run may go on, and how much of that time it leaves to others."""

from asyncio import sleep as asyncio_sleep
from collections.abc import Awaitable, Callable
from time import monotonic

from redis_pulse.config import Options
from redis_pulse.config.option_types import Field, PositiveSeconds

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

#: Seconds of work before a pause. Where cores are few, whoever works for longer keeps the server and its clients from
#: one, each time for as long as the kernel lets it. No pause is shorter than the millisecond by which the loop counts.
MIN_WORK_BEFORE_PAUSE = 0.0003


class TimeBudgetOptions(Options):
    """How long a run may last, and which share of it is pause."""

    budget: PositiveSeconds = Field(
        0.5, le=60, description="Time a poll may spend on it, pauses included; the next poll goes on from there."
    )
    pause: float = Field(
        0.5, ge=0, le=0.99, description="Least share of that time in which the server is left in peace."
    )


class TimeBudget:
    """One run: ``over`` when its ``share`` of the budget is used up; ``breathe()`` before every batch."""

    def __init__(
        self, options: TimeBudgetOptions, clock: Clock = monotonic, sleep: Sleep = asyncio_sleep, *, share: float = 1.0
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._budget = options.budget
        self._ratio = options.pause / (1 - options.pause)
        self._since = clock()
        self._end = self._since + self._budget * share

    def extend(self, share: float) -> None:
        """Begin another part of the run, which has a share of the budget of its own."""
        self._end = self._clock() + self._budget * share

    @property
    def exhausted(self) -> bool:
        """Whether no further batch may begin."""
        return self._clock() >= self._end

    async def wait(self) -> None:
        """Pause in proportion to the work since the last pause, which is the time the last batch took."""
        worked = self._clock() - self._since
        if worked >= MIN_WORK_BEFORE_PAUSE:
            await self._sleep(worked * self._ratio)
            self._since = self._clock()
