"""What the recovery bench computes from pages and moments; it starts nothing and asks nobody."""

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
    """What was seen of one target after its server had returned."""

    seconds: float | None  # from the return until redis_up was 1; None: not within the time that was watched
    steady: float | None  # from the return until redis_up was 1 and stayed so; None: it was 0 at the end
    invented: Counter[str] | None  # pings counted as failures after the return, by reason; None: not counted
    flaps: int  # how often redis_up went from 1 to 0 after the return


def ups(page: str) -> dict[str, bool]:
    """Return ``redis_up`` of each target on a page."""
    return {target: value == "1" for target, value in _UP.findall(page)}


def connected(health: str) -> dict[str, bool]:
    """Return for each target in the answer of ``/health`` whether its newest ping succeeded, as ``redis_up`` says."""
    return {name: view["redis"]["status"] == "connected" for name, view in json.loads(health)["targets"].items()}


def failed_pings(page: str) -> Counter[str]:
    """Return the failed pings on a page of one target, by reason."""
    return Counter({reason: int(float(value)) for reason, value in _FAILED.findall(page)})


def recovery(states: Iterable[tuple[float, bool]], returned: float, invented: Counter[str] | None = None) -> Recovery:
    """Sum up one target; ``states`` are the readings of ``redis_up`` since its server was told to return, in order.

    A daemon may be faster than the client that waits for the return: then the time is 0.
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
    """Return the 99th percentile; with fewer than 100 values it is the largest."""
    return statistics.quantiles(values, n=100, method="inclusive")[98] if len(values) >= 100 else max(values)


def row(outage: str, recoveries: Sequence[Recovery]) -> list[str]:
    """Return the cells of one row of the table, in the order of ``HEAD``."""
    times = [one.seconds for one in recoveries if one.seconds is not None]
    steady = [one.steady for one in recoveries if one.steady is not None]
    counted = [one.invented for one in recoveries if one.invented is not None]
    figures = [min(times), statistics.median(times), p99(times), max(times)] if times else []
    return [
        outage,
        str(len(recoveries)),
        *([f"{value:.2f}" for value in figures] or ["-"] * 4),
        f"{statistics.median(steady):.2f}, {max(steady):.2f}" if steady else "-",
        _failures(counted) if counted else "-",
        str(sum(one.flaps > 0 for one in recoveries)),
        str(len(recoveries) - len(times)),
    ]


def _failures(counted: Sequence[Counter[str]]) -> str:
    total = sum(counted, Counter[str]())
    most = max(one.total() for one in counted)
    reasons = "".join(f"; {reason} {count}" for reason, count in total.most_common() if count)
    return f"{total.total()} ({total.total() / len(counted):.1f} a target, at most {most}){reasons}"
