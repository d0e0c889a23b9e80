"""Stalls that fell between two pings: the slow log and the latency monitor show them at the next poll.

They are counted apart from those that a ping met, with ``seen`` = ``later``. A slow log has wall time. So CPU time of
the snapshots around an entry must confirm it. Without them, and where they contradict it, the cause is ``unknown``.

The counters of the event loop are sums over thousands of turns. They cannot show a single long turn, so no stall is
found in them. They name causes of stalls that were found otherwise.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from redis_pulse.metric import LatencySpikes, SlowCommands
from redis_pulse.stalls.causes import Cause, Verdict
from redis_pulse.stalls.evidence import clean_command
from redis_pulse.stalls.facts import CommandTime, seconds_text
from redis_pulse.stalls.snapshots import CpuUsed

#: Records of one poll: the longest stalls. All of them are counted.
MAX_RECORDS: Final = 5
#: Seconds by which times of the server may be wrong. Its logs have whole seconds.
_CLOCK_STEP, _SLACK = 1.0, 0.5
#: A time that is further away than this is no time.
_MAX_AGE: Final = 3600.0
#: Seconds for which a stall waits for the CPU time of its moment.
_WAIT: Final = 5.0
#: Stalls seen by pings that are remembered, so that none is counted twice.
_REMEMBERED: Final = 32
#: Events that the latency monitor reports while another event lasts, or that the slow log has too.
_IGNORED = frozenset(("command", "fast-command", "while-blocked-cron", "command-unblocking"))
#: Prefix of an event → its cause.
_EVENT_CAUSES: dict[str, Cause] = {"fork": "fork", "aof-": "disk", "expire-": "expire", "eviction-": "eviction"}
#: Without these events the CPU is idle, which proves nothing.
_NEEDS_CPU: frozenset[Cause] = frozenset(("command", "script", "fork", "expire", "eviction"))
_STOPPED_SHARE, _BUSY_SHARE = 0.25, 0.4
#: Entries that wait to be reported. More than one poll reads.
_MAX_FOUND: Final = 2048
#: Known events with a time: an event that comes back unchanged is no new one.
_MAX_EVENTS: Final = 64


class Moment(NamedTuple):
    """The span of our monotonic time in which something surely lay."""

    begin: float
    end: float

    def overlaps(self, begin: float, end: float) -> bool:
        """Return whether the span touches another one."""
        return self.begin <= end and begin <= self.end


@dataclass(frozen=True, slots=True)
class LaterStall:
    """One command or event that took longer than the threshold. ``name`` is clean, and has no argument."""

    name: str
    seconds: float
    moment: Moment
    #: ``slow log 17``, or ``latency event``
    source: str
    is_event: bool = False

    @property
    def cause(self) -> Cause:
        """Return the cause that its name suggests."""
        if self.is_event:
            found = (cause for prefix, cause in _EVENT_CAUSES.items() if self.name.startswith(prefix))
            return next(found, "unknown") if self.name != "aof-write-alone" else "unknown"
        kind = self._command
        if self.name in ("bgsave", "bgrewriteaof"):
            return "fork"
        if self.name == "other" or kind.is_constant_time:
            return "unknown"
        return "script" if kind.is_script else "command"

    @property
    def may_sleep(self) -> bool:
        """Return whether it may take long without CPU time."""
        return self.cause not in _NEEDS_CPU if self.is_event else self._command.may_sleep

    @property
    def _command(self) -> CommandTime:
        return CommandTime(self.name, self.seconds, self.seconds, self.source, self.seconds)


class LaterFinder:
    """Finds what the pings of one target did not see. ``threshold`` is in seconds.

    Call ``seen(…)`` for each stall that a ping met, ``slow_commands`` and ``latency_spikes`` in a poll, and ``take``
    at its end.
    """

    def __init__(self, threshold: float, now: float) -> None:
        self._threshold = threshold
        self._polled_at = now
        self._seen: list[Moment] = []  # a deque would take 700 bytes more
        self._found: list[LaterStall] = []
        #: Event → its newest time; None before the first poll, which shows only old events.
        self._events: dict[str, tuple[int, float]] | None = None

    def seen(self, begin: float, end: float) -> None:
        """Remember a stall that pings met."""
        self._seen = [*self._seen[1 - _REMEMBERED :], Moment(begin, end)]

    def slow_commands(self, found: SlowCommands, now: float) -> None:
        """Add the slow commands of a poll. Each entry of the log comes once."""
        for slow in found.commands:
            if (
                slow.seconds is not None
                and self._threshold <= slow.seconds < math.inf
                and len(self._found) < _MAX_FOUND
            ):
                source = "slow log" if slow.number is None else f"slow log {slow.number}"
                name = slow.command.partition("|")[0]
                self._found.append(LaterStall(name, slow.seconds, self._moment(slow.age, slow.seconds, now), source))

    def latency_spikes(self, found: LatencySpikes, now: float) -> None:
        """Add the events of the latency monitor that are new since the poll before."""
        before, self._events = self._events, {}
        for spike in found.spikes[:_MAX_EVENTS]:
            newest = (spike.at, spike.seconds)
            self._events[spike.event] = newest
            name = clean_command(spike.event)
            if before is None or before.get(spike.event) == newest or name in _IGNORED:
                continue
            if spike.seconds >= self._threshold:
                moment = self._moment(spike.age, spike.seconds, now)
                self._found.append(LaterStall(name, spike.seconds, moment, "latency event", is_event=True))

    def polled(self, now: float) -> None:
        """Record the end of a poll."""
        self._polled_at = now

    @property
    def has_found(self) -> bool:
        """Whether ``take`` may return something."""
        return bool(self._found)

    def take(self, now: float, running: Moment | None, known_until: float) -> list[LaterStall]:
        """Return the stalls that no ping met, the longest first, and forget them.

        Those after ``known_until`` wait for more evidence, but not for long.
        """
        found = [one for one in self._found if one.moment.end <= known_until or now - one.moment.end > _WAIT]
        self._found = [one for one in self._found if one not in found]
        met = [*self._seen, *([] if running is None else [running])]
        unseen = (one for one in found if not any(one.moment.overlaps(*other) for other in met))
        return sorted(_without_doubles(unseen), key=lambda one: -one.seconds)

    def _moment(self, age: float | None, seconds: float, now: float) -> Moment:
        """Return when it happened. Without a usable time it was at any moment since the poll before."""
        if age is None or not -_CLOCK_STEP - _SLACK <= age <= _MAX_AGE:
            return Moment(self._polled_at - seconds, now)
        return Moment(now - age - seconds - _SLACK, min(now, now - age + _CLOCK_STEP + _SLACK))


def _without_doubles(found: Iterable[LaterStall]) -> Iterator[LaterStall]:
    """Drop what two sources show: an event that is part of another one, and a command that an event explains."""
    kept: list[LaterStall] = []
    for one in sorted(found, key=lambda stall: (not stall.is_event, -stall.seconds)):
        is_double = any(
            other.is_event
            and (one.is_event or one.seconds <= 1.5 * other.seconds + 0.05)
            and one.moment.overlaps(*other.moment)
            for other in kept
        )
        if not is_double:
            kept.append(one)
            yield one


def explain(stall: LaterStall, cpu: CpuUsed | None) -> Verdict:
    """Return the cause. ``cpu`` is what the process used around that moment, or None if it is not known."""
    took = f"{stall.name.upper() if not stall.is_event else stall.name} took {seconds_text(stall.seconds)}"
    took = f"{took} ({stall.source}), between two pings"
    do = "A shorter probe.interval lets pings meet such stalls: 250ms for those of 0.35 s."
    cause = stall.cause
    if cause == "unknown":
        why = f"{took}; it takes long only if something else interrupts it" if not stall.is_event else took
        return Verdict("unknown", "likely", why, do)
    if stall.may_sleep:
        return Verdict(cause, "likely", took, do)
    if cpu is None:
        return Verdict("unknown", "likely", f"{took}; no CPU time around it confirms it", do)
    if cpu.used < _STOPPED_SHARE * stall.seconds:
        why = f"{took}, but the process used only {seconds_text(cpu.used)} of CPU: stopped inside it"
        return Verdict("not_running", "likely", why, do)
    outside = max(0.0, cpu.window - stall.seconds)
    if cpu.used - cpu.rate * outside < _BUSY_SHARE * stall.seconds:
        return Verdict("unknown", "likely", f"{took}; too little CPU was used for it, a stop or a starved host", do)
    return Verdict(cause, "likely", took, do)
