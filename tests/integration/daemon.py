"""The daemon as users run it: a separate process, which tests reach only by HTTP and signals."""

import contextlib
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from tests.integration.pages import (
    PROBE_INTERVAL,
    PROBE_TIMEOUT,
    Page,
    pending_pings,
    wrong_number_of_pings,
)
from tests.integration.servers import free_port
from tests.patience import Patience, Stopwatch, started

ROOT = Path(__file__).parents[2]

#: Short intervals, so a fault and the recovery from it take a second or two.
FAST: dict[str, Any] = {
    "probe": {"interval": PROBE_INTERVAL, "timeout": PROBE_TIMEOUT},
    "poll": {"interval": "1s", "timeout": "1s", "max_age": "3s"},
    "breaker": {"failure_threshold": 5, "open_interval": "500ms", "open_interval_max": "2s"},
}
#: Seconds that an expected event may take on a slow and busy machine.
PATIENCE = 15.0
#: Texts that show a bug of the exporter if they are in its log.
_NEVER_IN_THE_LOG = ("Traceback (most recent call last)", "was never retrieved", "was never awaited", "Warning: ")


class Daemon:
    """``python -m redis_pulse``. It gets its targets from ``config``, from arguments or from ``env``.

    ``config`` is merged into ``FAST`` and written as the YAML file of the daemon.
    ``env`` is its whole environment, apart from variables such as ``PATH``. ``module`` is run instead of
    ``redis_pulse``. ``file_limits`` are the soft and the hard limit of open files.

    With PINGS_APART=1 in the environment of the tests, every daemon has ``probe.process``.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        config: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        module: str = "redis_pulse",
        file_limits: tuple[int, int] | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.file = folder / "redis-pulse.yaml"
        self.log_file = folder / "stderr.log"
        self._module = module
        self._prlimit = ["prlimit", f"--nofile={file_limits[0]}:{file_limits[1]}"] if file_limits else []
        self._arguments = arguments
        self._config = dict(config or {})
        self._env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._watch = Stopwatch()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configure(self._config)
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._process is None:
            return
        if kind is not None:
            self.kill()
            return
        self.stop()

    def configure(self, config: Mapping[str, Any] | str) -> None:
        """Write the configuration file. A text is written unchanged."""
        if isinstance(config, str):
            self.file.write_text(config)
            return
        merged = {**FAST, **config}
        if "PINGS_APART" in os.environ:
            merged["probe"] = {"process": True, **merged["probe"]}
        self.file.write_text(yaml.safe_dump(merged))

    def start(self) -> None:
        """Start the process, and return when it responds to ``/-/healthy``."""
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        env |= {name: value for name, value in os.environ.items() if name.startswith(("COVERAGE_", "COV_"))}
        env |= {
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "exporter"))),
            "PYTHONUNBUFFERED": "1",
            **self._env,
        }
        listen = f"127.0.0.1:{self.port}"
        command = [sys.executable, "-m", self._module, "--config", str(self.file), "--listen", listen, *self._arguments]
        command = [*self._prlimit, *command]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        started.add(self._process.pid)
        patience = Patience(PATIENCE)
        while not patience.is_over and self._process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/-/healthy")[0] == 200:
                    return
            time.sleep(0.02)
        code = self._process.poll()
        self.kill()
        raise AssertionError(f"the daemon did not start (exit code {code}):\n{self.log}")

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything that it wrote to stderr and stdout so far."""
        return self.log_file.read_text(errors="replace")

    def get(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Send one request on a new connection. Return status, headers with lower-case names, and text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            body = response.read().decode()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, body
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        """Send one request, and return the JSON of the response, whatever its status."""
        return json.loads(self.get(path)[2])

    def page(self) -> Page:
        requested_at = time.monotonic()
        status, _, text = self.get("/metrics")
        received_at = time.monotonic()
        assert status == 200, f"/metrics has status {status}: {text[:500]}"
        return Page(text, requested_at, received_at, self._watch.delay)

    def median_of_scrapes(self) -> float:
        """Return the median of the seconds that a page takes now."""
        pages = [self.page() for _ in range(15)]
        return statistics.median(page.received_at - page.requested_at for page in pages)

    def wait_for(self, condition: Callable[[Page], object], seconds: float = PATIENCE) -> Page:
        """Scrape until ``condition(page)`` is true, and return that page. Fail with the log if it never is."""
        patience = Patience(seconds)
        while True:
            page = self.page()
            if condition(page):
                return page
            if patience.is_over:
                lines = [line for line in page.text.splitlines() if line.startswith(("redis_up", "redis_operation"))]
                shown = "\n".join(line for line in lines if "bucket" not in line and not line.endswith(" 0.0"))
                raise AssertionError(f"did not happen within {seconds} s\n{shown}\n--- log\n{self.log[-4000:]}")
            time.sleep(0.05)

    def wait_until_up(self, target: str | None = None) -> Page:
        """Wait for a working target with a closed breaker."""
        return self.wait_for(lambda page: page.up(target) == 1 and page.breaker(target) == "closed")

    def assert_every_ping_counted(self, first: Page, target: str | None = None) -> Page:
        """Assert that since that page every scheduled ping was counted once and has exactly one outcome.

        There are 10 pings a second, and each gets its reply or is rejected at once. So a page without pending pings
        comes soon. A ping without an outcome, or with two, would show on every later page.
        """
        patience = Patience(PATIENCE)
        while True:
            last = self.wait_for(lambda page: pending_pings(page, target) == 0)
            if not (problem := wrong_number_of_pings(first, last, target)):
                return last
            assert not patience.is_over, problem  # a late daemon counts its pings late

    def reload(self) -> None:
        """Send SIGHUP."""
        os.kill(self.pid, signal.SIGHUP)

    def stop(self, within: float = 5.0) -> float:
        """Send SIGTERM, and assert a timely exit with code 0 and a clean log. Return the seconds that it took.

        Seconds in which the machine kept the processes from running do not count.
        """
        assert self._process is not None, "it does not run"
        watch = Stopwatch()
        self._process.terminate()
        while (code := self._process.poll()) is None and watch.seconds < within + 2:
            time.sleep(0.02)
        took = watch.seconds
        if code is None:
            self.kill()
            raise AssertionError(f"still there {within + 2} s after SIGTERM:\n{self.log[-4000:]}")
        started.discard(self._process.pid)
        self._process = None
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.log[-4000:]}"
        assert took < within, f"stopping took {took:.1f} s"
        self.assert_clean_log()
        return took

    def assert_clean_log(self) -> None:
        """Assert that the log has no traceback, no forgotten task and no warning of Python."""
        for text in _NEVER_IN_THE_LOG:
            assert text not in self.log, f"{text!r} in the log:\n{self.log[-4000:]}"

    def kill(self) -> None:
        """Send SIGKILL. Do nothing if it does not run."""
        if self._process is not None:
            started.discard(self._process.pid)
            self._process.kill()
            self._process.wait()
            self._process = None
