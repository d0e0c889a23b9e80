"""Writes the lines of the log from a thread: a reader that stops reading stops nothing but the log.

A pipe holds 64 KB. When nobody reads it (a stalled log driver, a paused terminal), ``write`` waits for ever. So lines
go into a bounded queue, and those that find it full are dropped and counted.
"""

import io
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

#: Lines and characters that may wait; a line is a few hundred characters.
MOST_LINES, MOST_CHARACTERS = 2_000, 2_000_000


class LogWriter:
    """One thread that writes lines. ``on_dropped(count)`` is told of lines that there was no room for."""

    def __init__(self, on_dropped: Callable[[int], None], *, most: int = MOST_LINES) -> None:
        self._on_dropped = on_dropped
        self._most = most
        self._ready = threading.Condition()
        self._lines: deque[tuple[TextIO, str]] = deque()
        self._characters = 0
        self._is_writing = self._is_stopped = False
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, stream: TextIO, line: str) -> None:
        """Take a line, with its newline. Never waits."""
        with self._ready:
            if len(self._lines) < self._most and self._characters < MOST_CHARACTERS:
                self._lines.append((stream, line))
                self._characters += len(line)
                self._ready.notify_all()
                return
        self._on_dropped(1)

    def stop(self, within: float) -> None:
        """Wait for what is queued for at most ``within`` seconds, and drop the rest."""
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


def put(stream: TextIO, text: str, patience: float | None = None) -> None:
    """Write a line now, and wait ``patience`` seconds for room (None: for ever); what cannot be written is lost."""
    with suppress(OSError, ValueError):
        try:
            descriptor = stream.fileno()
        except (AttributeError, io.UnsupportedOperation):
            stream.write(text)
            stream.flush()
            return
        # Not through the stream: a thread that hangs in it holds its lock, and Python aborts at its end because of it.
        data = memoryview(text.encode(errors="backslashreplace"))
        room = select.poll()
        room.register(descriptor, select.POLLOUT)
        while data and room.poll(None if patience is None else patience * 1000):
            data = data[os.write(descriptor, data[: select.PIPE_BUF]) :]
