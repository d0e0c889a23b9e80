"""A reader of the log that reads nothing costs lines, which are counted, and nothing else."""

import io
import os
import threading
from collections.abc import Iterator

import pytest

from redis_pulse import log
from redis_pulse.log.writer import LogWriter, put

LINE = "x" * 999 + "\n"


class Pipe:
    """A pipe whose reader reads when it is told to."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        self.stream = os.fdopen(writing, "w")

    def read(self, size: int) -> str:
        text = b""
        while len(text) < size and (more := os.read(self._reading, size - len(text))):
            text += more
        return text.decode()

    def close(self) -> None:
        os.close(self._reading)
        self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_lines_are_written_in_order_by_a_thread() -> None:
    stream = io.StringIO()
    dropped: list[int] = []
    writer = LogWriter(dropped.append)
    for number in range(100):
        writer.write(stream, f"{number}\n")
    writer.stop(5)
    assert stream.getvalue().split() == [str(number) for number in range(100)]
    assert dropped == []


def test_lines_that_find_no_room_are_dropped_and_counted(pipe: Pipe) -> None:
    """Writing returns at once, whatever the reader does; when it reads again, lines come again."""
    dropped: list[int] = []
    writer = LogWriter(dropped.append, most=10)
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


def test_the_end_does_not_wait_for_a_reader_that_reads_nothing(pipe: Pipe) -> None:
    writer = LogWriter(lambda _count: None)
    for _ in range(300):
        writer.write(pipe.stream, LINE)
    ended = threading.Thread(target=writer.stop, args=(0.05,))
    ended.start()
    ended.join(20)
    assert not ended.is_alive()


def test_without_a_thread_a_line_waits_for_a_short_time_only(pipe: Pipe) -> None:
    def write() -> None:
        for _ in range(200):
            put(pipe.stream, LINE, 0.001)

    done = threading.Thread(target=write, daemon=True)
    done.start()
    done.join(20)
    assert not done.is_alive()


def test_a_reader_that_is_gone_harms_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        put(stream, LINE)


def test_the_log_of_a_daemon_goes_through_the_thread_and_back() -> None:
    stream = io.StringIO()
    dropped: list[int] = []
    log.setup(stream=stream)
    stop = log.start(dropped.append)
    log.get("x").info("from the thread")
    stop()
    log.get("x").info("at once")
    assert [line.split("event=")[1] for line in stream.getvalue().splitlines()] == ['"from the thread"', '"at once"']
