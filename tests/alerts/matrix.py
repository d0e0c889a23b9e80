"""Runs the whole matrix once: all servers, all exporters, one Prometheus, one Alertmanager, all faults together.

Each fault has its own servers, so every alert and every stall of them comes from that fault.
"""

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from grafana.rules import files
from tests.alerts import faults_inside, faults_keys, faults_reach, faults_replication
from tests.alerts.alert_recorder import AlertRecorder, AlertTexts, FiredAlerts, Inhibitions, inhibitions
from tests.alerts.environment import Environment
from tests.alerts.expected import EXPECTED
from tests.alerts.fault import SETTINGS, Fault
from tests.alerts.faults_exporter import Exporters, config
from tests.integration.alertmanager import Alertmanager
from tests.integration.daemon import Daemon
from tests.integration.prometheus import Prometheus, eventually

#: Seconds without any fault, before they are injected.
HEALTHY_SECONDS = 24
#: The shortest and the longest time for which the faults last, in seconds.
MIN_FAULT_SECONDS, MAX_FAULT_SECONDS = 45, 100
#: Seconds within which all alerts must end after the faults are healed.
RESOLVE_TIMEOUT = 240
#: Seconds of a stall that is reported where none is expected. A busy machine delays servers for less.
MIN_UNEXPECTED_STALL = 1.0


class Stall(NamedTuple):
    """A stall that ``/stalls`` shows: of a target, or of an exporter itself. ``started`` is monotonic time."""

    location: str
    started: float
    seconds: float
    cause: str


@dataclass
class MatrixResult:
    """The alerts of one run."""

    faults: set[str]
    fired_before: FiredAlerts
    fired: FiredAlerts
    inhibitions: Inhibitions
    fired_after_healing: FiredAlerts
    #: seconds from healing until no alert fired, or None if one still fired at the end
    resolved_after: float | None
    still_firing: set[tuple[str, str]]
    texts: set[AlertTexts]
    #: fault → monotonic time of its injection
    injected: dict[str, float] = field(default_factory=dict)
    #: monotonic time of the end of the faults
    healed: float = 0.0
    stalls: list[Stall] = field(default_factory=list)

    def fired_by(self, fault: str) -> FiredAlerts:
        """Return the alerts in the locations of a fault: location → alert → seconds since the injection."""
        injected = self.injected[fault]
        return {
            location: {name: at - injected for name, at in self.fired.get(location, {}).items()}
            for location in EXPECTED[fault].fires
        }

    def notified(self, location: str) -> set[str]:
        """Return the alerts of a location that Alertmanager did not inhibit at the end of the faults."""
        return {name for (where, name), inhibited in self.inhibitions.items() if where == location and not inhibited}

    def causes(self, fault: str) -> dict[str, str]:
        """Return the cause that explains most of the time in stalls, for each location of a fault that stalled."""
        causes = {}
        for location in EXPECTED[fault].fires:
            stalls = [
                stall
                for stall in self.stalls
                if stall.location == location and self.injected[fault] - 1 < stall.started < self.healed
            ]
            longest = max((stall.seconds for stall in stalls), default=0.0)
            if stalls and (location in EXPECTED[fault].causes or longest >= MIN_UNEXPECTED_STALL):
                seconds = defaultdict[str, float](float)
                for stall in stalls:
                    seconds[stall.cause] += stall.seconds
                causes[location] = max(seconds, key=seconds.__getitem__)
        return causes

    def fired_elsewhere(self) -> FiredAlerts:
        """Return the alerts in locations that belong to no fault."""
        known = {location for row in EXPECTED.values() for location in row.fires}
        return {location: alerts for location, alerts in self.fired.items() if location not in known}


def run(folder: Path) -> MatrixResult:
    """Start everything, wait until it is healthy, inject all faults, and heal them."""
    with ExitStack() as stack:
        stack.enter_context(raised_priority())
        environment = stack.enter_context(Environment(folder))
        modules = (faults_reach, faults_inside, faults_keys, faults_replication)
        faults = [fault for module in modules for fault in module.faults(environment)]
        exporters = Exporters(environment, folder)
        targets_by_exporter: dict[str, list[Any]] = defaultdict(list)
        for fault in faults:
            targets_by_exporter[fault.exporter] += fault.targets
        faults += exporters.faults()
        daemons = {
            name: Daemon(folder / name, config=config(*targets)) for name, targets in targets_by_exporter.items()
        }
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
            eventually(lambda daemon=daemon: _all_targets_up(daemon), "every target is up", 60)  # type: ignore[misc]
        prometheus = stack.enter_context(
            Prometheus(
                folder / "prometheus", ports, *rules, alertmanager=alertmanager.port, jobs=[exporters.job], every="2s"
            )
        )
        instances = {f"127.0.0.1:{daemon.port}": name for name, daemon in daemons.items()}
        recorder = stack.enter_context(AlertRecorder(prometheus, instances))
        return _inject_and_heal(faults, recorder, alertmanager, daemons)


@contextlib.contextmanager
def raised_priority() -> Iterator[None]:
    """Raise the priority of all processes that are started here, if this is permitted.

    Without CPU time, an exporter raises alerts about itself.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, before - 5)
    try:
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


def _all_targets_up(daemon: Daemon) -> bool:
    values = daemon.page().matching("redis_up")
    return bool(values) and all(values.values())


def _stalls(daemons: Mapping[str, Daemon]) -> dict[tuple[str, int, str], Stall]:
    """Return the stalls that have a cause, by exporter, number and start."""
    stalls = {}
    to_monotonic = time.monotonic() - time.time()
    for exporter, daemon in daemons.items():
        for record in daemon.json("/stalls"):
            if record["cause"] is not None:
                started = datetime.fromisoformat(record["started"]).timestamp() + to_monotonic
                stalls[exporter, record["id"], record["started"]] = Stall(
                    record["target"] or exporter, started, record["seconds"], record["cause"]
                )
    return stalls


def _inject_and_heal(
    faults: list[Fault], recorder: AlertRecorder, alertmanager: Alertmanager, daemons: Mapping[str, Daemon]
) -> MatrixResult:
    time.sleep(HEALTHY_SECONDS)
    fired_before = recorder.take_fired()
    injected = {}
    for fault in faults:
        injected[fault.name] = time.monotonic()
        fault.inject()
    began = time.monotonic()
    expected = {
        (location, name) for row in EXPECTED.values() for location, names in row.fires.items() for name in names
    }
    inhibited: Inhibitions = {}
    while time.monotonic() < began + MAX_FAULT_SECONDS:
        time.sleep(1)
        inhibited |= inhibitions(alertmanager, recorder)
        fired = {(location, name) for location, names in list(recorder.fired.items()) for name in list(names)}
        if time.monotonic() > began + MIN_FAULT_SECONDS and expected <= fired:
            break
    inhibited |= inhibitions(alertmanager, recorder)
    fired_during_faults = recorder.take_fired()
    for fault in faults:
        fault.heal()
    healed = time.monotonic()
    # An exporter keeps its newest 20 stalls of a location. Later ones displace those of the faults on a busy machine.
    stalls = _stalls(daemons)
    resolved_after = None
    while time.monotonic() < healed + RESOLVE_TIMEOUT:
        time.sleep(1)
        if not recorder.firing:
            resolved_after = time.monotonic() - healed
            break
    return MatrixResult(
        faults={fault.name for fault in faults},
        fired_before=fired_before,
        fired=fired_during_faults,
        inhibitions=inhibited,
        fired_after_healing=recorder.take_fired(),
        resolved_after=resolved_after,
        still_firing=set(recorder.firing),
        texts=recorder.texts,
        injected=injected,
        healed=healed,
        stalls=list((_stalls(daemons) | stalls).values()),
    )
