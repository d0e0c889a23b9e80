"""The daemon as a separate process, and its records as ``/stalls`` shows them."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stalls_bench.processes import ROOT, end, free_port, may_raise, start

_START_TIMEOUT = 30.0


class Daemon:
    """``python -m redis_pulse`` with stalls on, one ping a second, and defaults for all else."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        self._folder = folder
        self._port = free_port()
        self._probes = folder / "probes.csv"
        self._lock = threading.Lock()
        self._read = 0
        self._due: dict[str, float] = {}
        config = {
            "stalls": {"enabled": True},
            "targets": [{"name": name, "url": url} for name, url in targets.items()],
        }
        self._config = folder / "redis-pulse.yaml"
        self._config.write_text(json.dumps(config))  # JSON is YAML
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it answers."""
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        env["PYTHONPATH"] = str(ROOT / "exporter")
        words = ["--config", str(self._config), "--listen", f"127.0.0.1:{self._port}", "--probe-log", str(self._probes)]
        self._process = start(
            [sys.executable, "-m", "redis_pulse", *words],
            self._folder / "daemon.log",
            env=env,
            cwd=self._folder,
            priority="real time" if may_raise() else "",
        )
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.records()
                return
            time.sleep(0.05)
        raise RuntimeError(f"the daemon did not start: {self.log[-2000:]}")

    @property
    def log(self) -> str:
        """Return what it wrote."""
        return (self._folder / "daemon.log").read_text(errors="replace")

    def records(self, target: str | None = None, limit: int = 500) -> list[dict[str, Any]]:
        """Return the records of a target, or of all and of the daemon itself, newest first. Raises OSError."""
        where = f"&target={quote(target)}" if target else ""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", f"/stalls?limit={limit}{where}")
            records: list[dict[str, Any]] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return records

    def next_ping(self, target: str) -> float | None:
        """Return when the next ping of a target is due, in Unix time, or None if none was logged yet."""
        with self._lock, contextlib.suppress(OSError), self._probes.open() as file:
            file.seek(self._read)
            lines = file.read().split("\n")
            self._read += sum(len(line) + 1 for line in lines[:-1])
            for line in lines[:-1]:
                cells = line.split(",")
                if len(cells) > 2 and cells[2].isdigit():
                    self._due[cells[0]] = int(cells[2]) / 1e9
        if target not in self._due:
            return None
        now, due = time.time(), self._due[target]
        return due + max(0, int(now - due) + 1)

    def stop(self) -> None:
        """End it."""
        end(self._process)
