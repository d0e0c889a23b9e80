"""The daemon as a separate process. The tests use only its HTTP pages, its signals and its log."""

import fcntl
import http.client
import os
import re
import resource
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from chaos.page import Page
from chaos.processes import free_port, killed_with_parent

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
#: Seconds that the daemon may take to answer its first request.
START_TIMEOUT = 30.0
#: Capacity of the log's pipe in bytes. The kernel allows no less. So the pipe fills soon when the log is not read.
PIPE_BYTES = 4096
#: Seconds within which SIGTERM must end the process.
STOP_TIMEOUT = 5.0

_TARGET = re.compile(r'\btarget=(?:"((?:[^"\\]|\\.)*)"|(\S+))')


class LogLine(NamedTuple):
    """A line of the log, and the target it names (empty if none)."""

    target: str
    text: str


def parse_log_line(text: str) -> LogLine:
    """Parse one logfmt line."""
    match = _TARGET.search(text)
    return LogLine((match[1] or match[2] or "") if match else "", text)


class Usage(NamedTuple):
    """The resources that the process uses."""

    descriptors: int
    threads: int
    megabytes: float
    #: number of asyncio tasks from the page, or 0 if the page does not have it
    tasks: float = 0


class Daemon:
    """The process ``python -m redis_pulse --config FILE``, and a thread that reads its log.

    Without ``checkout`` the package must be installed for ``python``.
    """

    def __init__(
        self, checkout: Path | None, folder: Path, config: Path, clock: Path | None, *, python: str = sys.executable
    ) -> None:
        self.port = free_port()
        #: further environment variables, for the next start
        self.env: dict[str, str] = {}
        #: for pages with TLS, and for pages with a login
        self.tls: ssl.SSLContext | None = None
        self.headers: dict[str, str] = {}
        self._python = python
        self.lines: list[LogLine] = []
        self._checkout, self._folder, self._config, self._clock = checkout, folder, config, clock
        self._popen: subprocess.Popen[bytes] | None = None
        self._may_read = threading.Event()
        self._may_read.set()
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        assert self._popen is not None, "the daemon does not run"
        return self._popen.pid

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start the process, and return when it replies to requests."""
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        env |= {"PYTHONUNBUFFERED": "1"} | self.env
        if self._checkout is not None:
            env["PYTHONPATH"] = str(self._checkout / "exporter")
        if self._clock is not None:
            env |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self._clock)}
            env |= {"FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        listen = f"127.0.0.1:{self.port}"
        command = [self._python, "-m", "redis_pulse", "--config", str(self._config), "--listen", listen]
        self._popen = subprocess.Popen(
            killed_with_parent(command),
            cwd=self._folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._popen.stderr is not None
        fcntl.fcntl(self._popen.stderr, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._reader = threading.Thread(target=self._read, args=(self._popen.stderr.fileno(),), daemon=True)
        self._reader.start()
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.is_alive():
            try:
                if self.get("/-/healthy", 2)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise RuntimeError(f"the daemon does not reply: {[line.text for line in self.lines[-5:]]}")

    def _read(self, pipe: int) -> None:
        rest = b""
        with (self._folder / "daemon.log").open("ab") as log:
            while True:
                self._may_read.wait()
                data = os.read(pipe, 65536)
                if not data:
                    return
                log.write(data)
                log.flush()
                *whole, rest = (rest + data).split(b"\n")
                self.lines += [parse_log_line(text.decode(errors="replace")) for text in whole]

    def read_log(self, *, on: bool) -> None:
        """Start or stop reading the log. While it is not read, the pipe fills."""
        if on:
            self._may_read.set()
        else:
            self._may_read.clear()

    def get(self, path: str, timeout: float) -> tuple[int, str]:
        """Send one request on a new connection. Return status and text."""
        if self.tls is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.tls)
        try:
            connection.request("GET", path, headers=self.headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def page(self, timeout: float = 5.0) -> Page:
        """Scrape the page. Raises OSError, HTTPException."""
        requested_at = time.monotonic()
        status, text = self.get("/metrics", timeout)
        if status != 200:
            raise OSError(f"/metrics returned status {status}")
        return Page(text, requested_at, time.monotonic())

    def reload(self) -> None:
        """Send SIGHUP, so that the daemon reads its configuration again."""
        if self.is_alive():
            os.kill(self.pid, signal.SIGHUP)

    def limit_descriptors(self, soft: int) -> int:
        """Set the soft limit of the running process, and return the earlier one."""
        before, hard = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (soft, hard))
        return before

    def usage(self) -> Usage:
        """Return the current usage from /proc."""
        process = Path(f"/proc/{self.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
        return Usage(
            descriptors=len(list((process / "fd").iterdir())),
            threads=int(status["Threads"]),
            megabytes=int(status["VmRSS"].split()[0]) / 1024,
        )

    def stop(self, timeout: float) -> tuple[int | None, float]:
        """Send SIGTERM. Return the exit code and the elapsed seconds.

        The code is None if the process did not end in time. Then it is killed.
        """
        assert self._popen is not None
        began = time.monotonic()
        self._popen.terminate()
        try:
            code: int | None = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        seconds = time.monotonic() - began
        self.kill()
        return code, seconds

    def kill(self) -> None:
        """Send SIGKILL, and read the rest of the log."""
        if self._popen is None:
            return
        self._popen.kill()
        self._popen.wait()
        self._may_read.set()
        if self._reader is not None:
            self._reader.join(10)
        if self._popen.stderr is not None:
            self._popen.stderr.close()
        self._popen = None
