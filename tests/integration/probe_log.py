"""The daemon's probe log as tests read it. It has one line per scheduled probe."""

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.patience import Patience

#: Seconds that tests wait for lines in the log.
PATIENCE = 15.0


class LoggedProbe(NamedTuple):
    """One line of the probe log, in ns of CLOCK_REALTIME. Times of events that did not happen are None."""

    target: str
    port: int
    due: int
    sent: int | None
    received: int | None
    clock: str
    outcome: str
    reason: str

    @property
    def seconds(self) -> float:
        """The measured round trip."""
        assert self.sent is not None, self
        assert self.received is not None, self
        return (self.received - self.sent) / 1e9


def parse_cell(text: str) -> int | None:
    """Return the number in a cell, or None if the cell is empty."""
    return int(text) if text else None


def read_log(file: Path) -> list[LoggedProbe]:
    """Return the lines of a probe log, in the order in which the probes ended. Omits a line that is incomplete."""
    text = file.read_text()
    header, *rows = csv.reader(text[: text.rfind("\n") + 1].splitlines())
    assert header == ["target", "port", "due_ns", "sent_ns", "received_ns", "clock", "outcome", "reason"]
    return [
        LoggedProbe(row[0], int(row[1]), int(row[2]), parse_cell(row[3]), parse_cell(row[4]), row[5], row[6], row[7])
        for row in rows
    ]


def wait_for_log(file: Path, done: Callable[[list[LoggedProbe]], bool]) -> list[LoggedProbe]:
    """Return the probes in the log as soon as ``done(probes)`` is true. Lines are written a second late."""
    patience = Patience(PATIENCE)
    while True:
        probes = read_log(file) if file.exists() else []
        if probes and done(probes):
            return probes
        assert not patience.is_over, f"only {len(probes)} lines in the log, the last {probes[-3:]}"
        time.sleep(0.1)
