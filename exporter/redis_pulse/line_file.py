"""A file to which lines are appended: the probe log, and the records of stalls.

Lines are collected and then written by a thread, so a slow disk never delays a ping. Lines that cannot be written in
time are dropped and counted. The file is rotated at ``max_bytes`` bytes, and ``backups`` old files are kept. ``FILE.1``
is the newest of them. The file is opened for each write, so that another program, such as logrotate, may move it.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from redis_pulse.blocking import DeadlineThreads

#: Seconds between two writes.
FLUSH_INTERVAL = 1.0
#: How many lines may wait for a write.
MAX_WAITING = 100_000
#: Seconds for which ``stop`` waits for a disk that does not respond.
STOP_TIMEOUT = 0.5


class LineFile:
    """Writes lines to a file. ``on_lost(count, reason)`` is called for lines that could not be written.

    Each new file begins with ``header``, and has the permissions ``mode``, without those that the umask takes away.
    """

    def __init__(
        self,
        file: Path,
        *,
        max_bytes: int,
        backups: int,
        on_lost: Callable[[int, str], None],
        max_waiting: int = MAX_WAITING,
        header: str = "",
        mode: int = 0o640,
    ) -> None:
        self.file = file
        self._max_bytes = max_bytes
        self._backups = backups
        self._on_lost = on_lost
        self._max_waiting = max_waiting
        self._header = header.encode()
        self._mode = mode
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._thread = DeadlineThreads("line-file", max_concurrent=1)

    def write(self, line: str) -> None:
        """Add a line, which must end with a newline. Needs a running event loop."""
        if len(self._lines) >= self._max_waiting:
            self._on_lost(1, "the disk is too slow")
            return
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self._flush)

    async def stop(self) -> None:
        """Write the lines that wait, and stop."""
        if self._timer is not None:
            self._timer.cancel()
        await self._wait_for_write()
        if self._writing is None:
            self._flush()
            await self._wait_for_write()
        if (writing := self._writing) is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        if self._lines:
            self._on_lost(len(self._lines), "the disk is too slow")
            self._lines = []

    async def _wait_for_write(self) -> None:
        """Wait until the current write has ended, but not for long."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=STOP_TIMEOUT)
            await asyncio.sleep(0)  # its callback

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        if self._writing is not None:  # the disk is slow: the number of lines that wait is limited
            self._timer = loop.call_later(FLUSH_INTERVAL, self._flush)
            return
        lines, self._lines, self._timer = self._lines, [], None
        if lines:
            # No deadline: the number of lines that wait is limited, and two writes at once would mix their lines.
            self._writing = loop.create_task(self._thread.run(self.file, partial(self._append, lines), within=None))
            self._writing.add_done_callback(lambda future: self._written(future, len(lines)))

    def _written(self, future: "asyncio.Future[None]", count: int) -> None:
        self._writing = None
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if error is not None:
            slow = "the disk is too slow" if future.cancelled() else None
            self._on_lost(count, slow or getattr(error, "strerror", None) or type(error).__name__)

    def _append(self, lines: list[str]) -> None:
        """Append lines, and rotate the file if it is full. Runs in the thread. Raises OSError."""
        data = "".join(lines).encode()
        if self.file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))  # rotation would rename it
        size = self.file.stat().st_size if self.file.exists() else 0
        if size and size + len(data) > self._max_bytes:
            self._rotate()
            size = 0
        # Follow no link: a link in the folder could lead to another file of the same user.
        handle = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, self._mode)
        with os.fdopen(handle, "ab") as file:
            file.write(data if size else self._header + data)

    def _rotate(self) -> None:
        for number in range(self._backups, 0, -1):
            older = self._backup(number - 1)
            if older.exists():
                older.replace(self._backup(number))
        self.file.unlink(missing_ok=True)  # still there if no backup is kept

    def _backup(self, number: int) -> Path:
        return self.file.with_name(f"{self.file.name}.{number}") if number else self.file
