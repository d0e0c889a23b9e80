"""Child processes that always end with their parent, and ports for them."""

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

#: Below 22768, because the bus port of a cluster node is 10000 higher, and ephemeral ports begin at 32768.
FIRST_PORT, LAST_PORT = 12000, 22000
_offset = os.getpid() * 37 % (LAST_PORT - FIRST_PORT)
_ports = (FIRST_PORT + (_offset + number) % (LAST_PORT - FIRST_PORT) for number in itertools.count())


def free_port() -> int:
    """Return a free port of 127.0.0.1. It never returns a port twice."""
    for port in itertools.islice(_ports, LAST_PORT - FIRST_PORT):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


class Process:
    """One process. Its output goes to ``log``.

    Start it from the main thread, because the kernel kills it when the thread that started it ends.
    """

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._log = log
        self._env = None if env is None else dict(env)
        self._popen: subprocess.Popen[bytes] | None = None
        self.state: State = "dead"

    def start(self) -> None:
        """Start it if it does not run."""
        if self._popen is not None:
            return
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                killed_with_parent(self._command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env
            )
        self.state = "running"

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        assert self._popen is not None, "the process does not run"
        return self._popen.pid

    def is_alive(self) -> bool:
        """Return whether it was started and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    def kill(self) -> None:
        """Send SIGKILL if it runs."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None
        self.state = "dead"

    def freeze(self) -> None:
        """Send SIGSTOP if it runs."""
        if self._popen is not None:
            self._popen.send_signal(signal.SIGSTOP)
            self.state = "frozen"

    def thaw(self) -> None:
        """Send SIGCONT if it runs."""
        if self._popen is not None:
            self._popen.send_signal(signal.SIGCONT)
            self.state = "running"


def killed_with_parent(command: Sequence[str]) -> list[str]:
    """Return the command, changed so that the kernel kills the process when its parent dies.

    This needs ``setpriv``. Without it, the command is unchanged.
    """
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "KILL"] if setpriv else []), *command]
