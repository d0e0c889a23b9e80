"""The daemon as a process of its own, talked to by HTTP and signals only."""

import fcntl
import http.client
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from chaos.page import Page
from chaos.processes import dying_with_us, free_port

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
#: Seconds that the daemon may take to answer its first request.
PATIENCE = 30.0
#: Bytes that the pipe of the log holds: as few as the kernel allows, so that it is soon full when nobody reads.
PIPE = 4096
#: Seconds within which SIGTERM must end it.
STOP_WITHIN = 5.0

_TARGET = re.compile(r'\btarget=(?:"((?:[^"\\]|\\.)*)"|(\S+))')


class Line(NamedTuple):
    """A line of the log: when we read it, and of which target it is (empty: of none)."""

    at: float
    target: str
    text: str


def line_of(text: str, at: float) -> Line:
    """Read one logfmt line."""
    found = _TARGET.search(text)
    return Line(at, (found[1] or found[2] or "") if found else "", text)


class Usage(NamedTuple):
    """What the process holds."""

    descriptors: int
    threads: int
    megabytes: float
    #: asyncio tasks, where the page tells their number; 0 where it does not
    tasks: float = 0


class Daemon:
    """``python -m redis_pulse --config FILE``; its log is read by a thread, unless that is told to pause."""

    def __init__(self, checkout: Path, folder: Path, config: Path, clock: Path | None) -> None:
        self.port = free_port()
        self.lines: list[Line] = []
        self._checkout, self._folder, self._config, self._clock = checkout, folder, config, clock
        self._popen: subprocess.Popen[bytes] | None = None
        self._reads = threading.Event()
        self._reads.set()
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._popen is not None, "it does not run"
        return self._popen.pid

    def is_alive(self) -> bool:
        """Tell whether it has not ended."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start it, and return when it answers."""
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        env |= {"PYTHONPATH": str(self._checkout), "PYTHONUNBUFFERED": "1"}
        if self._clock is not None:
            env |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self._clock)}
            env |= {"FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        listen = f"127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "redis_pulse", "--config", str(self._config), "--listen", listen]
        self._popen = subprocess.Popen(
            dying_with_us(command),
            cwd=self._folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._popen.stderr is not None
        fcntl.fcntl(self._popen.stderr, fcntl.F_SETPIPE_SZ, PIPE)
        self._reader = threading.Thread(target=self._read, args=(self._popen.stderr.fileno(),), daemon=True)
        self._reader.start()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.is_alive():
            try:
                if self.get("/-/healthy", 2)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise RuntimeError(f"the daemon does not answer: {[line.text for line in self.lines[-5:]]}")

    def _read(self, pipe: int) -> None:
        rest = b""
        with (self._folder / "daemon.log").open("ab") as log:
            while True:
                self._reads.wait()
                data = os.read(pipe, 65536)
                if not data:
                    return
                log.write(data)
                log.flush()
                *whole, rest = (rest + data).split(b"\n")
                now = time.monotonic()
                self.lines += [line_of(text.decode(errors="replace"), now) for text in whole]

    def read_log(self, *, on: bool) -> None:
        """Read the log, or stop reading it: then the pipe fills."""
        if on:
            self._reads.set()
        else:
            self._reads.clear()

    def get(self, path: str, timeout: float) -> tuple[int, str]:
        """Ask once, on a connection of its own: status and text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def page(self, timeout: float = 5.0) -> Page:
        """Scrape. Raises OSError, HTTPException."""
        asked = time.monotonic()
        status, text = self.get("/metrics", timeout)
        if status != 200:
            raise OSError(f"/metrics answered {status}")
        return Page(text, asked, time.monotonic())

    def hang_up(self) -> None:
        """SIGHUP: read the configuration again."""
        if self.is_alive():
            os.kill(self.pid, signal.SIGHUP)

    def limit_descriptors(self, soft: int | None) -> int:
        """Set the soft limit of the running process (None: as high as it may be); return what it was."""
        was, hard = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (hard if soft is None else soft, hard))
        return was

    def usage(self) -> Usage:
        """Look into /proc."""
        process = Path(f"/proc/{self.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
        return Usage(
            descriptors=len(list((process / "fd").iterdir())),
            threads=int(status["Threads"]),
            megabytes=int(status["VmRSS"].split()[0]) / 1024,
        )

    def stop(self, patience: float) -> tuple[int | None, float]:
        """SIGTERM; return the exit code (None: it did not end, and was killed) and the seconds it took."""
        assert self._popen is not None
        began = time.monotonic()
        self._popen.terminate()
        try:
            code: int | None = self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            code = None
        took = time.monotonic() - began
        self.kill()
        return code, took

    def kill(self) -> None:
        """SIGKILL, and read the rest of the log."""
        if self._popen is None:
            return
        self._popen.kill()
        self._popen.wait()
        self._reads.set()
        if self._reader is not None:
            self._reader.join(10)
        if self._popen.stderr is not None:
            self._popen.stderr.close()
        self._popen = None
