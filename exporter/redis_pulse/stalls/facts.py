"""Numbers that the rules in ``causes`` compare: differences, bounds of CPU use, log entries that overlap the stall.

A number that the evidence does not give is None, so a rule cannot mistake it for 0.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from redis_pulse.stalls.evidence import OTHERS, Evidence, SlowEntry, TcpSample

#: An ACK may be delayed by 40 ms. An earlier sample of TCP_INFO shows nothing.
_ACK_SECONDS = 0.08
#: Seconds by which the time of a log entry, which has a resolution of 1 s, may be wrong.
_CLOCK_SLACK = 1.0
#: Seconds between the arrival of INFO and the time in it.
_CLOCK_ERROR = 0.1
#: The log has the time when a command ended. Ends later than this after the stall belong to another command.
_LATE_END = 2.0
BUSY_SHARE, IDLE_SHARE = 0.5, 0.3
#: CPU per second if nothing is known of the time before: perhaps none, rarely a whole core.
_UNKNOWN_RATES = 0.0, 0.9


#: Commands that may take long without any CPU. For all others, idle time means that the process was stopped.
_MAY_SLEEP = frozenset(
    (
        *("debug", "migrate", "save", "bgsave", "bgrewriteaof", "config", "cluster", "shutdown", "module", "acl"),
        *("replicaof", "slaveof", "failover"),
    )
)
_SCRIPTS = frozenset(("eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"))
#: Commands in constant time. A slow one that removed a key paid for a lazy expiry.
_CONSTANT_TIME = frozenset(
    (
        *("get", "hget", "exists", "ttl", "pttl", "type", "strlen", "llen", "scard", "zcard", "hlen", "sismember"),
        *("zscore", "hexists", "expire", "pexpire", "expireat", "pexpireat", "persist", "touch", "object"),
    )
)


class CpuUse(NamedTuple):
    """CPU seconds of the main thread over wall time: bounds during the wait, and what the whole window used."""

    low: float
    high: float
    used: float
    window: float


class CommandTime(NamedTuple):
    """What one command used: its time, its longest single call, its name. ``source`` names where this is from."""

    name: str
    seconds: float
    longest: float
    source: str
    #: The longest part of the wait that it can fill, if it is compared with a wait.
    overlap: float = 0.0

    @property
    def may_sleep(self) -> bool:
        """Return whether it may take long without any CPU."""
        return self.name in _MAY_SLEEP

    @property
    def is_script(self) -> bool:
        """Return whether it runs a script or a function."""
        return self.name in _SCRIPTS

    @property
    def is_constant_time(self) -> bool:
        """Return whether it never takes long by itself."""
        return self.name in _CONSTANT_TIME


@dataclass
class Facts:
    """The evidence of one stall as numbers.

    ``named`` is what earlier rules already explain, in seconds. ``slept`` is the part of it that needs no CPU.
    """

    evidence: Evidence
    named: dict[str, float] = field(default_factory=dict)
    slept: float = 0.0

    def __post_init__(self) -> None:
        evidence = self.evidence
        self.wait = _finite(evidence.seconds)
        self.start = _finite(evidence.started)
        sent = evidence.longest_started
        self.sent = self.start if sent is None else _finite(sent)
        self.after = evidence.after
        #: The state before the stall counts only if it is of the same process.
        self.before = evidence.before
        self.other_process = self._is_other_process()
        if self.other_process or not self._is_same_process():
            self.before = None
        self.cpu = self._cpu_use()
        self.calls = self._calls()
        self.samples = [
            sample
            for sample in evidence.tcp
            if sample.since_send >= _ACK_SECONDS and self.sent <= sample.at <= self.sent + self.wait + 0.05
        ]

    @property
    def busy(self) -> bool:
        """Return whether the main thread surely used more than half of a core during the wait."""
        return self.cpu is not None and self.cpu.low > BUSY_SHARE

    @property
    def idle(self) -> bool:
        """Return whether the main thread surely used less than 30 % of a core during the wait."""
        return self.cpu is not None and self.cpu.high < IDLE_SHARE

    @property
    def idle_seconds(self) -> float:
        """Return the part of the wait in which the main thread surely did not run."""
        return 0.0 if self.cpu is None else self.wait * min(1.0, max(0.0, 1.0 - self.cpu.high))

    @property
    def rest(self) -> float:
        """Return the part of the wait that no rule explains yet."""
        return max(0.0, self.wait - sum(self.named.values()))

    @property
    def taken(self) -> bool:
        """Return whether the host of the server acknowledged the ping, although the reply was late."""
        return bool(self.samples) and not any(map(_is_unacknowledged, self.samples))

    @property
    def knows_log(self) -> bool:
        """Return whether a slow log or command log was read."""
        return self.evidence.slow_entries is not None or self.evidence.command_log is not None

    @property
    def has_log(self) -> bool:
        """Return whether a slow log or command log was read whose times can be compared with ours."""
        logs = [log for log in (self.evidence.slow_entries, self.evidence.command_log) if log is not None]
        knows_time = self.after is not None and self.after.number("server_time_usec") is not None
        return bool(logs) and (knows_time or not any(logs))

    @property
    def reply_held(self) -> float:
        """Return for how many seconds the reply with the state after was held back by what the server did next.

        A server answers several clients in one turn of its loop, and sends the replies at its end. So the reply may be
        of a time before the stall was over.
        """
        if self.before is None or self.after is None:
            return 0.0
        old, new = self.before.number("server_time_usec"), self.after.number("server_time_usec")
        return 0.0 if old is None or new is None else (self.after.at - self.before.at) - (new - old) / 1e6

    def delta(self, name: str) -> float | None:
        """Return by how much a counter grew; None if it is missing, or if it went back."""
        if self.before is None or self.after is None:
            return None
        old, new = self.before.number(name), self.after.number(name)
        return None if old is None or new is None or new < old else new - old

    def grew(self, name: str, by: float = 1.0) -> bool:
        """Return whether a counter is known to have grown by at least this."""
        return (self.delta(name) or 0.0) >= by

    def calls_of(self, name: str) -> tuple[int, float]:
        """Return calls and seconds that commandstats added for one command."""
        return self.calls.get(name, (0, 0.0))

    def aof_event(self) -> tuple[float, str] | None:
        """Return seconds and name of the longest latency event of the AOF, or None."""
        events = self.evidence.latency_events or ()
        found = [(event.milliseconds / 1000, event.name) for event in events if event.name.startswith("aof-")]
        return max(found, default=None)

    def unacknowledged(self) -> tuple[float, int]:
        """Return for how long no ACK came for the ping of the longest wait, and its retransmissions."""
        bad = [sample for sample in self.samples if _is_unacknowledged(sample)]
        if not bad:
            return 0.0, 0
        last = max(bad, key=lambda sample: sample.at)
        acked = [sample.at - self.sent for sample in self.samples if sample.at > last.at]
        return min(acked, default=self.wait), max(sample.retransmits for sample in bad)

    def slow_commands(self) -> list[SlowEntry]:
        """Return the log entries that may overlap the stall."""
        evidence = self.evidence
        entries = evidence.slow_entries or evidence.command_log or ()
        offset = self._server_offset()
        end = max(self.sent + self.wait, self.after.at if self.after is not None else 0.0)
        found = []
        for entry in entries:
            at = entry.started + offset
            if math.isfinite(at) and self.start <= at + _CLOCK_SLACK and at <= end + _LATE_END and entry.seconds > 0:
                found.append(entry)
        return found

    def top_command(self) -> CommandTime | None:
        """Return the command that explains most of the wait, or None if none does by itself."""
        entries = self.slow_commands()
        if not entries:
            return self._top_of_commandstats()
        by_name: Counter[str] = Counter()
        overlaps: Counter[str] = Counter()
        for entry in entries:
            by_name[entry.command] += entry.seconds  # type: ignore[assignment]
            overlaps[entry.command] += self._overlap(entry)  # type: ignore[assignment]
        name, overlap = max(overlaps.items(), key=lambda item: item[1])
        longest, calls = max(entry.seconds for entry in entries if entry.command == name), self.calls_of(name)
        # Thousands of cheap calls: the log has only those that something else interrupted.
        is_cheap = calls[0] > 100 and calls[1] / calls[0] < 0.005 and longest < max(0.1, 0.3 * self.wait)
        if (overlap >= 0.5 * self.wait and not is_cheap) or min(overlap, longest) >= max(0.1, 0.3 * self.wait):
            return CommandTime(name, float(by_name[name]), longest, "slow log", min(float(overlap), self.wait))
        return None

    def logged_overlap(self) -> float:
        """Return for how many seconds of the longest wait logged commands may have run."""
        return sum(self._overlap(entry) for entry in self.slow_commands())

    def _overlap(self, entry: SlowEntry) -> float:
        """Return the longest part of the longest wait that an entry can fill. Its end is known to a second."""
        latest_end = entry.started + self._server_offset() + _CLOCK_SLACK + _CLOCK_ERROR
        earliest_begin = latest_end - _CLOCK_SLACK - 2 * _CLOCK_ERROR - entry.seconds
        begin, end = self.sent, self.sent + self.wait
        return max(0.0, min(entry.seconds, latest_end - begin, end - earliest_begin))

    def beyond_usual(self) -> CommandTime | None:
        """Return the command that used most beyond its usual average per call; ``longest`` is the mean of a call."""
        best: tuple[float, int, str] = (0.0, 0, "")
        for name, (calls, seconds) in self.calls.items():
            if calls < 1 or name == OTHERS:
                continue
            old_calls, old_seconds = self.before.commands.get(name, (0, 0.0)) if self.before is not None else (0, 0.0)
            usual = calls * old_seconds / old_calls if old_calls and calls > 20 else 0.0
            best = max(best, (seconds - usual, calls, name))
        beyond, calls, name = best
        if not calls:
            return None
        return CommandTime(name.partition("|")[0], beyond, beyond / calls, f"{calls} calls", min(beyond, self.wait))

    def _top_of_commandstats(self) -> CommandTime | None:
        top = self.beyond_usual()
        if top is None or self._ended_before(top.name):
            return None
        calls = round(top.seconds / top.longest) if top.longest > 0 else 0
        if 1 <= calls <= 20 and top.seconds >= max(0.01 * calls, 0.5 * self.wait):
            return top._replace(source="commandstats")
        return None

    def _ended_before(self, name: str) -> bool:
        """Return whether the log has this command, but only before the stall."""
        return any(entry.command == name for entry in self.evidence.slow_entries or self.evidence.command_log or ())

    def _server_offset(self) -> float:
        """Return what to add to Unix time of the server to get our monotonic time."""
        server = self.after.number("server_time_usec") if self.after is not None else None
        if self.after is not None and server is not None:
            return self.after.at - server / 1e6
        return self.start - _finite(self.evidence.started_wall)

    def _is_other_process(self) -> bool:
        if self.before is None or self.after is None:
            return False
        old, new = self.before.text("run_id"), self.after.text("run_id")
        if old is not None and new is not None:
            return old != new
        was, now = self.before.number("uptime_in_seconds"), self.after.number("uptime_in_seconds")
        return was is not None and now is not None and now + 2 < was

    def _is_same_process(self) -> bool:
        """Return whether both snapshots are of one process. A lost connection makes that doubtful without a run_id."""
        if self.before is None or self.after is None or self.evidence.ended_by == "reply":
            return True
        if self.before.text("run_id") is not None and self.after.text("run_id") is not None:
            return True
        was, now = self.before.number("uptime_in_seconds"), self.after.number("uptime_in_seconds")
        return was is not None and now is not None and abs((now - was) - (self.after.at - self.before.at)) < 3

    def _calls(self) -> dict[str, tuple[int, float]]:
        if self.before is None or self.after is None:
            return {}
        old = self.before.commands
        changes = {}
        for name, (calls, seconds) in self.after.commands.items():
            old_calls, old_seconds = old.get(name, (0, 0.0))
            if calls > old_calls and seconds >= old_seconds:
                changes[name] = calls - old_calls, seconds - old_seconds
        return changes

    def _cpu_use(self) -> CpuUse | None:
        """Bound the use during the wait: take off what the time before and after it can have used."""
        if self.before is None or self.after is None:
            return None
        old, new = self.before.cpu, self.after.cpu
        window = self.after.at - self.before.at
        start, end = self.start, self.sent + self.wait
        is_outside = self.before.at > start + 0.05 or self.after.at <= start + 0.02
        if old is None or new is None or new < old or window <= 0 or end <= start or is_outside:
            return None
        inside = max(0.02, min(end, self.after.at) - start)
        outside = max(0.0, window - inside)
        least_rate, most_rate = self._usual_rates(old)
        used = new - old
        logged = min(self._logged_before(), outside)
        low = (used - most_rate * outside - 0.01 - logged) / inside
        high = (used - least_rate * outside + 0.01 - 0.5 * logged) / inside
        least, most = (used - outside) / inside, (used + 0.005) / inside
        return CpuUse(max(low, least), min(high, max(most, least)), used, window)

    def _logged_before(self) -> float:
        """Return the seconds of commands that ended between the snapshot before and the wait."""
        if self.before is None:
            return 0.0
        offset = self._server_offset() + _CLOCK_SLACK + _CLOCK_ERROR
        entries = self.evidence.slow_entries or self.evidence.command_log or ()
        return sum(max(0.0, entry.seconds) for entry in entries if self.before.at <= entry.started + offset < self.sent)

    def _usual_rates(self, cpu: float) -> tuple[float, float]:
        """Return bounds of the CPU per second outside of the wait, from what it was before the stall."""
        earlier = self.evidence.earlier
        if earlier is None or self.before is None or earlier.cpu is None:
            return _UNKNOWN_RATES
        seconds = self.before.at - earlier.at
        if seconds < 0.5 or cpu < earlier.cpu:
            return _UNKNOWN_RATES
        rate = (cpu - earlier.cpu) / seconds
        spread = 2.5 * (0.3 * rate + 0.01)
        return rate - spread, rate + spread


def _is_unacknowledged(sample: TcpSample) -> bool:
    """Return whether bytes are on their way. With our own link down they are not even sent."""
    return sample.unacked > 0 or sample.notsent_bytes > 0


def _finite(value: float) -> float:
    """Return the number, or 0 for one that no clock shows."""
    return value if abs(value) < 1e12 else 0.0


def seconds_text(seconds: float) -> str:
    """Spell a duration: ``1.24 s`` or ``85 ms``."""
    seconds = min(max(seconds, 0.0), 1e9)
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"


def join_names(names: Sequence[str]) -> str:
    """Join names for a sentence: ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
