"""Many that are due at one rate, woken by one firing of APScheduler: it costs some 120 µs, a timer of the loop 2 µs.

An interval is divided into a few slots of phase; all whose phase lies in the same slot are a cohort. The cohort is
woken a little before its slot begins, and sets a timer for each member at the moment of its own phase. So everyone
keeps its phase, and APScheduler's lateness does not become theirs.
"""

import asyncio
import math
from collections.abc import Callable

from redis_pulse.scheduling.grid import Grid, MissedRuns

#: Seconds: how long before its slot a cohort is woken, and the least length of a slot. And how many slots at most.
WAKE_LEAD, MIN_PHASE_WIDTH, MAX_PHASES = 0.05, 0.05, 20

Due = Callable[[float], None]
Skipped = Callable[[int, float], None]


def phases(interval: float) -> int:
    """Return into how many slots of phase an interval is divided."""
    return max(1, min(MAX_PHASES, int(interval / MIN_PHASE_WIDTH)))


class _Entry:
    __slots__ = ("due", "gone", "offset", "since", "skipped")

    def __init__(self, offset: float, since: float, due: Due, skipped: Skipped) -> None:
        self.offset = offset
        self.since = since
        self.due = due
        self.skipped = skipped
        self.gone = False


class PhaseGroup:
    """Those whose phases lie in one slot, which begins at ``start`` + n·``interval``. In one event loop.

    A moment is served when we are there less than an interval after it, else it is skipped; each is one of the two.
    """

    def __init__(
        self,
        kind: str,
        interval: float,
        start: float,
        clock: Callable[[], float],
        *,
        on_missed: Callable[[str, MissedRuns], None],
        on_error: Callable[[str, Exception], None],
    ) -> None:
        self._kind = kind
        self.interval = interval
        self._clock = clock
        self._on_missed = on_missed
        self._on_error = on_error
        self._members: dict[str, _Entry] = {}
        now = clock()
        first = start - WAKE_LEAD + math.ceil((now - start + WAKE_LEAD) / interval) * interval
        #: the moments at which the cohort is to be woken
        self.grid = Grid(interval, first, clock)
        self._turn = first - interval

    def __len__(self) -> int:
        return len(self._members)

    def add(self, key: str, offset: float, due: Due, skipped: Skipped) -> None:
        """Serve another one, ``offset`` seconds after the beginning of the slot, in this turn if that is to come."""
        self._members[key] = member = _Entry(offset, self._clock(), due, skipped)
        self._schedule(member, self._turn + WAKE_LEAD + offset, 0)

    def hand_over(self, key: str, due: Due, skipped: Skipped) -> None:
        """Call others for it from now on, at the same moments; no moment is lost."""
        member = self._members[key]
        member.due, member.skipped = due, skipped

    def remove(self, key: str) -> None:
        """Serve it no more."""
        self._members.pop(key).gone = True

    def clear(self) -> None:
        """Serve nobody any more."""
        for key in list(self._members):
            self.remove(key)

    async def fire(self) -> None:
        """Set the timers of this turn; a coroutine because APScheduler runs anything else in a thread."""
        if (turn := self.grid.claim_due()) is None:
            return
        self._turn, missed = turn
        members = list(self._members.values())
        skipped = sum(self._schedule(member, self._turn + WAKE_LEAD + member.offset, sum(missed)) for member in members)
        if skipped:
            self._on_missed(self._kind, MissedRuns(skipped, 0))

    def _schedule(self, member: _Entry, due: float, before: int) -> int:
        """Set timers for the moment ``due`` and those ``before`` it that can still be served; return the others."""
        now, loop = self._clock(), asyncio.get_running_loop()
        left = before + 1
        while left and due > now - self.interval:
            if due >= member.since:
                loop.call_later(max(0.0, due - now), self._run, member, due)
            due -= self.interval
            left -= 1
        left = min(left, math.floor((due - member.since) / self.interval) + 1)
        if left <= 0:
            return 0
        member.skipped(left, due)
        return left

    def _run(self, member: _Entry, due: float) -> None:
        if member.gone:
            return
        try:
            if self._clock() - due < self.interval:
                member.due(due)
            else:
                self._on_missed(self._kind, MissedRuns(1, 0))
                member.skipped(1, due)
        except Exception as error:  # noqa: BLE001  # whatever befalls one, the others and its next turn go on
            self._on_error(self._kind, error)
