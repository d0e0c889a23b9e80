"""The meter and its rule, with real processes: a held loop is a failure, however busy the machine is."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from attack import rules
from attack.machine import longest_delay, run_times
from attack.meter import measure
from attack.rules import Wait
from tests.patience import Patience

#: A server whose loop is held for so many seconds, again and again. It prints its port.
_SERVER = """
import asyncio, sys, time

async def respond(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    writer.close()

async def main(held):
    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while True:
        await asyncio.sleep(0.3)
        end = time.thread_time() + held
        while time.thread_time() < end:
            pass

asyncio.run(main(float(sys.argv[1])))
"""
_NOISE = "while True: pass"


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def start(processes: list[subprocess.Popen[str]], *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    processes.append(process)
    return process


def test_loop_that_is_held_for_150_ms_is_a_failure_on_a_busy_machine(
    processes: list[subprocess.Popen[str]],
) -> None:
    """The control server is idle, and other processes take both cores."""
    for _ in range(2):
        start(processes, "-c", _NOISE)
    ended = threading.Event()
    results: list[list[tuple[float, ...]]] = [[], []]
    threads = []
    for held, waits in zip((0.15, 0.0), results, strict=True):
        server = start(processes, "-c", _SERVER, str(held))
        assert server.stdout is not None
        port = int(server.stdout.readline())
        threads.append(threading.Thread(target=measure, args=(port, server.pid, "", ended, waits)))
        threads[-1].start()

    def problems() -> list[str]:
        waits, control = ([Wait(*one) for one in tuple(result)] for result in results)
        return list(rules.pages_on_time(waits, control)) if len(waits) >= 5 else []

    patience = Patience(60)
    while not problems() and not patience.is_over:
        time.sleep(0.1)
    ended.set()
    for thread in threads:
        thread.join()
    (problem,) = problems()
    assert "/-/healthy took" in problem


def test_time_of_a_thread_on_a_core_is_counted() -> None:
    before = run_times("self")
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass
    assert longest_delay(before, run_times("self")) >= 0.045
