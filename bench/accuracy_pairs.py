"""What was measured, held against what the servers wrote down: each ping beside its record."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tests.integration.echo import Ping
from tests.integration.probe_log import read_log


class Measured(NamedTuple):
    """One ping that was answered; moments in ns of CLOCK_REALTIME, ``took`` in ns; the last three are only ours."""

    port: int
    sent: int
    took: float
    due: int | None = None
    received: int | None = None
    clock: str = ""


class Window(NamedTuple):
    """What happened between two moments (ns): pings with their record, everything that arrived, failures."""

    began: int
    ended: int
    pairs: list[tuple[Measured, Ping]]
    arrived: list[Ping]
    failures: int
    cpu: float  # of one core
    server_cpu: float
    stalls: list[tuple[int, int]]


def read_ours(file: Path, began: int, ended: int) -> tuple[list[Measured], int]:
    """Read the probe log: what was answered of the slots of the window, and how many of them failed."""
    slots = [slot for slot in read_log(file) if began <= slot.due < ended]
    failed = sum(slot.outcome != "success" for slot in slots)
    return [
        Measured(slot.port, slot.sent, slot.received - slot.sent, slot.due, slot.received, slot.clock)
        for slot in slots
        if slot.sent and slot.received
    ], failed


def read_naive(file: Path, began: int, ended: int) -> tuple[list[Measured], int]:
    """Read the log of the naive loop: likewise, of the pings that began in the window."""
    with file.open(newline="") as lines:
        rows = [row for row in csv.reader(lines) if len(row) == 4 and began <= int(row[1]) < ended]
    good = [Measured(int(port), int(sent), float(took) * 1e9) for port, sent, took, error in rows if not error]
    return good, len(rows) - len(good)


def pair(measured: list[Measured], pings: list[Ping]) -> list[tuple[Measured, Ping]]:
    """Find the arrival of every ping: the first on its port that is not before it was sent, and nobody else's."""
    arrived: dict[int, list[Ping]] = defaultdict(list)
    for ping in sorted(pings, key=lambda ping: ping.arrived, reverse=True):
        if ping.left:
            arrived[ping.port].append(ping)
    pairs = []
    for one in sorted(measured, key=lambda one: one.sent):
        left = arrived[one.port]
        while left and left[-1].arrived < one.sent:
            left.pop()
        if left:
            pairs.append((one, left.pop()))
    return pairs


def missing(window: Window, count: int, interval: float) -> str:
    """Return which part of the pings that were due in a stall, ``count`` every ``interval`` seconds, never arrived."""
    due = count * sum(end - begin for begin, end in window.stalls) / 1e9 / interval
    if not due:
        return "-"
    came = sum(any(begin <= ping.arrived < end for begin, end in window.stalls) for ping in window.arrived)
    return f"{max(0.0, 1 - came / due):.0%}"
