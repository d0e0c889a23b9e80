"""Write the lines of the log from a thread, so a reader that stops reading stops only the log.

A pipe holds 64 KB. If its reader hangs (a stalled log driver, a paused terminal), ``write`` never returns.
So lines go into a bounded queue. If the queue is full, lines are dropped and counted.
"""

import io
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

#: Lines that may wait.
MAX_LINES = 2_000
#: Characters that may wait. A line has a few hundred characters.
MAX_CHARACTERS = 2_000_000


class LogWriter:
    """Writes lines in one thread. ``on_dropped(count)`` is called for lines that do not fit in the queue."""

    def __init__(self, on_dropped: Callable[[int], None], *, max_lines: int = MAX_LINES) -> None:
        self._on_dropped = on_dropped
        self._max_lines = max_lines
        self._ready = threading.Condition()
        self._lines: deque[tuple[TextIO, str]] = deque()
        self._characters = 0
        self._is_writing = self._is_stopped = False
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, stream: TextIO, line: str) -> None:
        """Queue a line that ends with a newline. Never waits."""
        with self._ready:
            if len(self._lines) < self._max_lines and self._characters < MAX_CHARACTERS:
                self._lines.append((stream, line))
                self._characters += len(line)
                self._ready.notify_all()
                return
        self._on_dropped(1)

    def stop(self, within: float) -> None:
        """Wait at most ``within`` seconds until the queued lines are written, and drop the rest."""
        with self._ready:
            self._is_stopped = True
            self._ready.notify_all()
            self._ready.wait_for(lambda: not self._lines and not self._is_writing, within)
            self._lines.clear()

    def _run(self) -> None:
        while True:
            with self._ready:
                self._is_writing = False
                self._ready.notify_all()
                self._ready.wait_for(lambda: self._lines or self._is_stopped)
                if not self._lines:
                    return
                stream, line = self._lines.popleft()
                self._characters -= len(line)
                self._is_writing = True
            put(stream, line)


def put(stream: TextIO, text: str, timeout: float | None = None) -> None:
    """Write a line now. Wait ``timeout`` seconds for space, or without limit if it is not given.

    If that fails, the line is lost.
    """
    with suppress(OSError, ValueError):
        try:
            descriptor = stream.fileno()
        except (AttributeError, io.UnsupportedOperation):
            stream.write(text)
            stream.flush()
            return
        # The stream itself is not used. A thread that hangs in it holds its lock, and then Python aborts at exit.
        data = memoryview(text.encode(errors="backslashreplace"))
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT)
        while data and poller.poll(None if timeout is None else timeout * 1000):
            data = data[os.write(descriptor, data[: select.PIPE_BUF]) :]
