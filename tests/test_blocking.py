"""Blocking calls have deadlines, and one that hangs costs only its own caller."""

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from redis_pulse.blocking import BlockedError, DeadlineThreads, NoThreadError, read_regular_file, resolve
from tests.harness import eventually

SOON = 0.02


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs hangs until this opens; at the end it does."""
    gate = threading.Event()
    yield gate
    gate.set()


async def test_what_a_call_returns_or_raises_is_the_callers() -> None:
    threads = DeadlineThreads("t")
    assert await threads.run("a", lambda: 7, within=5) == 7
    with pytest.raises(KeyError):
        await threads.run("a", partial(dict[str, int]().__getitem__, "x"), within=5)
    await eventually(lambda: threads.threads == 0)


async def test_a_call_that_hangs_ends_at_its_deadline_for_its_caller_only(gate: threading.Event) -> None:
    threads = DeadlineThreads("t", at_once=1)
    with pytest.raises(BlockedError, match="no answer within"):
        await threads.run("hung", gate.wait, within=SOON)
    assert await threads.run("other", lambda: 1, within=5) == 1


async def test_a_key_that_hangs_for_ever_holds_one_thread_however_often_it_is_asked(gate: threading.Event) -> None:
    threads = DeadlineThreads("t")
    for _ in range(5):
        with pytest.raises(BlockedError):
            await threads.run("hung", gate.wait, within=SOON)
    assert threads.threads == 1
    gate.set()
    await eventually(lambda: threads.threads == 0)
    assert await threads.run("hung", lambda: "new", within=5) == "new"


async def test_callers_with_the_same_key_share_one_call(gate: threading.Event) -> None:
    """A hundred targets have one password file."""
    threads = DeadlineThreads("t")
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        gate.wait()
        return "text"

    asked = [asyncio.create_task(threads.run("a", call, within=5)) for _ in range(100)]
    await eventually(lambda: bool(calls))
    gate.set()
    assert await asyncio.gather(*asked) == ["text"] * 100
    assert calls == [1]


async def test_hung_threads_are_bounded_in_all(gate: threading.Event) -> None:
    """When all hang, a further call is our own fault at once: to wait would look like a call that hangs."""
    threads = DeadlineThreads("t", at_once=2, most=3)
    for key in range(6):
        with pytest.raises(BlockedError if key < 3 else NoThreadError):
            await threads.run(key, gate.wait, within=SOON)
    assert threads.threads == 3
    gate.set()
    await eventually(lambda: threads.threads == 0)
    assert await threads.run("after", lambda: 1, within=5) == 1


async def test_a_caller_who_is_cancelled_leaves_the_thread_behind(gate: threading.Event) -> None:
    threads = DeadlineThreads("t", at_once=1)
    task = asyncio.create_task(threads.run("a", gate.wait, within=60))
    await eventually(lambda: threads.threads == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await threads.run("b", lambda: 2, within=5) == 2


async def test_a_timeout_of_the_call_itself_is_not_taken_for_the_deadline() -> None:
    def call() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await DeadlineThreads("t").run("a", call, within=5)


async def test_no_further_thread_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = DeadlineThreads("t")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(NoThreadError):
            await threads.run("a", lambda: 1, within=5)
    assert await threads.run("a", lambda: 1, within=5) == 1


def test_a_hung_thread_does_not_keep_the_loop_from_ending(gate: threading.Event) -> None:
    async def main() -> None:
        with pytest.raises(BlockedError):
            await DeadlineThreads("t").run("a", gate.wait, within=SOON)

    asyncio.run(main())  # would join an executor's thread


def test_only_regular_files_up_to_a_limit_are_read(tmp_path: Path) -> None:
    file, fifo, link = tmp_path / "file", tmp_path / "fifo", tmp_path / "link"
    file.write_text("text")
    os.mkfifo(fifo)
    link.symlink_to(file)
    assert read_regular_file(link, 4) == b"text"
    for path, code in ((fifo, errno.EINVAL), (tmp_path, errno.EISDIR), (tmp_path / "none", errno.ENOENT)):
        with pytest.raises(OSError, match=r"\S") as caught:
            read_regular_file(path, 4)
        assert caught.value.errno == code
    with pytest.raises(OSError, match="longer than 3 bytes"):
        read_regular_file(file, 3)
    for device in ("/dev/zero", "/dev/full"):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular_file(device, 4)


async def test_names_are_resolved_in_threads_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(host: str, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(threading.current_thread().name)
        if host == "none":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, 1, 6, "", ("192.0.2.1", 0))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert await resolve("some", 6379, within=5) == [(socket.AF_INET, ("192.0.2.1", 6379))]
    with pytest.raises(socket.gaierror):
        await resolve("none", 6379, within=5)
    assert asked == ["dns", "dns"]
