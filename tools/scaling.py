"""What many targets cost, for docs/scaling.md, from the measurements that ``bench/fleet.py --json`` wrote."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

#: ``make bench BENCH=fleet ARGS="… --json bench/results/fleet.json"`` writes it.
FILE = Path(__file__).parents[1] / "bench" / "results" / "fleet.json"
#: Targets of one daemon in the table of shards, and fleets to compute shards for.
SHARD, FLEETS = 1000, (1000, 10_000, 100_000)
#: Series that one large Prometheus server holds, with about 3 KB of memory for each.
PROMETHEUS_SERIES, PROMETHEUS_BYTES = 10_000_000, 3000
#: A window in which the daemon waited longer for a core says nothing about lateness (``bench/fleet_cost.py``).
MAX_WAITING = 0.15

Run = dict[str, Any]


def part() -> str:
    """Return the tables for docs/scaling.md."""
    return scaling_part(json.loads(FILE.read_text(encoding="utf-8")))


def scaling_part(result: dict[str, Any]) -> str:
    """Return the tables of these measurements: what a target costs, and how many shards a fleet needs."""
    fleets = [fleet for fleet in result["fleets"] if fleet["tree"] == "this"]
    lines = [
        f"Measured at commit `{result['commits']['this']}`, with {result['machine']} and Python {result['python']}:",
        "",
        f"```sh\n{result['command']}\n```",
        "",
        _row("targets", [_title(fleet) for fleet in fleets]),
        _row("---", ["---"] * len(fleets)),
        *(_row(name, [cell(fleet["runs"]) for fleet in fleets]) for name, cell in _ROWS),
    ]
    whole = [fleet for fleet in fleets if fleet["targets"] == SHARD and not fleet["bad"]]
    return "\n".join([*lines, *(["", *_shards(whole[0]["runs"])] if whole else [])]) + "\n"


def _row(name: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([name, *cells]) + " |"


def _title(fleet: dict[str, Any]) -> str:
    bad = fleet["bad"]
    return f"{fleet['targets']}" + (f", {bad} hang and {bad} refuse" if bad else "")


def _shards(runs: Sequence[Run]) -> list[str]:
    """Return the table of shards. A shard is a daemon with ``SHARD`` targets as measured."""
    cpu, peak, series = _value(runs, "gzip", "cpu"), _value(runs, "gzip", "peak"), _samples(runs, 0)
    table = [
        _row("targets", [f"{count}" for count in FLEETS]),
        _row("---", ["---"] * len(FLEETS)),
        _row("shards", [f"{math.ceil(count / SHARD)}" for count in FLEETS]),
        _row("cores", [f"{count / SHARD * cpu:.2g}" for count in FLEETS]),
        _row("memory at its peak, GB", [f"{count / SHARD * peak / 1000:.2g}" for count in FLEETS]),
        _row("series in Prometheus, million", [f"{count / SHARD * series / 1e6:.3g}" for count in FLEETS]),
        _row(
            "memory of Prometheus for them, GB",
            [f"{count / SHARD * series * PROMETHEUS_BYTES / 1e9:.2g}" for count in FLEETS],
        ),
        _row(
            "Prometheus servers",
            [f"{math.ceil(count / SHARD * series / PROMETHEUS_SERIES)}" for count in FLEETS],
        ),
    ]
    return ["The next table is computed from the column of 1000 targets:", "", *table]


def _value(runs: Sequence[Run], window: str, name: str) -> float:
    """Return the median of a value of a window, or NaN if it was not measured."""
    values = [value for run in runs if (value := run["windows"][window][name]) is not None]
    return median(values) if values else math.nan


def _samples(runs: Sequence[Run], place: int) -> float:
    """Return the samples of the page (0), or those a target: our own (1), or of the server (2)."""
    values = [run["samples"][place] for run in runs if run["samples"]]
    return median(values) if values else math.nan


def _cuts(lists: Sequence[Sequence[float] | None]) -> str:
    """Return p50, p99 and maximum: medians over the runs, and the worst maximum."""
    found = [one for one in lists if one]
    if not found:
        return "-"
    p50, p99, longest = zip(*found, strict=True)
    return f"{median(p50):.2g}, {median(p99):.2g}, {max(longest):.2g}"


def _late(runs: Sequence[Run]) -> str:
    """Return how late pings were sent, or that the machine was too busy to say it."""
    if _value(runs, "gzip", "waiting") > MAX_WAITING:
        return "no verdict"
    return _cuts([run["windows"]["gzip"]["late"] for run in runs])


def _text(value: float, spec: str) -> str:
    return "-" if math.isnan(value) else format(value, spec)


def _of(window: str, name: str, spec: str) -> Callable[[Sequence[Run]], str]:
    return lambda runs: _text(_value(runs, window, name), spec)


def _page(runs: Sequence[Run]) -> str:
    return ", ".join(f"{median(run['windows']['gzip']['page'][place] for run in runs):.3g}" for place in (2, 0))


def _lost(runs: Sequence[Run]) -> str:
    windows = [run["windows"][name] for run in runs for name in ("quiet", "gzip")]
    return f"{sum(one['skipped'] for one in windows)}, {sum(one['failed'] for one in windows)}"


_ROWS: tuple[tuple[str, Callable[[Sequence[Run]], str]], ...] = (
    ("CPU of one core, without scrapes", _of("quiet", "cpu", ".1%")),
    ("CPU of one core, with two scrapers every 5 s", _of("gzip", "cpu", ".1%")),
    ("memory, MB", _of("gzip", "rss", ".0f")),
    ("memory at its peak, MB", _of("gzip", "peak", ".0f")),
    ("samples on `/metrics`", lambda runs: _text(_samples(runs, 0), ".0f")),
    (
        "samples per target: of the server, our own",
        lambda runs: f"{_text(_samples(runs, 2), '.0f')}, {_text(_samples(runs, 1), '.0f')}",
    ),
    ("`/metrics`, gzip: MB, ms", _page),
    ("age of a sample at the scrape, p50, p99, max, s", lambda runs: _cuts([run["age"] for run in runs])),
    ("pings sent late while scraped, p50, p99, max, ms", _late),
    ("pings skipped, failed (of servers that answer)", _lost),
    ("waiting for a core, share of the time", _of("gzip", "waiting", ".0%")),
)
