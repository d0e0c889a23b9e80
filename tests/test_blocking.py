"""Blocking calls have deadlines, and a call that hangs affects only its own caller."""

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
    """Yield an event for which calls wait. It is set at the end of the test."""
    gate = threading.Event()
    yield gate
    gate.set()


async def test_caller_receives_result_or_exception() -> None:
    threads = DeadlineThreads("t")
    assert await threads.run("a", lambda: 7, within=5) == 7
    with pytest.raises(KeyError):
        await threads.run("a", partial(dict[str, int]().__getitem__, "x"), within=5)
    await eventually(lambda: threads.threads == 0)


async def test_call_that_hangs_ends_at_deadline_for_its_caller_only(gate: threading.Event) -> None:
    threads = DeadlineThreads("t", max_concurrent=1)
    with pytest.raises(BlockedError, match="no answer within"):
        await threads.run("hung", gate.wait, within=SOON)
    assert await threads.run("other", lambda: 1, within=5) == 1


async def test_key_that_hangs_occupies_one_thread(gate: threading.Event) -> None:
    threads = DeadlineThreads("t")
    for _ in range(5):
        with pytest.raises(BlockedError):
            await threads.run("hung", gate.wait, within=SOON)
    assert threads.threads == 1
    gate.set()
    await eventually(lambda: threads.threads == 0)
    assert await threads.run("hung", lambda: "new", within=5) == "new"


async def test_callers_with_same_key_share_one_call(gate: threading.Event) -> None:
    """A hundred targets may share one password file."""
    threads = DeadlineThreads("t")
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        gate.wait()
        return "text"

    requests = [asyncio.create_task(threads.run("a", call, within=5)) for _ in range(100)]
    await eventually(lambda: bool(calls))
    gate.set()
    assert await asyncio.gather(*requests) == ["text"] * 100
    assert calls == [1]


async def test_hung_threads_are_bounded(gate: threading.Event) -> None:
    """When all threads hang, a further call fails at once. Waiting would look like a call that hangs."""
    threads = DeadlineThreads("t", max_concurrent=2, max_threads=3)
    for key in range(6):
        with pytest.raises(BlockedError if key < 3 else NoThreadError):
            await threads.run(key, gate.wait, within=SOON)
    assert threads.threads == 3
    gate.set()
    await eventually(lambda: threads.threads == 0)
    assert await threads.run("after", lambda: 1, within=5) == 1


async def test_cancelled_caller_abandons_its_thread(gate: threading.Event) -> None:
    threads = DeadlineThreads("t", max_concurrent=1)
    task = asyncio.create_task(threads.run("a", gate.wait, within=60))
    await eventually(lambda: threads.threads == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await threads.run("b", lambda: 2, within=5) == 2


async def test_timeout_error_of_function_is_not_deadline() -> None:
    def call() -> None:
        raise TimeoutError("raised by the function")

    with pytest.raises(TimeoutError, match="raised by the function"):
        await DeadlineThreads("t").run("a", call, within=5)


async def test_failed_thread_start_raises_no_thread_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads = DeadlineThreads("t")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(NoThreadError):
            await threads.run("a", lambda: 1, within=5)
    assert await threads.run("a", lambda: 1, within=5) == 1


async def test_loop_does_not_wait_until_a_new_thread_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
    start_now, waiting = getattr(threading, name), []

    def wait_for_a_core(*args: object, **kwargs: object) -> None:
        waiting.append(lambda: start_now(*args, **kwargs))

    with monkeypatch.context() as patch:
        patch.setattr(threading, name, wait_for_a_core)
        call = asyncio.create_task(DeadlineThreads("t").run("a", lambda: 1, within=5))
        await asyncio.sleep(0)
        assert not call.done()
    waiting[0]()
    assert await call == 1


def test_hung_thread_does_not_delay_end_of_loop(gate: threading.Event) -> None:
    async def main() -> None:
        with pytest.raises(BlockedError):
            await DeadlineThreads("t").run("a", gate.wait, within=SOON)

    asyncio.run(main())  # it would join a thread of an executor


def test_only_regular_files_up_to_limit_are_read(tmp_path: Path) -> None:
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


async def test_names_are_resolved_in_dns_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[str] = []

    def look_up(host: str, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        requests.append(threading.current_thread().name)
        if host == "none":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, 1, 6, "", ("192.0.2.1", 0))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert await resolve("some", 6379, within=5) == [(socket.AF_INET, ("192.0.2.1", 6379))]
    with pytest.raises(socket.gaierror):
        await resolve("none", 6379, within=5)
    assert requests == ["dns", "dns"]
