"""What is known about one stall: plain, bounded data that ``causes.classify`` reads and that a record keeps.

``parse_snapshot``, ``parse_slow_log`` and ``parse_latency`` turn replies into it. They never raise. What cannot be read
is absent. Arguments, key names and addresses are dropped here, so no later code can publish them.

All times named ``at``, ``started`` and ``ended`` are monotonic seconds of the exporter. ``SlowEntry.started`` is Unix
time of the server. Its difference to our clock follows from ``server_time_usec`` of the snapshot ``after``.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Self, get_args

from redis_pulse.parse.info import parse_info
from redis_pulse.parse.reply import as_integer, as_list, as_text
from redis_pulse.parse.slow_log import client_label, parse_entry

EndedBy = Literal["reply", "reset", "loading", "busy", "restart", "moved", "closed", "unknown"]

#: A record with its evidence has at most 8 KiB. This part of it is the evidence.
MAX_JSON_BYTES = 7168
#: ``MAX_ENTRIES`` is as many as an enquiry asks for.
MAX_ENTRIES, MAX_TCP_SAMPLES, MAX_COMMANDS, MAX_SOURCES = 32, 12, 12, 12
#: Rows of LATENCY LATEST, and the spikes of LATENCY HISTORY that an enquiry adds to them.
MAX_LATENCY_EVENTS, MAX_LATENCY_SPIKES = 64, 48
MAX_LATENCY_ROWS = MAX_LATENCY_EVENTS + MAX_LATENCY_SPIKES
_MAX_TEXT = 48
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,9})?")
_COMMAND = re.compile(r"[a-z][a-z0-9_.|-]{0,31}")
_COMMAND_STATS = re.compile(r"calls=([0-9]{1,19}),usec=([0-9]{1,19})\b")
_PREFIX = "cmdstat_"
#: Stored calls of all commands that a record does not list. No server has a command of this name.
OTHERS = "(others)"

#: The fields of INFO that a record keeps. The rules read no others, except commandstats.
KEPT_FIELDS = frozenset(
    (
        *("redis_version", "valkey_version", "run_id", "uptime_in_seconds", "server_time_usec", "loading"),
        *("used_cpu_user", "used_cpu_sys", "used_cpu_user_main_thread", "used_cpu_sys_main_thread"),
        *("total_forks", "latest_fork_usec", "aof_enabled", "aof_delayed_fsync", "total_commands_processed"),
        *("expired_keys", "expire_cycle_cpu_milliseconds", "evicted_keys", "total_eviction_exceeded_time"),
        *("eventloop_duration_sum", "eventloop_duration_cmd_sum", "eventloop_duration_aof_sum"),
        *("paused_reason", "rdb_bgsave_in_progress"),
    )
)
_CPU_FIELDS = frozenset(
    name for name in KEPT_FIELDS if name.startswith(("used_cpu_", "total_commands_", "uptime_", "run_id"))
)


@dataclass(frozen=True, slots=True)
class TcpSample:
    """TCP_INFO of the probe connection at one moment, while a ping was overdue."""

    at: float
    unacked: int
    retransmits: int
    backoff: int
    total_retrans: int
    notsent_bytes: int
    #: Seconds since the newest ping was sent. An ACK may take 40 ms, so a sample taken earlier shows nothing.
    since_send: float = 0.1


@dataclass(frozen=True, slots=True)
class SlowEntry:
    """One entry of the slow log or of the command log. It has no arguments and no address."""

    id: int
    started: float
    seconds: float
    command: str
    client: str = ""


@dataclass(frozen=True, slots=True)
class LatencyEvent:
    """The newest event of one kind in LATENCY LATEST; ``at`` is Unix time of the server."""

    name: str
    at: float
    milliseconds: float


@dataclass(frozen=True)
class Snapshot:
    """INFO as it was when its reply arrived."""

    at: float
    info: Mapping[str, Mapping[str, str]]

    @cached_property
    def fields(self) -> dict[str, str]:
        """Return the fields of all sections except those of commandstats."""
        return {
            name: value
            for section in self.info.values()
            for name, value in section.items()
            if not name.startswith(_PREFIX)
        }

    @cached_property
    def commands(self) -> dict[str, tuple[int, float]]:
        """Return calls and seconds per command."""
        return {
            name.removeprefix(_PREFIX).lower(): (int(match[1]), int(match[2]) / 1e6)
            for section in self.info.values()
            for name, value in section.items()
            if name.startswith(_PREFIX) and (match := _COMMAND_STATS.match(value))
        }

    def text(self, name: str) -> str | None:
        """Return a field as text, or None if it is missing."""
        return self.fields.get(name)

    def number(self, name: str) -> float | None:
        """Return a field as a number, or None if it is missing or is no number."""
        value = self.fields.get(name, "")
        return float(value) if _NUMBER.fullmatch(value) else None

    @property
    def cpu(self) -> float | None:
        """Return the CPU seconds of the main thread, of the process if the server does not count the thread."""
        for suffix in ("_main_thread", ""):
            user, system = self.number(f"used_cpu_user{suffix}"), self.number(f"used_cpu_sys{suffix}")
            if user is not None and system is not None:
                return user + system
        return None


def parse_snapshot(raw: bytes, at: float) -> Snapshot:
    """Parse the reply of INFO. Snapshots are kept as bytes, and parsed only when a stall happens."""
    return Snapshot(at, parse_info(raw.decode("utf-8", errors="replace")))


def clean_command(name: Any) -> str:
    """Return a command name in lower case, or ``other`` if it is no plausible name.

    >>> clean_command(b"KEYS"), clean_command("JSON.GET"), clean_command(bytes([255])), clean_command("a b")
    ('keys', 'json.get', 'other', 'other')
    """
    text = (as_text(name) or "").lower()
    return text if _COMMAND.fullmatch(text) else "other"


def parse_slow_log(reply: Any, limit: int = 128) -> tuple[SlowEntry, ...]:
    """Read SLOWLOG GET or COMMANDLOG GET, newest first. Entries without a readable time or duration are left out."""
    return tuple(
        SlowEntry(entry.id, float(entry.at), entry.seconds, entry.command.partition("|")[0], entry.client)
        for item in (as_list(reply) or [])[:limit]
        if (entry := parse_entry(item)) is not None and entry.at is not None and entry.seconds is not None
    )


def parse_latency(reply: Any, limit: int = MAX_LATENCY_ROWS) -> tuple[LatencyEvent, ...]:
    """Read LATENCY LATEST: ``[[event, time, newest milliseconds, greatest milliseconds]]``."""
    events = []
    for item in (as_list(reply) or [])[:limit]:
        parts = as_list(item) or []
        if len(parts) < 3:
            continue
        at, milliseconds = as_integer(parts[1]), as_integer(parts[2])
        if at is not None and milliseconds is not None and milliseconds >= 0:
            events.append(LatencyEvent(clean_command(parts[0]), float(at), float(milliseconds)))
    return tuple(events)


@dataclass(frozen=True)
class Evidence:
    """All that is known about one stall. Every part may be missing."""

    #: Monotonic seconds: the due time of the first slow ping, and the first reply in time after it.
    started: float = 0.0
    ended: float | None = None
    #: The same as Unix time of the exporter.
    started_wall: float = 0.0
    ended_wall: float | None = None
    #: The longest wait of a ping, and when that ping was sent (None: at ``started``).
    seconds: float = 0.0
    longest_started: float | None = None
    threshold: float = 0.1
    ended_by: EndedBy = "unknown"
    #: Whether the kernel stamped the replies. Without its timestamps, our own delay is part of ``seconds``.
    kernel_clock: bool = True
    #: The longest delay of our own event loop in the window.
    loop_lag: float = 0.0
    #: An older snapshot (1 to 60 s before), which gives the usual rates. Then the newest one before ``started``.
    #: Then the first one whose reply arrived when the longest wait was over. A poll that was in flight counts.
    earlier: Snapshot | None = None
    before: Snapshot | None = None
    after: Snapshot | None = None
    #: New entries since the poll before the stall, without those of the exporter itself.
    slow_entries: tuple[SlowEntry, ...] | None = None
    command_log: tuple[SlowEntry, ...] | None = None
    #: The events that are new since the poll before the stall.
    latency_events: tuple[LatencyEvent, ...] | None = None
    #: ``latency-monitor-threshold`` in milliseconds, 0 if the monitor is off, None if it is not known.
    latency_threshold: int | None = None
    tcp: tuple[TcpSample, ...] = ()
    #: Retransmissions of the probe connection before and after the stall.
    retransmits_before: int | None = None
    retransmits_after: int | None = None
    #: Whether a fresh connection was accepted at once, and a malformed command on it refused, while pings waited.
    connected: bool | None = None
    malformed_refused: bool | None = None
    #: Source → reason, for example ``{"slowlog": "denied"}``.
    missing: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> str:
        """Return the evidence as JSON of at most ``MAX_JSON_BYTES``. Least important parts are left out first."""
        text = ""
        for share in (1.0, 0.5, 0.25, 0.0):
            text = json.dumps(_to_plain(self, share), separators=(",", ":"))
            if len(text) <= MAX_JSON_BYTES:
                break
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what ``to_json`` wrote; raise ValueError for anything else."""
        try:
            plain = json.loads(text)
            parts = {name: plain[name] for name in _SCALARS if plain.get(name) is not None}
            if parts.get("ended_by", "reply") not in get_args(EndedBy):
                raise ValueError("ended_by has an unknown value")
            for name in ("earlier", "before", "after"):
                if (snapshot := plain.get(name)) is not None:
                    parts[name] = Snapshot(snapshot["at"], {"": snapshot["info"]})
            for name, kind in _LISTS.items():
                if (rows := plain.get(name)) is not None:
                    parts[name] = tuple(kind(*row) for row in rows)
            return cls(**parts, missing=dict(plain.get("missing", {})))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("this is no evidence") from error


_LISTS: dict[str, Any] = {
    "slow_entries": SlowEntry,
    "command_log": SlowEntry,
    "latency_events": LatencyEvent,
    "tcp": TcpSample,
}
_SCALARS = (
    *("started", "ended", "started_wall", "ended_wall", "seconds", "longest_started", "threshold", "ended_by"),
    *("kernel_clock", "loop_lag", "latency_threshold", "retransmits_before", "retransmits_after"),
    *("connected", "malformed_refused"),
)


def _to_plain(evidence: Evidence, share: float) -> dict[str, Any]:
    plain: dict[str, Any] = {
        name: _rounded(value) for name in _SCALARS if (value := getattr(evidence, name)) is not None
    }
    slow = {entry.command for entry in (*(evidence.slow_entries or ()), *(evidence.command_log or ()))}
    names = _commands_that_moved(evidence, slow, int(MAX_COMMANDS * share))
    for name in ("before", "after"):
        if (snapshot := getattr(evidence, name)) is not None:
            plain[name] = {"at": _rounded(snapshot.at), "info": _kept(snapshot, KEPT_FIELDS) | _stats(snapshot, names)}
    if evidence.earlier is not None:
        cpu = _kept(evidence.earlier, _CPU_FIELDS)
        plain["earlier"] = {"at": _rounded(evidence.earlier.at), "info": cpu | _stats(evidence.earlier, names[:4])}
    entries = max(2, int(MAX_ENTRIES * share))
    for name in ("slow_entries", "command_log"):
        if (rows := getattr(evidence, name)) is not None:
            longest = sorted(rows, key=lambda entry: -entry.seconds)[:entries]
            plain[name] = [
                (
                    *(entry.id, _rounded(entry.started), _rounded(entry.seconds)),
                    *(clean_command(entry.command), client_label(entry.client)),
                )
                for entry in longest
            ]
    if evidence.latency_events is not None:
        events = sorted(evidence.latency_events, key=lambda event: -event.milliseconds)[:entries]
        plain["latency_events"] = [
            [clean_command(event.name), _rounded(event.at), _rounded(event.milliseconds)] for event in events
        ]
    samples = evidence.tcp[: MAX_TCP_SAMPLES - 4] + evidence.tcp[MAX_TCP_SAMPLES - 4 :][-4:]
    plain["tcp"] = [
        (
            *(_rounded(tcp.at), tcp.unacked, tcp.retransmits, tcp.backoff),
            *(tcp.total_retrans, tcp.notsent_bytes, _rounded(tcp.since_send)),
        )
        for tcp in samples
    ]
    plain["missing"] = {clean_command(key): _cut(value) for key, value in [*evidence.missing.items()][:MAX_SOURCES]}
    return plain


def _kept(snapshot: Snapshot, names: Iterable[str]) -> dict[str, str]:
    return {name: _cut(snapshot.fields[name]) for name in sorted(names) if name in snapshot.fields}


def _commands_that_moved(evidence: Evidence, always: set[str], limit: int) -> list[str]:
    """Return the commands that used the most time between the snapshots, at most ``limit`` and three fixed ones."""
    if evidence.after is None:
        return []
    before = evidence.before.commands if evidence.before is not None else {}
    moved = {
        name: seconds - before.get(name, (0, 0.0))[1]
        for name, (_, seconds) in evidence.after.commands.items()
        if _COMMAND.fullmatch(name)
    }
    ranked = sorted(moved, key=lambda name: (name not in always, -moved[name], name))[:limit]
    return ranked + [name for name in ("client|pause", "client") if name in moved and name not in ranked]


def _stats(snapshot: Snapshot, names: list[str]) -> dict[str, str]:
    """Return the rows of these commands and one row with the sum of all others, so that totals stay true."""
    commands = snapshot.commands
    rest = [used for name, used in commands.items() if name not in names]
    rows = {name: commands[name] for name in names if name in commands}
    if rest:
        rows[OTHERS] = sum(calls for calls, _ in rest), math.fsum(seconds for _, seconds in rest)
    return {
        f"{_PREFIX}{name}": f"calls={calls % 10**19},usec={round(seconds * 1e6) % 10**19}"
        for name, (calls, seconds) in rows.items()
    }


def _rounded(value: Any) -> Any:
    """Round seconds to microseconds. A number that JSON cannot hold becomes 0."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else 0.0
    return value


def _cut(text: str) -> str:
    return re.sub(r"[^ -~]", "?", text[:_MAX_TEXT])
