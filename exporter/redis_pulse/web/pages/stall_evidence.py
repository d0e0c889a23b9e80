"""The evidence of a stall in a few lines for people. ``/stalls`` has all of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from redis_pulse.web.pages import texts

#: Entries of a log that are shown.
_MAX_ENTRIES = 3
#: CPU times of INFO, whose difference is the CPU that the process used.
_CPU = ("used_cpu_user", "used_cpu_sys")


def evidence_rows(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a name and a text for each kind of evidence. A part that was shortened or is missing is left out."""
    return [
        *_log(evidence, "slow_entries", "slow log"),
        *_log(evidence, "command_log", "command log"),
        *_cpu(evidence),
        *_tcp(evidence),
        *_latency(evidence),
        *_own(evidence),
        *((name.replace("_", " "), str(text)) for name, text in dict(evidence.get("missing") or {}).items()),
    ]


def _log(evidence: Mapping[str, Any], key: str, name: str) -> Iterator[tuple[str, str]]:
    rows = evidence.get(key)
    if isinstance(rows, list):
        shown = [f"{row[3]} {texts.duration(row[2])}" for row in rows[:_MAX_ENTRIES]]
        yield name, ", ".join(shown) or "no entry in this time"


def _cpu(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    snapshots = [evidence.get(name) or {} for name in ("before", "after")]
    times = [_cpu_seconds(snapshot.get("info") or {}) for snapshot in snapshots]
    if times[0] is None or times[1] is None:
        return
    seconds = snapshots[1].get("at", 0.0) - snapshots[0].get("at", 0.0)
    if seconds > 0:
        yield "CPU of the process", f"{texts.duration(max(0.0, times[1] - times[0]))} in {texts.duration(seconds)}"


def _cpu_seconds(info: Mapping[str, Any]) -> float | None:
    try:
        return sum(float(info[name]) for name in _CPU)
    except (KeyError, TypeError, ValueError):
        return None


def _tcp(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    samples = evidence.get("tcp")
    if samples:
        worst = max(samples, key=lambda sample: (sample[1], sample[2]))
        yield "TCP during it", f"{worst[1]} segments without acknowledgement, sent again {worst[2]} times"


def _latency(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    events = evidence.get("latency_events")
    if events:
        yield "latency events", ", ".join(f"{event[0]} {event[2]:.0f} ms" for event in events[:_MAX_ENTRIES])


def _own(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if (lag := evidence.get("loop_lag")) is not None:
        yield "delay of the exporter", f"at most {texts.duration(lag)}"
