"""The last hour of one target: 60 cells of one minute, 12 bytes each.

A quiet target costs about 1.2 KB. Failures are counted by reason, only for reasons that occurred in this hour.
"""

import math
import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from redis_pulse.status.states import STATES, TargetState

#: count, failed, p50, p99, max (coded), code of the worst state, share of pings without a closed breaker
_CELL = struct.Struct("<HHHHHBB")
CELLS = 60
#: So many latencies of the current minute are kept for its quantiles.
MAX_LATENCIES = 600
#: Minutes that decide whether a target is slow or unsteady.
RECENT = 5
_MAX_COUNT = 0xFFFF
_STEPS_PER_DECADE = 8191.75


def encode(seconds: float) -> int:
    """Return a latency of 1 µs to 100 s as one of 65 535 logarithmic steps. The error is below 0.02 %."""
    if seconds <= 0:
        return 0
    return max(1, min(_MAX_COUNT, 1 + round((math.log10(seconds) + 6) * _STEPS_PER_DECADE)))


def decode(code: int) -> float | None:
    """Return the seconds of a code, or None if there was no latency."""
    return None if code == 0 else 10 ** ((code - 1) / _STEPS_PER_DECADE - 6)


@dataclass(frozen=True, slots=True)
class HourCell:
    """One minute of a target. Latencies are seconds, and None without a reply."""

    count: int
    failed: int
    p50: float | None
    p99: float | None
    max: float | None
    #: the worst state in this minute, or None if the target was not monitored
    state: TargetState | None
    #: share of the pings at which the circuit breaker was not closed
    not_closed: float


EMPTY = HourCell(0, 0, None, None, None, None, 0.0)


@dataclass(frozen=True, slots=True)
class RecentPings:
    """The pings of the last minutes."""

    count: int
    failed: int
    #: replies that took longer than the objective
    slow: int


class Hour:
    """The pings of one target in the last hour. ``minute`` is Unix time divided by 60."""

    __slots__ = ("_cells", "_failures", "_latencies", "_minute", "_slow", "_state", "count", "failed", "not_closed")

    def __init__(self, minute: int) -> None:
        self._cells = bytearray(CELLS * _CELL.size)  # a ring: the cell of a minute is minute % 60
        self._failures: dict[str, array[int]] = {}
        self._latencies: array[int] = array("H")  # of the current minute
        self._slow: array[int] = array("H", bytes(2 * (RECENT + 1)))
        self._minute = minute
        self._state = STATES.index("ok")
        self.count = self.failed = self.not_closed = 0

    def add(self, minute: int, seconds: float | None, *, reason: str = "", is_slow: bool = False, closed: bool) -> None:
        """Count a ping: its ``seconds``, or the ``reason`` of its failure."""
        self.advance(minute)
        minute = self._minute
        self.count += 1
        self.not_closed += not closed
        if seconds is not None and len(self._latencies) < MAX_LATENCIES:
            self._latencies.append(encode(seconds))
        if is_slow and self._slow[minute % (RECENT + 1)] < _MAX_COUNT:
            self._slow[minute % (RECENT + 1)] += 1
        if reason:
            self.failed += 1
            counts = self._failures.get(reason)
            if counts is None:
                counts = self._failures[reason] = array("H", bytes(2 * CELLS))
            if counts[minute % CELLS] < _MAX_COUNT:
                counts[minute % CELLS] += 1

    def set_state(self, state: TargetState, *, is_new_minute: bool = False) -> None:
        """Record a state. A cell keeps the worst one of its minute."""
        index = STATES.index(state)
        self._state = index if is_new_minute else min(self._state, index)

    def advance(self, minute: int) -> bool:
        """End the current minute if a later one has begun. Return whether one has.

        A clock that was set back changes nothing until it has caught up. After more than an hour the history restarts.
        """
        if minute == self._minute:
            return False
        if minute < self._minute - CELLS:
            self.__init__(minute)  # type: ignore[misc]  # the times of the old cells are wrong
            return True
        if minute < self._minute:
            return False
        self._close(minute)
        return True

    def rows(self, minute: int) -> list[tuple[int, ...]]:
        """Return 60 cells as they are coded, the oldest first. The last one is the current minute.

        A cell is: count, failed, p50, p99, max, code of the state, breaker. ``state_of`` and ``decode`` explain them.
        """
        return list(zip(*self.columns(minute), strict=True))

    def columns(self, minute: int) -> tuple[Sequence[int], ...]:
        """Return the same cells as seven columns. Pages read those of a thousand targets."""
        first = (self._minute + 1) % CELLS * _CELL.size
        cells = self._cells[first:] + self._cells[:first]
        cells[-_CELL.size :] = _CELL.pack(*self._current())
        if (shift := min(minute - self._minute, CELLS)) > 0:
            cells = cells[shift * _CELL.size :] + bytes(shift * _CELL.size)
        numbers = array("H", bytes(cells))
        if sys.byteorder == "big":
            numbers.byteswap()
        return (*(numbers[column::6] for column in range(5)), cells[10::12], cells[11::12])

    def cells(self, minute: int) -> list[HourCell]:
        """Return 60 cells, the oldest first. The last one is the current minute."""
        return [_cell(*row) for row in self.rows(minute)]

    def failures(self, minute: int) -> dict[str, list[int]]:
        """Return for each reason 60 counts, the oldest first."""
        shift = self._minute - minute
        found: dict[str, list[int]] = {}
        for reason, counts in self._failures.items():
            ordered = [counts[at % CELLS] for at in range(self._minute - CELLS + 1, self._minute + 1)]
            if shift < 0:
                ordered = (ordered + [0] * -shift)[-CELLS:]
            if any(ordered):
                found[reason] = ordered
        return found

    def recent(self) -> RecentPings:
        """Return the pings of the current minute and of the five before it."""
        count, failed = self.count, self.failed
        for at in range(max(0, self._minute - RECENT), self._minute):
            cell = _CELL.unpack_from(self._cells, at % CELLS * _CELL.size)
            count, failed = count + cell[0], failed + cell[1]
        return RecentPings(count, failed, sum(self._slow))

    def _close(self, minute: int) -> None:
        _CELL.pack_into(self._cells, self._minute % CELLS * _CELL.size, *self._current())
        for passed in range(self._minute + 1, min(minute, self._minute + CELLS + 1)):
            _CELL.pack_into(self._cells, passed % CELLS * _CELL.size, 0, 0, 0, 0, 0, 0, 0)
        passed = minute - self._minute
        for counts in self._failures.values():
            for at in range(minute - min(passed, CELLS) + 1, minute + 1):
                counts[at % CELLS] = 0
        for reason in [reason for reason, counts in self._failures.items() if not any(counts)]:
            del self._failures[reason]
        for at in range(minute - min(passed, RECENT + 1) + 1, minute + 1):
            self._slow[at % (RECENT + 1)] = 0
        del self._latencies[:]
        self._minute, self.count, self.failed, self.not_closed = minute, 0, 0, 0

    def _current(self) -> tuple[int, ...]:
        ordered = sorted(self._latencies)
        number = len(ordered)
        p50 = ordered[(number - 1) // 2] if number else 0
        p99 = ordered[min(number - 1, math.ceil(number * 0.99) - 1)] if number else 0
        longest = ordered[-1] if number else 0
        share = round(255 * self.not_closed / self.count) if self.count else 0
        return min(self.count, _MAX_COUNT), min(self.failed, _MAX_COUNT), p50, p99, longest, self._state + 1, share


def state_of(code: int) -> TargetState | None:
    """Return the state of a coded cell, or None if the target was not monitored."""
    return STATES[code - 1] if code else None


def _cell(count: int, failed: int, p50: int, p99: int, longest: int, state: int, not_closed: int) -> HourCell:
    if not count:
        return EMPTY
    return HourCell(count, failed, decode(p50), decode(p99), decode(longest), state_of(state), not_closed / 255)
