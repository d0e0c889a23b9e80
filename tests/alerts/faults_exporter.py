"""Faults of the exporter itself. Each has its own exporter, which watches a healthy server."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.alerts.environment import Environment, target
from tests.alerts.fault import Fault, nothing
from tests.integration.daemon import Daemon

#: A separate job for an exporter. Prometheus reads the exporter's address from a file, so a fault can remove it.
REMOVED_JOB = "redis-pulse-gone"


class Exporters:
    """The five exporters, and their faults."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        server = environment.server("healthy", "valkey")
        names = ("killed", "starved", "refused", "gone")
        # The starved exporter has ten pings a second, so that many of them are late.
        self.daemons = {
            name: Daemon(
                folder / f"exporter-{name}",
                config=config(target(f"of-{name}", server, probe={"interval": interval, "timeout": "1s"})),
            )
            for name, interval in zip(names, ("500ms", "100ms", "500ms", "500ms"), strict=True)
        }
        self.web_config = folder / "web.yml"
        self._write_web_config()
        self.daemons["insecure"] = Daemon(
            folder / "exporter-insecure",
            config={**config(target("of-insecure", server)), "web": {"config_file": str(self.web_config)}},
        )
        self.file = folder / "gone.json"
        self.file.write_text(json.dumps([{"targets": [f"127.0.0.1:{self.daemons['gone'].port}"]}]))
        self.job = {
            "job_name": REMOVED_JOB,
            "file_sd_configs": [{"files": [str(self.file)], "refresh_interval": "1s"}],
        }
        self._resumed = threading.Event()

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of the exporters."""
        killed, refused = self.daemons["killed"], self.daemons["refused"]
        yield Fault(
            "exporter killed",
            [],
            inject=killed.kill,
            heal=killed.start,
        )
        yield Fault(
            "exporter starved of CPU",
            [],
            inject=self._starve,
            heal=self._resumed.set,
        )
        valid = ""

        def break_configuration() -> None:
            nonlocal valid
            valid = refused.file.read_text()
            refused.file.write_text(valid + "nonsense: true\n")
            refused.reload()

        def restore_configuration() -> None:
            refused.file.write_text(valid)
            refused.reload()

        yield Fault(
            "configuration rejected",
            [],
            inject=break_configuration,
            heal=restore_configuration,
        )
        yield Fault(
            "web configuration file is broken",
            [],
            inject=lambda: self._write_web_config("nonsense: true\n"),
            heal=self._write_web_config,
        )
        yield Fault(
            "exporter removed from the configuration of Prometheus",
            [],
            inject=lambda: self.file.write_text("[]"),
            heal=nothing,
        )

    def _write_web_config(self, more: str = "") -> None:
        self.web_config.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n" + more)

    def _starve(self) -> None:
        """Let the exporter run a tenth of the time."""
        pid = self.daemons["starved"].pid

        def stop_repeatedly() -> None:
            while not self._resumed.wait(0.05):
                os.kill(pid, signal.SIGSTOP)
                self._resumed.wait(0.45)
                os.kill(pid, signal.SIGCONT)

        threading.Thread(target=stop_repeatedly, daemon=True).start()


def config(*targets: object) -> dict[str, object]:
    """Return the configuration of an exporter for the matrix."""
    return {
        "probe": {"interval": "500ms", "timeout": "1s"},
        "poll": {"interval": "2s", "timeout": "2s", "max_age": "6s"},
        "breaker": {"failure_threshold": 5, "open_interval": "500ms", "open_interval_max": "2s"},
        "slo": {"latency": "100ms"},
        # A busy machine delays a server for less.
        "stalls": {"enabled": True, "threshold": "140ms"},
        "targets": list(targets),
    }
