"""A signal ends the daemon in order, however early it arrives. Tested with subprocesses."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.servers import free_port

#: Prints a line and waits in the middle of the imports.
_SLOW = """
import sys, runpy, time
class SlowFinder:
    def find_spec(self, name, path=None, target=None):
        if name == "redis_pulse.config":
            print("here", flush=True)
            time.sleep(30)
sys.meta_path.insert(0, SlowFinder())
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
@pytest.mark.parametrize("arguments", [(), ("serve",), ("demo",), ("--redis-url", "redis://127.0.0.1:1")])
def test_signal_during_imports_is_silent_exit_code_0(number: int, arguments: tuple[str, ...]) -> None:
    with started("-c", _SLOW, *arguments) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, b"", b"")


def test_interrupted_command_does_not_succeed() -> None:
    """Exit code 0 of ``check-config`` means that the configuration is valid."""
    with started("-c", _SLOW, "check-config") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_at_any_time_of_startup_is_exit_code_0(number: int, tmp_path: Path) -> None:
    """From the first line of this package to the running daemon."""
    arguments = ("-m", "redis_pulse", "--redis-url", "redis://127.0.0.1:1", "--listen", f"127.0.0.1:{free_port()}")
    codes = []
    for step in range(8):
        with started("-X", "importtime", *arguments) as process:
            assert process.stderr is not None
            for line in iter(process.stderr.readline, b""):
                if b"redis_pulse.startup_signals" in line:
                    break
            while not _handles(process.pid, signal.SIGTERM):  # the handler of SIGINT is installed before it
                time.sleep(0.001)
            time.sleep(step * 0.15)
            process.send_signal(number)
            process.communicate(timeout=20)
            codes.append(process.returncode)
    assert codes == [0] * 8


def _handles(pid: int, number: int) -> bool:
    """Return whether the process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("only Linux shows which signals a process handles")
    caught = int(next(line for line in status.read_text().splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return bool(caught >> (number - 1) & 1)


def test_import_does_not_change_signals_of_other_programs() -> None:
    """Tools and tests import the module too, and signals must end them as usual."""
    script = "import signal, redis_pulse.cli; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


def test_repeated_signals_keep_exit_code_0() -> None:
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
