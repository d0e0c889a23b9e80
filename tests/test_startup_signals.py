"""A signal ends the daemon well however early it comes. Tried with processes of their own."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.servers import free_port

#: Says where it is, and waits there: within the imports, as far as a signal can tell.
_SLOW = """
import sys, runpy, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "redis_pulse.config":
            print("here", flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow())
sys.argv = ["redis-pulse", *sys.argv[1:]]
runpy.run_module("redis_pulse", run_name="__main__", alter_sys=False)
"""


@contextmanager
def started(*command: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("words", [(), ("serve",), ("demo",), ("--redis-url", "redis://127.0.0.1:1")])
def test_a_signal_within_the_imports_is_exit_code_0_and_silent(number: int, words: tuple[str, ...]) -> None:
    with started("-c", _SLOW, *words) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, b"", b"")


def test_a_command_that_was_interrupted_did_not_succeed() -> None:
    """Exit code 0 of ``check-config`` says that the configuration is good."""
    with started("-c", _SLOW, "check-config") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_moment_of_the_start_is_exit_code_0(number: int, tmp_path: Path) -> None:
    """From the first line of ours to the running daemon."""
    words = ("-m", "redis_pulse", "--redis-url", "redis://127.0.0.1:1", "--listen", f"127.0.0.1:{free_port()}")
    codes = []
    for step in range(8):
        with started("-X", "importtime", *words) as process:
            assert process.stderr is not None
            for line in iter(process.stderr.readline, b""):
                if b"redis_pulse.startup_signals" in line:
                    break
            while not _handles(process.pid, signal.SIGTERM):  # SIGINT has its handler before it
                time.sleep(0.001)
            time.sleep(step * 0.15)
            process.send_signal(number)
            process.communicate(timeout=20)
            codes.append(process.returncode)
    assert codes == [0] * 8


def _handles(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("only Linux tells which signals a process handles")
    caught = int(next(line for line in status.read_text().splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return bool(caught >> (number - 1) & 1)


def test_the_tests_themselves_are_not_touched() -> None:
    """The module is imported by tools and tests too, which must die by their signals."""
    script = "import signal, redis_pulse.cli; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


def test_signals_that_are_repeated_until_the_end_do_not_spoil_the_exit_code() -> None:
    port = free_port()
    with started("-m", "redis_pulse", "--redis-url", "redis://127.0.0.1:1", "--listen", f"127.0.0.1:{port}") as process:
        assert process.stderr is not None
        for line in iter(process.stderr.readline, b""):
            if b"listening" in line:
                break
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.002)
        assert process.returncode == 0
