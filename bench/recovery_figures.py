"""Compute the figures of the recovery bench from pages and times, without any process or connection."""

import json
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

HEAD = (
    "outage", "n", "min s", "median s", "p99 s", "max s", "steady: median, max s", "failed pings after the return",
    "flapped", "never up",
)  # fmt: skip

_UP = re.compile(r'^redis_up\{.*?target="([^"]+)".*?\} (\d)', re.MULTILINE)
_FAILED = re.compile(
    r'^redis_operation_failures_total\{[^}]*operation="ping"[^}]*reason="(\w+)"[^}]*\} (\S+)', re.MULTILINE
)


class Recovery(NamedTuple):
    """The figures of one target after the return of its server."""

    seconds: float | None  # from the return until redis_up was 1, or None if it never was
    steady: float | None  # from the return until redis_up was 1 and stayed 1, or None if it was 0 at the end
    invented: Counter[str] | None  # failed pings after the return, by reason, or None if not counted
    flaps: int  # how often redis_up went from 1 to 0 after the return


def ups(page: str) -> dict[str, bool]:
    """Return ``redis_up`` of each target on a page."""
    return {target: value == "1" for target, value in _UP.findall(page)}


def connected(health: str) -> dict[str, bool]:
    """Return for each target in the response of ``/health`` whether its newest ping succeeded, like ``redis_up``."""
    return {name: view["redis"]["status"] == "connected" for name, view in json.loads(health)["targets"].items()}


def failed_pings(page: str) -> Counter[str]:
    """Return the number of failed pings on the page of one target, by reason."""
    return Counter({reason: int(float(value)) for reason, value in _FAILED.findall(page)})


def recovery(states: Iterable[tuple[float, bool]], returned: float, invented: Counter[str] | None = None) -> Recovery:
    """Return the figures of one target. ``states`` are the readings of ``redis_up`` since the start of its server.

    A daemon may be faster than the client that waits for the return. Then the time is 0.
    """
    seconds: float | None = None
    steady: float | None = None
    flaps, before = 0, False
    for moment, is_up in states:
        if is_up and not before:
            steady = max(0.0, moment - returned)
            seconds = steady if seconds is None else seconds
        if before and not is_up:
            steady = None
            flaps += 1
        before = is_up
    return Recovery(seconds, steady, invented, flaps)


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile, or the maximum of fewer than 100 values."""
    return statistics.quantiles(values, n=100, method="inclusive")[98] if len(values) >= 100 else max(values)


def row(outage: str, recoveries: Sequence[Recovery]) -> list[str]:
    """Return the cells of one row, in the order of ``HEAD``."""
    times = [each.seconds for each in recoveries if each.seconds is not None]
    steady = [each.steady for each in recoveries if each.steady is not None]
    counted = [each.invented for each in recoveries if each.invented is not None]
    figures = [min(times), statistics.median(times), p99(times), max(times)] if times else []
    return [
        outage,
        str(len(recoveries)),
        *([f"{value:.2f}" for value in figures] or ["-"] * 4),
        f"{statistics.median(steady):.2f}, {max(steady):.2f}" if steady else "-",
        _failures(counted) if counted else "-",
        str(sum(each.flaps > 0 for each in recoveries)),
        str(len(recoveries) - len(times)),
    ]


def _failures(counted: Sequence[Counter[str]]) -> str:
    total = sum(counted, Counter[str]())
    most = max(each.total() for each in counted)
    reasons = "".join(f"; {reason} {count}" for reason, count in total.most_common() if count)
    return f"{total.total()} ({total.total() / len(counted):.1f} a target, at most {most}){reasons}"
