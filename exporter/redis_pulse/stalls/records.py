"""Keeps the newest stalls, with their cause and their evidence. The oldest go first."""

import itertools
import json
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from redis_pulse.stalls.causes import Verdict

#: Records of one target, and of all targets and the exporter itself.
MAX_PER_TARGET, MAX_TOTAL = 20, 500
#: A record is shortened to this many bytes of JSON: shown commands first, then its evidence.
MAX_RECORD_BYTES: Final = 8192
#: So many targets that stall at once are worth a word.
MANY_AT_ONCE: Final = 3
#: Seconds. Shorter delays of our own event loop are not remembered. Those below the second number are no stalls.
MIN_LAG, MIN_OWN_DELAY = 0.01, 0.1


@dataclass(frozen=True, slots=True)
class StallRecord:
    """One stall. ``target`` is None for a delay of the exporter itself, ``ended`` None while the stall lasts.

    Times are Unix time. ``verdict`` is None until the evidence is complete. ``evidence`` is JSON.
    """

    id: int
    target: str | None
    started: float
    ended: float | None
    seconds: float
    slow: int = 0
    timeouts: int = 0
    verdict: Verdict | None = None
    evidence: str = "{}"
    commands: Sequence[str] = ()

    @property
    def cause(self) -> str | None:
        """The cause, or None until it is known."""
        return None if self.verdict is None else self.verdict.cause

    def to_plain(self) -> dict[str, Any]:
        """Return the record as ``/stalls`` shows it."""
        verdict = self.verdict
        plain: dict[str, Any] = {
            "id": self.id,
            "target": self.target,
            "started": _iso(self.started),
            "ended": None if self.ended is None else _iso(self.ended),
            "seconds": round(self.seconds, 6),
            "slots": {"slow": self.slow, "timeout": self.timeouts},
            "cause": self.cause,
            "certainty": None if verdict is None else verdict.certainty,
            "why": None if verdict is None else verdict.why,
            "do": None if verdict is None else verdict.do,
            "evidence": json.loads(self.evidence),
        }
        if self.commands:
            plain["commands"] = list(self.commands)
        for part in ("commands", "evidence"):
            if len(json.dumps(plain)) <= MAX_RECORD_BYTES:
                break
            plain.pop(part, None)
        return plain


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class StallRegistry:
    """The records of all targets, those of running stalls included."""

    def __init__(self, on_own_delay: Callable[[float], None] = lambda _seconds: None) -> None:
        self._on_own_delay = on_own_delay
        self._own_delay_ended = -math.inf
        self._ended: deque[StallRecord] = deque()  # oldest first
        self._counts: Counter[str | None] = Counter()
        self._running: dict[str, StallRecord] = {}
        self._last: dict[str, StallRecord] = {}
        self._hosts: dict[str, str] = {}  # by target
        self._numbers = itertools.count(1)
        self._lags: deque[tuple[float, float]] = deque(maxlen=256)

    def watch(self, target: str, host: str) -> None:
        """Remember the host of a target, to recognize stalls of many targets at once."""
        self._hosts[target] = host

    def others_at_once(self, target: str, started: float, ended: float) -> str:
        """Return in words how many other targets stalled between these times, or an empty text if they are few.

        Many are ``MANY_AT_ONCE`` targets of the same host, or half of all targets.
        """
        stalled = {
            record.target
            for record in self._last.values()
            if record.target is not None and record.started < ended and (record.ended is None or record.ended > started)
        }
        stalled.add(target)
        host = self._hosts.get(target)
        at_host = sum(self._hosts.get(other) == host for other in stalled)
        if host is not None and at_host >= MANY_AT_ONCE:
            return (
                f"{at_host} of {sum(one == host for one in self._hosts.values())} targets of this host stalled at once"
            )
        if len(stalled) >= MANY_AT_ONCE and 2 * len(stalled) >= len(self._hosts):
            return f"{len(stalled)} of {len(self._hosts)} targets stalled at once"
        return ""

    def next_id(self) -> int:
        """Return the number of a new record."""
        return next(self._numbers)

    def set_running(self, record: StallRecord) -> None:
        """Show a stall that lasts, or whose evidence is not complete."""
        if record.target is not None:
            self._running[record.target] = self._last[record.target] = record

    def add(self, record: StallRecord) -> None:
        """Keep an ended stall. Drop the oldest of its target, or of all, if there are too many."""
        if record.target is not None:
            running = self._running.get(record.target)
            if running is not None and running.id == record.id:
                del self._running[record.target]
            self._last[record.target] = record
        self._ended.append(record)
        self._counts[record.target] += 1
        if self._counts[record.target] > MAX_PER_TARGET:
            self._drop(next(kept for kept in self._ended if kept.target == record.target))
        elif len(self._ended) > MAX_TOTAL:
            self._drop(self._ended[0])

    def forget(self, target: str) -> None:
        """Forget the running and the last stall of a target that is not monitored any more. Its records stay."""
        self._running.pop(target, None)
        self._last.pop(target, None)
        self._hosts.pop(target, None)

    def newest(
        self, target: str | None = None, cause: str | None = None, limit: int = MAX_TOTAL
    ) -> Iterator[StallRecord]:
        """Yield records, running ones first, then the newest first."""
        running = sorted(self._running.values(), key=lambda record: -record.started)
        matching = (
            record
            for record in itertools.chain(running, reversed(self._ended))
            if (target is None or record.target == target) and (cause is None or record.cause == cause)
        )
        yield from itertools.islice(matching, limit)

    def last(self, target: str) -> StallRecord | None:
        """Return the newest record of a target, or None."""
        return self._last.get(target)

    def drop_running(self, target: str) -> None:
        """Forget a running stall that was none of the target."""
        record = self._running.pop(target, None)
        if record is not None and self._last.get(target) is record:
            del self._last[target]
            if (before := next(self.newest(target, limit=1), None)) is not None:
                self._last[target] = before

    def record_lag(self, at: float, wall: float, seconds: float) -> None:
        """Remember a delay of our own event loop that ended at ``at``, in monotonic seconds; ``wall`` is Unix time."""
        if seconds < MIN_LAG:
            return
        self._lags.append((at, seconds))
        if seconds >= MIN_OWN_DELAY:
            why = f"the exporter's own event loop was late by {seconds:.2g} s"
            verdict = Verdict("exporter", "sure", why, "Give the exporter more CPU; its own event loop was late.")
            self.record_own_delay(wall - seconds, seconds, verdict)

    def record_own_delay(self, started: float, seconds: float, verdict: Verdict) -> None:
        """Count and keep a delay of the exporter itself, once if several targets or timers notice it."""
        if started < self._own_delay_ended:
            return
        self._own_delay_ended = started + seconds
        self._on_own_delay(seconds)
        self.add(StallRecord(self.next_id(), None, started, started + seconds, seconds, verdict=verdict))

    def lag_between(self, begin: float, end: float) -> float:
        """Return the longest delay of our own event loop in this time."""
        return max((seconds for at, seconds in self._lags if at >= begin and at - seconds <= end), default=0.0)

    def _drop(self, record: StallRecord) -> None:
        self._ended.remove(record)
        self._counts[record.target] -= 1
