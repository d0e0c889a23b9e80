"""Keeps the newest stalls, with their cause and their evidence. The oldest go first."""

import itertools
import json
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final, Literal

from redis_pulse.stalls.causes import Verdict
from redis_pulse.stalls.flood import SharedLook, TokenBucket

#: Records of one target, and of all targets and the exporter itself.
MAX_PER_TARGET, MAX_TOTAL = 20, 500
#: Of those of one target, the stalls that no ping met. They must not displace the others.
MAX_LATER: Final = 10
#: A record is shortened to this many bytes of JSON: shown commands first, then its evidence.
MAX_RECORD_BYTES: Final = 8192
#: So many targets that stall at once are worth a word.
MANY_AT_ONCE: Final = 3
#: Looks at all other targets per second, and how many may come at once before. Each takes 0.3 ms of 1000 targets.
LOOKS_PER_SECOND, LOOKS_BURST = 5.0, 50
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
    #: ``later`` if no ping met it, and only a log of the server showed it.
    seen: Literal["ping", "later"] = "ping"
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
            "seen": self.seen,
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

    def __init__(
        self,
        on_own_delay: Callable[[float], None] = lambda _seconds: None,
        role_of: Callable[[str], str] = lambda _target: "",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._looks = TokenBucket(LOOKS_PER_SECOND, LOOKS_BURST, clock)
        self._look: SharedLook | None = None
        #: ended records by target, and of those the ones that no ping met
        self._counts: Counter[str | None] = Counter()
        self._later_counts: Counter[str | None] = Counter()
        self._on_own_delay = on_own_delay
        self._role_of = role_of
        #: Is called with each record that ended. The owner of a file sets it.
        self.on_record: Callable[[StallRecord], None] = lambda _record: None
        self._own_delay_ended = -math.inf
        self._ended: deque[StallRecord] = deque()  # oldest first
        self._running: dict[str, StallRecord] = {}
        self._last: dict[str, StallRecord] = {}
        self._hosts: dict[str, str] = {}  # by target
        self._clusters: dict[str, str] = {}  # by target
        self._numbers = itertools.count(1)
        self._lags: deque[tuple[float, float]] = deque(maxlen=256)

    def watch(self, target: str, host: str, cluster: str | None) -> None:
        """Remember the host and the cluster of a target, to recognize stalls of many targets at once."""
        self._hosts[target] = host
        self._clusters.pop(target, None)
        if cluster is not None:
            self._clusters[target] = cluster

    def others_at_once(self, target: str, started: float, ended: float) -> str:
        """Return in words how many other targets stalled between these times, or an empty text if they are few.

        Many are ``MANY_AT_ONCE`` targets of the same host, all shards of a cluster, or half of all targets. In a flood
        of stalls, those of about the same time share one look. If none is of the same time, the text is empty.
        """
        if (look := self._look_at(target, started, ended)) is None:
            return ""
        if (shards := self._shards_of(target)) and shards <= look.stalled:
            return f"all {len(shards)} shards of the cluster stalled at once"
        host = self._hosts.get(target)
        at_host = 0 if host is None else look.stalled_by_host.get(host, 0)
        if host is not None and at_host >= MANY_AT_ONCE:
            return f"{at_host} of {look.watched_by_host[host]} targets of this host stalled at once"
        stalled, watched = len(look.stalled), sum(look.watched_by_host.values())
        if stalled >= MANY_AT_ONCE and 2 * stalled >= watched:
            return f"{stalled} of {watched} targets stalled at once"
        return ""

    def _look_at(self, target: str, started: float, ended: float) -> SharedLook | None:
        """Count the targets that stalled between these times. Beyond the budget, return a look of about that time."""
        now = self._clock()
        if not self._looks.take():
            look = self._look
            return look if look is not None and look.is_of(now, started, ended) and target in look.stalled else None
        stalled = {
            record.target
            for record in self._last.values()
            if record.target is not None and record.started < ended and (record.ended is None or record.ended > started)
        }
        stalled.add(target)
        self._look = SharedLook.take(now, started, ended, stalled, self._hosts)
        return self._look

    def _shards_of(self, target: str) -> set[str]:
        """Return the primaries of the cluster of a target, if it has several."""
        cluster = self._clusters.get(target)
        if cluster is None:
            return set()
        members = (name for name, own in self._clusters.items() if own == cluster)
        shards = {name for name in members if self._role_of(name) not in ("slave", "replica")}
        return shards if len(shards) > 1 else set()

    def next_id(self) -> int:
        """Return the number of a new record."""
        return next(self._numbers)

    def set_running(self, record: StallRecord) -> None:
        """Show a stall that lasts, or whose evidence is not complete."""
        if record.target in self._hosts:
            self._running[record.target] = self._last[record.target] = record

    def add(self, record: StallRecord) -> None:
        """Keep an ended stall. Drop the oldest of its target, or of all, if there are too many."""
        if record.target is not None:
            running = self._running.get(record.target)
            if running is not None and running.id == record.id:
                del self._running[record.target]
            is_newest = record.seen == "ping" or record.target not in self._running
            if is_newest and record.target in self._hosts:  # a stall may end after its target was removed
                self._last[record.target] = record
        self._keep(record)
        self.on_record(record)

    def restore(self, records: Iterable[StallRecord]) -> None:
        """Keep records of the time before a restart, the oldest first. New records get higher numbers."""
        newest = 0
        for record in records:
            self._keep(record)
            newest = max(newest, record.id)
            if record.target is not None:
                self._last[record.target] = record
        self._numbers = itertools.count(newest + 1)

    def _keep(self, record: StallRecord) -> None:
        target = record.target
        self._ended.append(record)
        self._counts[target] += 1
        self._later_counts[target] += record.seen == "later"
        if self._later_counts[target] > MAX_LATER:
            self._drop(next(kept for kept in self._ended if kept.target == target and kept.seen == "later"))
        elif self._counts[target] > MAX_PER_TARGET:
            self._drop(next(kept for kept in self._ended if kept.target == target))
        elif len(self._ended) > MAX_TOTAL:
            self._drop(self._ended[0])

    def forget(self, target: str) -> None:
        """Forget the running and the last stall of a target that is not monitored any more. Its records stay."""
        self._running.pop(target, None)
        self._last.pop(target, None)
        self._hosts.pop(target, None)
        self._clusters.pop(target, None)

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
        for counts, amount in ((self._counts, 1), (self._later_counts, record.seen == "later")):
            counts[record.target] -= amount
            if not counts[record.target]:
                del counts[record.target]
