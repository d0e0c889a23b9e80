"""The probe log: one CSV line a slot, to be held against a packet capture.

    target,port,due_ns,sent_ns,received_ns,clock,outcome,reason
    cart,6379,1700000000000000000,1700000000000081234,1700000000000219871,kernel,success,
    cart,6379,1700000001000000000,1700000001000074022,,,failure,timeout

Times are on CLOCK_REALTIME; ``received_ns`` minus ``sent_ns`` is what went into the histogram. Lines are gathered and
written by a thread, so a slow disk never delays a ping; what cannot be written in time is dropped and counted. The
file is turned over at ``size`` bytes, and so many ``backups`` are kept: ``FILE.1`` is the newest.
"""

import asyncio
import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

from redis_pulse.blocking import DeadlineThreads
from redis_pulse.config import Endpoint

HEADER = "target,port,due_ns,sent_ns,received_ns,clock,outcome,reason\n"
#: Seconds between two writes, and lines that may wait for them.
FLUSH, MOST = 1.0, 100_000
#: Seconds for which the end waits for a disk that does not answer.
LAST = 0.5


def csv_prefix(name: str, endpoint: Endpoint) -> str:
    """Return the first two cells of every line of a target: its name and its port, none for a unix socket."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([name, endpoint.port if endpoint.kind == "tcp" else ""])
    return text.getvalue()


class ProbeCsvLog:
    """Writes lines to a file. ``lost(count, why)`` is told of lines that could not be written."""

    def __init__(
        self, file: Path, *, size: int, backups: int, lost: Callable[[int, str], None], most: int = MOST
    ) -> None:
        self.file = file
        self._size = size
        self._backups = backups
        self._lost = lost
        self._most = most
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._thread = DeadlineThreads("probe-log", at_once=1)
        self._used: int | None = None

    def write(self, line: str) -> None:
        """Take a line that ends with a newline; needs a running loop."""
        if len(self._lines) >= self._most:
            self._lost(1, "the disk is too slow")
            return
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH, self._flush)

    async def stop(self) -> None:
        """Write what is left, and end."""
        if self._timer is not None:
            self._timer.cancel()
        await self._settled()
        if self._writing is None:
            self._flush()
            await self._settled()
        if (writing := self._writing) is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        if self._lines:
            self._lost(len(self._lines), "the disk is too slow")
            self._lines = []

    async def _settled(self) -> None:
        """Wait until what is being written is written, but not for long."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=LAST)
            await asyncio.sleep(0)  # its callback

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        if self._writing is not None:  # the disk is slow: what waits is bounded
            self._timer = loop.call_later(FLUSH, self._flush)
            return
        lines, self._lines, self._timer = self._lines, [], None
        if lines:
            # No deadline: what waits meanwhile is bounded, and two writes at once would mix.
            self._writing = loop.create_task(self._thread.run(self.file, partial(self._append, lines), within=None))
            self._writing.add_done_callback(lambda future: self._written(future, len(lines)))

    def _written(self, future: "asyncio.Future[None]", count: int) -> None:
        self._writing = None
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if error is not None:
            self._used = None  # whatever is there is looked at anew
            slow = "the disk is too slow" if future.cancelled() else None
            self._lost(count, slow or getattr(error, "strerror", None) or type(error).__name__)

    def _append(self, lines: list[str]) -> None:
        """Append lines and turn the file over when it is full. In the thread; raises OSError."""
        data = "".join(lines).encode()
        if self._used is None:
            self._used = self.file.stat().st_size if self.file.exists() else 0
        if self._used and self._used + len(data) > self._size:
            self._turn_over()
            self._used = 0
        with self.file.open("ab") as file:
            if not self._used:
                self._used = file.write(HEADER.encode())
            self._used += file.write(data)

    def _turn_over(self) -> None:
        for number in range(self._backups, 0, -1):
            older = self._older(number - 1)
            if older.exists():
                older.replace(self._older(number))
        self.file.unlink(missing_ok=True)  # where no backup is kept

    def _older(self, number: int) -> Path:
        return self.file.with_name(f"{self.file.name}.{number}") if number else self.file
