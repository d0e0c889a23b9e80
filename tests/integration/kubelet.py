"""A small kubelet: it starts one container, and probes it as its pod declares.

It obeys the initial delay, the period, the timeout and the failure threshold of each probe. A startup probe holds the
others back. ``Host`` has the address of the pod. Periods and delays can be shortened by a factor, so that an outage of
a minute needs six seconds. Timeouts are not shortened.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.integration.daemon import PATIENCE, ROOT
from tests.patience import started

HOST = "127.0.0.1"


@dataclass(frozen=True)
class PodProbe:
    """A probe of a pod, with the defaults of Kubernetes. Without ``path`` it only connects."""

    path: str = ""
    initial_delay: float = 0
    period: float = 10
    timeout: float = 1
    failures: int = 3

    def succeeds(self, port: int) -> bool:
        """Probe once."""
        if not self.path:
            with suppress(OSError), socket.create_connection((HOST, port), self.timeout):
                return True
            return False
        connection = http.client.HTTPConnection(HOST, port, timeout=self.timeout)
        try:
            connection.request("GET", self.path, headers={"User-Agent": "kube-probe/1.33", "Connection": "close"})
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Container:
    """The daemon as the command of a container. The words ``redis_exporter`` and ``/redis_exporter`` start it."""

    def __init__(self, folder: Path, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.folder = folder
        self._command = [str(folder / "redis_exporter") if word == "/redis_exporter" else word for word in command]
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        program = self.folder / "redis_exporter"  # the image has a link of this name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m redis_pulse "$@"\n')
        program.chmod(0o755)
        path = os.pathsep.join((str(self.folder), os.environ["PATH"]))
        python = os.pathsep.join((str(ROOT), str(ROOT / "exporter")))
        with (self.folder / "stderr.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env={"PATH": path, "PYTHONPATH": python, "PYTHONUNBUFFERED": "1", **self._env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.add(self._process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        started.discard(self._process.pid)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "stderr.log").read_text(errors="replace")

    @property
    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None


class Kubelet:
    """Probes a container in threads, and records what a real kubelet would do."""

    def __init__(
        self,
        port: int,
        *,
        startup: PodProbe | None = None,
        liveness: PodProbe | None = None,
        readiness: PodProbe | None = None,
        speed: float = 1,
    ) -> None:
        self._port = port
        self._speed = speed
        self._stopping = threading.Event()
        self._has_started = threading.Event()
        #: whether the pod is in its service
        self.is_ready = readiness is None
        #: monotonic time at which the pod became ready for the first time
        self.ready_at: float | None = time.monotonic() if readiness is None else None
        #: the number of restarts, and how often the pod left its service
        self.restarts = self.times_unready = 0
        if startup is None:
            self._has_started.set()
        probes = (("startup", startup), ("liveness", liveness), ("readiness", readiness))
        self._threads = [
            threading.Thread(target=self._run, args=(kind, probe), daemon=True)
            for kind, probe in probes
            if probe is not None
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, kind: str, probe: PodProbe) -> None:
        if kind != "startup":
            while not self._has_started.wait(0.05):
                if self._stopping.is_set():
                    return
        if kind == "liveness":  # the start is not shortened: a real kubelet gives it so long
            end_of_start = time.monotonic() + probe.initial_delay + probe.failures * probe.period
            while self.ready_at is None and time.monotonic() < end_of_start and not self._stopping.wait(0.05):
                pass
        else:
            self._stopping.wait(probe.initial_delay / self._speed)
        failed = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            failed = 0 if probe.succeeds(self._port) else failed + 1
            if kind == "startup" and not failed:
                self._has_started.set()
                return
            self._judge(kind, failed, probe)
            period = 0.2 if kind == "readiness" and self.ready_at is None else probe.period / self._speed
            self._stopping.wait(max(0.0, period - (time.monotonic() - began)))

    def _judge(self, kind: str, failed: int, probe: PodProbe) -> None:
        if kind == "readiness" and not failed:
            self.is_ready = True
            self.ready_at = self.ready_at or time.monotonic()
        elif failed == probe.failures and kind == "readiness" and self.is_ready:
            self.is_ready = False
            self.times_unready += 1
        elif failed == probe.failures and kind == "liveness":
            self.restarts += 1
