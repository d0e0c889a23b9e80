"""Start a program, measure its CPU and memory, and stop it. Linux only."""

import re
import resource
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import load

START_TIMEOUT = 60.0  # seconds until a program must serve, by default; a busy machine needs most of it


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process since its start, user and system, all threads."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock id that clock_getcpuclockid(3) computes


def allow_many_files() -> None:
    """Raise the limit of open files to its maximum, for this process and its children."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Program:
    """A program that serves ``/metrics``, as a context manager. ``{port}`` in ``command`` is replaced by its port.

    With ``idle``, no pages are requested during the start: it has started when it accepts connections.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        env: dict[str, str],
        log: Path,
        start_timeout: float = START_TIMEOUT,
        *,
        idle: bool = False,
    ) -> None:
        self.name = name
        self.port = free_port()
        self.command = [part.format(port=self.port) for part in command]
        self._env = env
        self._log = log
        self._start_timeout = start_timeout
        self._idle = idle
        self.start_seconds = 0.0

    def __enter__(self) -> Self:
        """Start, and return when a page has a value of the server. ``start_seconds`` is the time that this took."""
        begin = time.perf_counter()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while time.perf_counter() < begin + self._start_timeout and self._process.poll() is None:
            if self._has_started():
                self.start_seconds = time.perf_counter() - begin
                return self
            time.sleep(0.002)
        self.__exit__()
        raise SystemExit(f"{' '.join(self.command)}\ndoes not serve:\n{self._log.read_text()[-2000:]}")

    def _has_started(self) -> bool:
        try:
            if self._idle:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return True
            page = load.fetch(self.port, headers="")
        except OSError:
            return False
        return re.search(rb"^redis_connected_clients.* \d", page, re.MULTILINE) is not None

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def cpu(self) -> float:
        """Return the CPU seconds since the start, user and system, all threads.

        The CPU clock of the process is more precise than the 10 ms ticks in /proc.
        """
        return cpu_of(self._process.pid)

    def rss(self) -> float:
        """Return the resident memory in MB (10^6 bytes)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert match is not None
        return int(match[1]) * 1024 / 1e6
