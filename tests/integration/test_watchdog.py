"""systemd ends a daemon with a hanging loop and starts it again. The log shows where it hung.

The test plays the part of systemd: the socket, the timeout, and SIGABRT.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.daemon import FAST, ROOT
from tests.integration.servers import RealServer, free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: Seconds without a notification after which systemd ends the service. It sends one every second.
WATCHDOG = 5.0


class ServiceManager:
    """The part of systemd that supervises one service."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.log = folder / "stderr.log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        unit = (ROOT / "deploy" / "systemd" / "redis-pulse.service").read_text(encoding="utf-8")
        env = dict(line.removeprefix("Environment=").split("=", 1) for line in unit.splitlines() if "=PYTHON" in line)
        env |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": self.address}
        env |= {"WATCHDOG_USEC": str(int(WATCHDOG * 1e6))}
        command = [sys.executable, "-m", "tests.integration.hung_daemon", *arguments]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def wait_for(self, word: str, within: float = 30.0) -> bool:
        """Return whether a datagram with this word arrives in time."""
        deadline = time.monotonic() + within
        while (remaining := deadline - time.monotonic()) > 0:
            self.socket.settimeout(remaining)
            try:
                if word in self.socket.recv(4096).decode():
                    return True
            except TimeoutError:
                break
        return False


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    manager = ServiceManager(tmp_path)
    yield manager
    for process in manager.processes:
        process.kill()
        process.wait()
    manager.socket.close()


def test_daemon_with_a_hanging_loop_is_ended_and_restarted(
    manager: ServiceManager, start_server: Callable[..., RealServer], tmp_path: Path
) -> None:
    config = tmp_path / "redis-pulse.yaml"
    config.write_text(yaml.safe_dump({**FAST, "targets": [{"name": "it", "url": start_server().url}]}))
    arguments = ("--config", str(config), "--listen", f"127.0.0.1:{free_port()}")
    hung = manager.start(*arguments)
    assert manager.wait_for("READY=1"), manager.log.read_text()
    assert manager.wait_for("WATCHDOG=1")
    assert manager.wait_for("WATCHDOG=1"), "a healthy loop notifies again and again"

    hung.send_signal(signal.SIGUSR1)
    while manager.wait_for("WATCHDOG=1", within=WATCHDOG):
        assert hung.poll() is None
    assert hung.poll() is None, "the process runs, but its loop hangs: only the watchdog can detect that"

    hung.send_signal(signal.SIGABRT)  # as systemd does
    assert hung.wait(10) == -signal.SIGABRT
    log = manager.log.read_text()
    assert "Fatal Python error: Aborted" in log
    assert "hung_daemon.py" in log
    assert " in hang" in log, "the journal shows where it hung"

    restarted = manager.start(*arguments)
    assert manager.wait_for("READY=1"), manager.log.read_text()
    restarted.terminate()
    assert manager.wait_for("STOPPING=1")
    assert restarted.wait(10) == 0
