"""The whole matrix in one run: all servers, all exporters, one Prometheus, one Alertmanager; all faults at once.

Each fault has servers of its own, so that what fires for one of them is of its own making.
"""

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grafana.rules import files
from tests.alerts import faults_inside, faults_reach, faults_replication
from tests.alerts.alert_recorder import Annotated, Heard, Seen, Watcher, told
from tests.alerts.environment import Stage
from tests.alerts.expected import EXPECTED
from tests.alerts.fault import SETTINGS, Fault
from tests.alerts.faults_exporter import Exporters, config
from tests.integration.alertmanager import Alertmanager
from tests.integration.daemon import Daemon
from tests.integration.prometheus import Prometheus, eventually

#: Seconds: how long it is healthy before; the least and the most that faults last; and how long until all is over.
HEALTHY, LEAST, MOST, OVER = 24, 45, 100, 240


@dataclass
class Outcome:
    """What one run has shown; times are seconds since the fault was injected."""

    faults: set[str]
    healthy: Seen
    fired: dict[str, dict[str, float]]
    heard: Heard
    after: Seen
    resolved: float | None
    left: set[tuple[str, str]]
    texts: set[Annotated]
    injected: dict[str, float] = field(default_factory=dict)

    def of(self, fault: str) -> dict[str, dict[str, float]]:
        """What fired in the places of one fault: place → alert → seconds."""
        began = self.injected[fault]
        return {
            place: {name: at - began for name, at in self.fired.get(place, {}).items()}
            for place in EXPECTED[fault].fires
        }

    def told(self, place: str) -> set[str]:
        """What Alertmanager did not inhibit, in the end, of what fired in a place."""
        return {name for (where, name), inhibited in self.heard.items() if where == place and not inhibited}

    def strays(self) -> dict[str, dict[str, float]]:
        """What fired in places that belong to no fault."""
        known = {place for row in EXPECTED.values() for place in row.fires}
        return {place: alerts for place, alerts in self.fired.items() if place not in known}


def run(folder: Path) -> Outcome:
    """Build everything, wait until it is healthy, break it, mend it."""
    with ExitStack() as stack:
        stack.enter_context(preferred())
        stage = stack.enter_context(Stage(folder))
        faults = [fault for room in (faults_reach, faults_inside, faults_replication) for fault in room.faults(stage)]
        exporters = Exporters(stage, folder)
        watched: dict[str, list[Any]] = defaultdict(list)
        for fault in faults:
            watched[fault.exporter] += fault.targets
        faults += exporters.faults()
        daemons = {name: Daemon(folder / name, config=config(*targets)) for name, targets in watched.items()}
        daemons |= {f"exporter-{name}": daemon for name, daemon in exporters.daemons.items()}
        for daemon in daemons.values():
            daemon.__enter__()
            stack.callback(daemon.kill)
        for name, text in files.rendered(SETTINGS).items():
            if name.endswith(".yaml"):
                (folder / name).write_text(text, encoding="utf-8")
        alertmanager = stack.enter_context(Alertmanager(folder / "alertmanager"))
        ports = [daemon.port for name, daemon in daemons.items() if name != "exporter-gone"]
        rules = folder / "recording.yaml", folder / "alerts.yaml"
        for daemon in daemons.values():
            eventually(lambda daemon=daemon: _all_up(daemon), "every target is up", 60)  # type: ignore[misc]
        prometheus = stack.enter_context(
            Prometheus(
                folder / "prometheus", ports, *rules, alertmanager=alertmanager.port, jobs=[exporters.job], every="2s"
            )
        )
        instances = {f"127.0.0.1:{daemon.port}": name for name, daemon in daemons.items()}
        watcher = stack.enter_context(Watcher(prometheus, instances))
        return _play(faults, watcher, alertmanager)


@contextlib.contextmanager
def preferred() -> Iterator[None]:
    """Let what is started here go first, where we may: an exporter that is starved alerts for it."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, before - 5)
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


def _all_up(daemon: Daemon) -> bool:
    found = daemon.page().matching("redis_up")
    return bool(found) and all(found.values())


def _play(faults: list[Fault], watcher: Watcher, alertmanager: Alertmanager) -> Outcome:
    time.sleep(HEALTHY)
    healthy = watcher.begin()
    injected = {}
    for fault in faults:
        injected[fault.name] = time.monotonic()
        fault.inject()
    began = time.monotonic()
    expected = {(place, name) for row in EXPECTED.values() for place, names in row.fires.items() for name in names}
    heard: Heard = {}
    while time.monotonic() < began + MOST:
        time.sleep(1)
        heard |= told(alertmanager, watcher)
        seen = {(place, name) for place, names in list(watcher.seen.items()) for name in list(names)}
        if time.monotonic() > began + LEAST and expected <= seen:
            break
    heard |= told(alertmanager, watcher)
    fired = watcher.begin()
    for fault in faults:
        fault.heal()
    healed = time.monotonic()
    resolved = None
    while time.monotonic() < healed + OVER:
        time.sleep(1)
        if not watcher.firing:
            resolved = time.monotonic() - healed
            break
    return Outcome(
        {fault.name for fault in faults},
        healthy,
        fired,
        heard,
        watcher.begin(),
        resolved,
        set(watcher.firing),
        watcher.texts,
        injected,
    )
