"""Compare measured pings with the records of the servers, ping by ping."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import checkout  # noqa: F401

from tests.integration.echo import Ping
from tests.integration.probe_log import read_log


class Measured(NamedTuple):
    """One answered ping. Times are in ns of CLOCK_REALTIME, ``took`` is in ns.

    Only redis-pulse has the last three fields.
    """

    port: int
    sent: int
    took: float
    due: int | None = None
    received: int | None = None
    clock: str = ""


class Window(NamedTuple):
    """The events between two times (ns): pings with their records, all pings that arrived, failures."""

    began: int
    ended: int
    pairs: list[tuple[Measured, Ping]]
    arrived: list[Ping]
    failures: int
    cpu: float  # of one core
    server_cpu: float
    stalls: list[tuple[int, int]]


def read_exporter_log(file: Path, began: int, ended: int) -> tuple[list[Measured], int]:
    """Return the answered pings of redis-pulse's probe log that were due in the window, and the number of failures."""
    probes = [probe for probe in read_log(file) if began <= probe.due < ended]
    failed = sum(probe.outcome != "success" for probe in probes)
    return [
        Measured(probe.port, probe.sent, probe.received - probe.sent, probe.due, probe.received, probe.clock)
        for probe in probes
        if probe.sent and probe.received
    ], failed


def read_naive_log(file: Path, began: int, ended: int) -> tuple[list[Measured], int]:
    """Return the answered pings of the naive loop's log that began in the window, and the number of failures."""
    with file.open(newline="") as lines:
        rows = [row for row in csv.reader(lines) if len(row) == 4 and began <= int(row[1]) < ended]
    good = [Measured(int(port), int(sent), float(took) * 1e9) for port, sent, took, error in rows if not error]
    return good, len(rows) - len(good)


def pair(measured: list[Measured], pings: list[Ping]) -> list[tuple[Measured, Ping]]:
    """Return each measured ping with its record: the first free one on its port that arrived after it was sent."""
    arrived: dict[int, list[Ping]] = defaultdict(list)
    for record in sorted(pings, key=lambda record: record.arrived, reverse=True):
        if record.left:
            arrived[record.port].append(record)
    pairs = []
    for ping in sorted(measured, key=lambda ping: ping.sent):
        candidates = arrived[ping.port]
        while candidates and candidates[-1].arrived < ping.sent:
            candidates.pop()
        if candidates:
            pairs.append((ping, candidates.pop()))
    return pairs


def missing(window: Window, count: int, interval: float) -> str:
    """Return the share of the pings due during stalls that never arrived.

    ``count`` pings are due every ``interval`` seconds.
    """
    due = count * sum(end - begin for begin, end in window.stalls) / 1e9 / interval
    if not due:
        return "-"
    arrived = sum(any(begin <= ping.arrived < end for begin, end in window.stalls) for ping in window.arrived)
    return f"{max(0.0, 1 - arrived / due):.0%}"
