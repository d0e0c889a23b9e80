"""The table of ``fleet.py``: what was measured, as rows of text. One column of figures for each kind of page."""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from fleet_cost import GZIP, MAX_WAITING, PLAIN, QUIET
from quantiles import format_quantiles

#: What was measured in a run of a fleet, and the runs of it.
Run = dict[str, Any]
Runs = Sequence[Run]
#: Takes a value from a run, and the kind of page of the column.
Take = Callable[[Run, str], float]


def median(runs: Runs, kind: str, take: Take) -> float:
    """Return the median of a value over the runs, or NaN without one."""
    values = [value for run in runs if not math.isnan(value := take(run, kind))]
    return statistics.median(values) if values else math.nan


def quantiles(runs: Runs, window: str, what: str) -> tuple[float, float, float]:
    """Return p50, p99 and maximum of the pings: medians over the runs, and the worst maximum."""
    found = [run["windows"][window][what] for run in runs if run["windows"][window][what]]
    if not found:
        return (math.nan,) * 3
    p50, p99, longest = zip(*found, strict=True)
    return statistics.median(p50), statistics.median(p99), max(longest)


def is_contended(runs: Runs, kind: str) -> bool:
    """Return whether the daemon waited so long for a core that lateness says nothing about it."""
    return median(runs, kind, lambda run, name: run["windows"][name]["waiting"]) > MAX_WAITING


class _Table:
    """Rows with a cell for gzip and one for plain pages of each fleet."""

    def __init__(self, fleets: Sequence[Runs]) -> None:
        self.rows: list[tuple[str, list[str]]] = []
        self._fleets = fleets

    def add(self, name: str, cell: Callable[[Runs, str], str]) -> None:
        """Add a row."""
        self.rows.append((name, [cell(runs, kind) for runs in self._fleets for kind in (GZIP, PLAIN)]))

    def add_median(self, name: str, take: Take, spec: str = ".3g") -> None:
        """Add a row with the medians of the runs."""
        self.add(name, lambda runs, kind: shown(median(runs, kind, take), spec))

    def add_window(self, name: str, what: str, spec: str = ".3g") -> None:
        """Add a row with a value of the window of the column."""
        self.add_median(name, lambda run, kind: run["windows"][kind][what], spec)

    def add_quiet(self, name: str, what: str, spec: str = ".3g") -> None:
        """Add a row with a value of the window without scrapes."""
        self.add_median(name, lambda run, _: run["windows"][QUIET][what], spec)

    def add_worst(self, name: str, take: Take) -> None:
        """Add a row with the largest values of the runs."""
        self.add(name, lambda runs, kind: shown(max(take(run, kind) for run in runs), ".3g"))


def rows(fleets: Sequence[Runs]) -> list[tuple[str, list[str]]]:
    """Return the rows: a name, and for each fleet a cell for gzip and one for plain pages."""
    table = _Table(fleets)
    _add_costs(table)
    _add_page(table)
    _add_waits(table, fleets[0][0])
    return table.rows


def _add_costs(table: _Table) -> None:
    table.add(
        "start until all were polled, s (CPU s)",
        lambda runs, kind: (
            f"{median(runs, kind, lambda run, _: run['start']):.1f} "
            f"({median(runs, kind, lambda run, _: run['start_cpu']):.1f})"
        ),
    )
    table.add_window("CPU of one core", "cpu", ".1%")
    table.add_quiet("CPU of one core, quiet", "cpu", ".1%")
    table.add_window("of it the event loop", "loop_cpu", ".1%")
    table.add_median(
        "CPU a target and minute, ms", lambda run, kind: run["windows"][kind]["cpu"] / run["targets"] * 60e3
    )
    table.add_window("waiting for a core, share of the time", "waiting", ".1%")
    table.add("verdict on lateness", _verdict)
    table.add_window("CPU of the simulated servers", "server_cpu", ".1%")
    table.add_window("memory (RSS), MB", "rss", ".0f")
    table.add_window("memory, peak of the window, MB", "peak", ".0f")
    table.add_quiet("memory, quiet, MB", "rss", ".0f")
    table.add_median("connections a target", lambda run, kind: run["windows"][kind]["connections"] / run["targets"])
    table.add_median("commands a target and minute", _commands)
    for way, name in (("to", "bytes_in"), ("from", "bytes_out")):
        table.add_median(
            f"kB a target and minute {way} the servers",
            lambda run, kind, name=name: run["windows"][kind]["server"].get(name, math.nan) / run["targets"] * 0.06,
        )


def _add_page(table: _Table) -> None:
    table.add_median("samples on the page", lambda run, _: _samples(run, 0), ".0f")
    table.add_median("samples a target, our own", lambda run, _: _samples(run, 1), ".0f")
    table.add_median("samples a target, of the server", lambda run, _: _samples(run, 2), ".0f")
    table.add("age of a sample at the scrape, p50 / p99 / max s", lambda runs, _: format_quantiles(_ages(runs)))
    table.add_median("page, MB", lambda run, kind: _page(run, kind, 2))
    table.add_median("page, median, ms", lambda run, kind: _page(run, kind, 0))
    table.add_worst("page, max, ms", lambda run, kind: _page(run, kind, 1))


def _add_waits(table: _Table, example: Run) -> None:
    wait = "longest wait for"
    table.add_worst(f"{wait} a small page, quiet, ms", lambda run, _: run["windows"][QUIET]["longest"] * 1e3)
    table.add_worst(f"{wait} a small page, scraped, ms", lambda run, kind: run["windows"][kind]["longest"] * 1e3)
    for path in example["pages"]:
        table.add_worst(f"{wait} {path}, scraped, ms", lambda run, _, path=path: run["pages"].get(path, math.nan) * 1e3)
    for path in example["holds"]:
        table.add_worst(
            f"{wait} a small page beside {path}, ms", lambda run, _, path=path: run["holds"].get(path, math.nan) * 1e3
        )
    for what, name in (("late", "PING late"), ("took", "PING took")):
        table.add(f"{name}, quiet, p50 / p99 / max ms", lambda runs, _, what=what: _cuts_of(runs, QUIET, what))
        table.add(f"{name}, scraped, p50 / p99 / max ms", lambda runs, kind, what=what: _cuts_of(runs, kind, what))
    for what in ("skipped", "failed"):
        table.add(f"slots {what}: starting, quiet, scraped", lambda runs, kind, what=what: _slots(runs, kind, what))


def ratios(ours: Runs, theirs: Runs) -> list[tuple[str, list[str]]]:
    """Return the most important values of one fleet as ratios to those of another checkout."""
    takes: dict[str, Take] = {
        "CPU of one core": lambda run, kind: run["windows"][kind]["cpu"],
        "memory (RSS), MB": lambda run, kind: run["windows"][kind]["rss"],
        "memory, peak of the window, MB": lambda run, kind: run["windows"][kind]["peak"],
        "page, median, ms": lambda run, kind: _page(run, kind, 0),
        "page, max, ms": lambda run, kind: _page(run, kind, 1),
        "longest wait for a small page, scraped, ms": lambda run, kind: run["windows"][kind]["longest"],
        "PING late, p99": lambda run, kind: (run["windows"][kind]["late"] or [math.nan] * 3)[1],
        "PING late, max": lambda run, kind: (run["windows"][kind]["late"] or [math.nan] * 3)[2],
        "age of a sample at the scrape, p99": lambda run, _: run["age"][1] if run["age"] else math.nan,
        "samples a target, our own": lambda run, _: run["samples"][1] if run["samples"] else math.nan,
    }

    def ratio(take: Take, kind: str) -> str:
        return shown(median(ours, kind, take) / (median(theirs, kind, take) or math.nan), ".2f")

    return [(name, [ratio(take, kind) for kind in (GZIP, PLAIN)]) for name, take in takes.items()]


def growth(run: Run) -> tuple[float, float] | None:
    """Return the MB in the second and the last quarter of the gzip window, or None if it was short."""
    values = run["windows"][GZIP]["memory"]
    quarter = len(values) // 4
    if quarter < 10:
        return None
    return statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])


def shown(value: float, spec: str) -> str:
    """Return a number as text, or a dash for NaN."""
    return "-" if math.isnan(value) else format(value, spec)


def _page(run: Run, kind: str, place: int) -> float:
    page = run["windows"][kind]["page"]
    return float(page[place]) if page else math.nan


def _verdict(runs: Runs, kind: str) -> str:
    if not any(run["windows"][kind]["late"] for run in runs):
        return "-"
    return "none" if is_contended(runs, kind) else "counts"


def _samples(run: Run, place: int) -> float:
    return float(run["samples"][place]) if run["samples"] else math.nan


def _cuts_of(runs: Runs, window: str, what: str) -> str:
    return format_quantiles(quantiles(runs, window, what))


def _commands(run: Run, kind: str) -> float:
    if not (server := run["windows"][kind]["server"]):
        return math.nan
    return sum(rate for name, rate in server.items() if name.isupper()) * 60 / run["targets"]


def _ages(runs: Runs) -> tuple[float, float, float]:
    found = [run["age"] for run in runs if run["age"]]
    if not found:
        return (math.nan,) * 3
    p50, p99, longest = zip(*found, strict=True)
    return statistics.median(p50), statistics.median(p99), max(longest)


def _slots(runs: Runs, kind: str, what: str) -> str:
    return ", ".join(str(sum(run["windows"][name][what] for run in runs)) for name in ("starting", QUIET, kind))
