"""A real Alertmanager in its own process. Tests send and read alerts through its HTTP API."""

import contextlib
import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.integration.daemon import PATIENCE, ROOT
from tests.integration.prometheus import eventually
from tests.integration.requirements import need
from tests.integration.servers import free_port
from tests.patience import started

EXAMPLE = ROOT / "deploy" / "alertmanager" / "alertmanager.yaml"


class Alertmanager:
    """One Alertmanager without a cluster, with the example configuration or another one."""

    def __init__(self, folder: Path, config: Path = EXAMPLE) -> None:
        self.folder = folder
        self._config = config
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._program = need("prometheus-alertmanager", "prometheus-alertmanager")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        command = [
            self._program,
            f"--config.file={self._config}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        with (self.folder / "stderr.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            started.add(self._process.pid)
        eventually(self._is_ready, "Alertmanager is ready")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            started.discard(self._process.pid)
            self._process.kill()
            self._process.wait()
            self._process = None

    def fire(self, *alerts: dict[str, str]) -> None:
        """Report that alerts with these labels fire."""
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/api/v2/alerts", body, headers), timeout=PATIENCE
        ) as response:
            assert response.status == 200

    def alerts(self) -> list[dict[str, Any]]:
        """Return every alert, including inhibited ones."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=PATIENCE) as response:
            alerts: list[dict[str, Any]] = json.load(response)
        return alerts

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "stderr.log").read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as response:
            return bool(response.status == 200)
        return False
