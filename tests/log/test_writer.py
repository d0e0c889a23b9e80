"""Tests of the log writer: a stalled reader of the log costs only lines, which are counted."""

import io
import os
import threading
from collections.abc import Iterator

import pytest

from redis_pulse import log
from redis_pulse.log.writer import LogWriter, put

LINE = "x" * 999 + "\n"


class Pipe:
    """A pipe whose reader reads only in ``read``."""

    def __init__(self) -> None:
        self._read_end, write_end = os.pipe()
        self.stream = os.fdopen(write_end, "w")

    def read(self, size: int) -> str:
        text = b""
        while len(text) < size and (more := os.read(self._read_end, size - len(text))):
            text += more
        return text.decode()

    def close(self) -> None:
        os.close(self._read_end)
        self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_thread_writes_lines_in_order() -> None:
    stream = io.StringIO()
    dropped: list[int] = []
    writer = LogWriter(dropped.append)
    for number in range(100):
        writer.write(stream, f"{number}\n")
    writer.stop(5)
    assert stream.getvalue().split() == [str(number) for number in range(100)]
    assert dropped == []


def test_lines_that_do_not_fit_are_dropped_and_counted(pipe: Pipe) -> None:
    """``write`` returns at once, whatever the reader does. When the reader continues, so do the lines."""
    dropped: list[int] = []
    writer = LogWriter(dropped.append, max_lines=10)
    for _ in range(300):  # a pipe holds 64 KB
        writer.write(pipe.stream, LINE)
    lost = len(dropped)
    assert lost > 200
    kept = (300 - lost) * len(LINE)
    assert pipe.read(kept) == LINE * (300 - lost)
    writer.write(pipe.stream, "again\n")
    assert pipe.read(6) == "again\n"
    assert len(dropped) == lost
    writer.stop(5)


def test_stop_does_not_wait_for_a_stalled_reader(pipe: Pipe) -> None:
    writer = LogWriter(lambda _count: None)
    for _ in range(300):
        writer.write(pipe.stream, LINE)
    stopping = threading.Thread(target=writer.stop, args=(0.05,))
    stopping.start()
    stopping.join(20)
    assert not stopping.is_alive()


def test_line_without_a_thread_waits_a_short_time_only(pipe: Pipe) -> None:
    def write() -> None:
        for _ in range(200):
            put(pipe.stream, LINE, 0.001)

    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    writing.join(20)
    assert not writing.is_alive()


def test_closed_pipe_raises_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stream:
        put(stream, LINE)


def test_log_uses_the_thread_between_start_and_stop() -> None:
    stream = io.StringIO()
    dropped: list[int] = []
    log.setup(stream=stream)
    stop = log.start(dropped.append)
    log.get("x").info("from the thread")
    stop()
    log.get("x").info("at once")
    assert [line.split("event=")[1] for line in stream.getvalue().splitlines()] == ['"from the thread"', '"at once"']
