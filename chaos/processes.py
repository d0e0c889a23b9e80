"""Processes of our own, which end with us whatever happens, and ports for them."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

State = Literal["running", "frozen", "dead"]

#: Below 22768: the bus of a cluster is port + 10000, and ephemeral ports begin at 32768.
FIRST_PORT, LAST_PORT = 12000, 22000
_begin = os.getpid() * 37 % (LAST_PORT - FIRST_PORT)
_ports = (FIRST_PORT + (_begin + number) % (LAST_PORT - FIRST_PORT) for number in itertools.count())


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on; not the same one twice."""
    for port in itertools.islice(_ports, LAST_PORT - FIRST_PORT):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


class Process:
    """One process; its output goes to ``log``. Start it from the main thread: it dies with the one that started it."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._log = log
        self._env = None if env is None else dict(env)
        self._popen: subprocess.Popen[bytes] | None = None
        self.state: State = "dead"
        #: how often it was started: another process has another run_id
        self.starts = 0

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._popen is not None:
            return
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                dying_with_us(self._command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env
            )
        self.state = "running"
        self.starts += 1

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._popen is not None, "it does not run"
        return self._popen.pid

    def is_alive(self) -> bool:
        """Tell whether it has not ended by itself."""
        return self._popen is not None and self._popen.poll() is None

    def kill(self) -> None:
        """SIGKILL; nothing happens when it does not run."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None
        self.state = "dead"

    def freeze(self) -> None:
        """SIGSTOP."""
        if self._popen is not None:
            self._popen.send_signal(signal.SIGSTOP)
            self.state = "frozen"

    def thaw(self) -> None:
        """SIGCONT."""
        if self._popen is not None:
            self._popen.send_signal(signal.SIGCONT)
            self.state = "running"


def dying_with_us(command: Sequence[str]) -> list[str]:
    """Return the command so that the kernel kills the process when we die, where ``setpriv`` is installed."""
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "KILL"] if setpriv else []), *command]
