"""The probe log: one CSV line for each scheduled probe, for comparison with a packet capture.

    target,port,due_ns,sent_ns,received_ns,clock,outcome,reason
    cart,6379,1700000000000000000,1700000000000081234,1700000000000219871,kernel,success,
    cart,6379,1700000001000000000,1700000001000074022,,,failure,timeout

Times are on CLOCK_REALTIME. ``received_ns`` minus ``sent_ns`` is what the histogram observed.

``LineFile`` writes and rotates it, and never delays a ping.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path

from redis_pulse.config import Endpoint
from redis_pulse.line_file import MAX_WAITING, LineFile

HEADER = "target,port,due_ns,sent_ns,received_ns,clock,outcome,reason\n"


#: What a formula of a spreadsheet begins with.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_prefix(name: str, endpoint: Endpoint) -> str:
    """Return the first two cells of every line of a target: its name, and its port. A unix socket has no port."""
    text = io.StringIO()
    if name[:1] in _FORMULA:
        name = f"'{name}"  # a spreadsheet would calculate it
    csv.writer(text, lineterminator="").writerow([name, endpoint.port if endpoint.kind == "tcp" else ""])
    return text.getvalue()


class ProbeCsvLog(LineFile):
    """Writes the lines. ``on_lost(count, reason)`` is called for lines that could not be written."""

    def __init__(
        self,
        file: Path,
        *,
        max_bytes: int,
        backups: int,
        on_lost: Callable[[int, str], None],
        max_waiting: int = MAX_WAITING,
    ) -> None:
        super().__init__(
            file, max_bytes=max_bytes, backups=backups, on_lost=on_lost, max_waiting=max_waiting, header=HEADER
        )
