"""Faults of the exporter itself: each has one of its own, which watches a healthy server."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.alerts.environment import Stage, target
from tests.alerts.fault import Fault, nothing
from tests.integration.daemon import Daemon

#: What is scraped as a job of its own, by a file that Prometheus watches.
GONE = "redis-pulse-gone"


class Exporters:
    """The four that are broken, and how."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        server = stage.server("healthy", "valkey")
        names = ("killed", "starved", "refused", "gone")
        # The starved one has ten pings a second to be late with.
        self.daemons = {
            name: Daemon(
                folder / f"exporter-{name}",
                config=config(target(f"of-{name}", server, probe={"interval": interval, "timeout": "1s"})),
            )
            for name, interval in zip(names, ("500ms", "100ms", "500ms", "500ms"), strict=True)
        }
        self.file = folder / "gone.json"
        self.file.write_text(json.dumps([{"targets": [f"127.0.0.1:{self.daemons['gone'].port}"]}]))
        self.job = {
            "job_name": GONE,
            "file_sd_configs": [{"files": [str(self.file)], "refresh_interval": "1s"}],
        }
        self._fed = threading.Event()

    def faults(self) -> Iterator[Fault]:
        """Yield their faults."""
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
            heal=self._fed.set,
        )
        good = ""

        def spoil() -> None:
            nonlocal good
            good = refused.file.read_text()
            refused.file.write_text(good + "nonsense: true\n")
            refused.reload()

        def mend() -> None:
            refused.file.write_text(good)
            refused.reload()

        yield Fault(
            "configuration refused",
            [],
            inject=spoil,
            heal=mend,
        )
        yield Fault(
            "exporter gone from the configuration of Prometheus",
            [],
            inject=lambda: self.file.write_text("[]"),
            heal=nothing,
        )

    def _starve(self) -> None:
        """Let it run a tenth of the time."""
        pid = self.daemons["starved"].pid

        def hold() -> None:
            while not self._fed.wait(0.05):
                os.kill(pid, signal.SIGSTOP)
                self._fed.wait(0.45)
                os.kill(pid, signal.SIGCONT)

        threading.Thread(target=hold, daemon=True).start()


def config(*targets: object) -> dict[str, object]:
    """The configuration of an exporter of the matrix."""
    return {
        "probe": {"interval": "500ms", "timeout": "1s"},
        "poll": {"interval": "2s", "timeout": "2s", "max_age": "6s"},
        "breaker": {"failure_threshold": 5, "open_interval": "500ms", "open_interval_max": "2s"},
        "slo": {"latency": "100ms"},
        "targets": list(targets),
    }
