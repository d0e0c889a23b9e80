"""A real Prometheus as a child process, queried through its HTTP API."""

import contextlib
import json
import math
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from tests.integration.daemon import PATIENCE
from tests.integration.requirements import need
from tests.integration.servers import free_port
from tests.patience import Patience, started

Series = dict[str, Any]
Result = TypeVar("Result")


def eventually(poll: Callable[[], Result], description: str, seconds: float = PATIENCE) -> Result:
    """Call ``poll`` until its result is true, and return the result. Fail if it never is."""
    patience = Patience(seconds)
    while not (result := poll()):
        assert not patience.is_over, f"did not happen within {seconds} s: {description}"
        time.sleep(0.1)
    return result


class Prometheus:
    """Scrapes exporters each second as the job ``redis-pulse``, and evaluates ``rules`` at the interval ``every``.

    It sends alerts to the Alertmanager at the port ``alertmanager``. ``jobs`` are further scrape configurations.
    ``features`` are names for ``--enable-feature``. ``history`` is text in the OpenMetrics format with
    timestamps: samples that Prometheus has from before its start.
    """

    def __init__(
        self,
        folder: Path,
        exporter_port: int | Sequence[int],
        *rules: Path,
        alertmanager: int | None = None,
        jobs: Sequence[dict[str, Any]] = (),
        every: str = "1s",
        features: Sequence[str] = (),
        history: str = "",
    ) -> None:
        ports = [exporter_port] if isinstance(exporter_port, int) else exporter_port
        static = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._program = need("prometheus", "prometheus")
        self._features = features
        self._history = history
        self._process: subprocess.Popen[bytes] | None = None
        self._config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": every},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                *([{"job_name": "redis-pulse", "static_configs": static}] if ports else []),
                *jobs,
            ],
        }
        if alertmanager is not None:
            receiver = {"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}
            self._config["alerting"] = {"alertmanagers": [receiver]}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        config = self.folder / "prometheus.yaml"
        config.write_text(yaml.safe_dump(self._config))
        if self._history:
            self._import_history()
        command = [
            self._program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
            *(f"--enable-feature={feature}" for feature in self._features),
        ]
        with (self.folder / "stderr.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            started.add(self._process.pid)
        eventually(self._is_ready, "Prometheus is ready")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            started.discard(self._process.pid)
            self._process.kill()
            self._process.wait()
            self._process = None

    def get(self, path: str, **parameters: str) -> Any:
        """Return ``data`` of the response. Fail with its text if it is not a success."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=PATIENCE) as response:
                body = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None
        assert body["status"] == "success", body
        assert not body.get("warnings"), body["warnings"]
        return body["data"]

    def query(self, expression: str) -> list[Series]:
        """Evaluate an expression now, and return its series, without those that are NaN."""
        result = self.get("query", query=expression)["result"]
        return [series for series in result if not math.isnan(float(series["value"][1]))]

    def _import_history(self) -> None:
        file = self.folder / "history.txt"
        file.write_text(self._history)
        importer = [need("promtool", "prometheus"), "tsdb", "create-blocks-from", "openmetrics", str(file)]
        subprocess.run([*importer, str(self.folder / "data")], check=True, capture_output=True)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "stderr.log").read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as response:
            return bool(response.status == 200)
        return False
