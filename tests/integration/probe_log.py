"""The daemon's probe log as a test reads it: one line a slot."""

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PATIENCE = 15.0


class LoggedProbe(NamedTuple):
    """One line of the daemon's probe log, in ns of CLOCK_REALTIME; what did not happen is None."""

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
        """The round trip that was measured."""
        assert self.sent is not None, self
        assert self.received is not None, self
        return (self.received - self.sent) / 1e9


def number(text: str) -> int | None:
    """Read a cell that may be empty."""
    return int(text) if text else None


def read_log(file: Path) -> list[LoggedProbe]:
    """Read the daemon's probe log, in the order in which slots ended; a line that is being written is left out."""
    text = file.read_text()
    head, *rows = csv.reader(text[: text.rfind("\n") + 1].splitlines())
    assert head == ["target", "port", "due_ns", "sent_ns", "received_ns", "clock", "outcome", "reason"]
    return [
        LoggedProbe(row[0], int(row[1]), int(row[2]), number(row[3]), number(row[4]), row[5], row[6], row[7])
        for row in rows
    ]


def wait_for_log(file: Path, done: Callable[[list[LoggedProbe]], bool]) -> list[LoggedProbe]:
    """Read the log when what was asked for has been written: it comes a second late."""
    deadline = time.monotonic() + PATIENCE
    while True:
        slots = read_log(file) if file.exists() else []
        if slots and done(slots):
            return slots
        assert time.monotonic() < deadline, f"only {len(slots)} lines in the log, the last {slots[-3:]}"
        time.sleep(0.1)
