"""Queries Prometheus twice a second, and records which alerts fired where, and when first."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from tests.alerts.expected import TWO_SEVERITIES
from tests.alerts.faults_exporter import REMOVED_JOB
from tests.integration.alertmanager import Alertmanager
from tests.integration.prometheus import Prometheus

#: location → alert → monotonic time when it was first seen firing
FiredAlerts = dict[str, dict[str, float]]
#: (location, alert) → whether Alertmanager inhibited it when it was last seen
Inhibitions = dict[tuple[str, str], bool]


class AlertTexts(NamedTuple):
    """The texts of an alert with all values filled in."""

    name: str
    summary: str
    description: str


class AlertRecorder:
    """Records alerts. ``fired`` has all since the last ``take_fired``, ``firing`` those that fire now."""

    def __init__(self, prometheus: Prometheus, instances: Mapping[str, str]) -> None:
        self._prometheus, self._instances = prometheus, instances
        self.fired: FiredAlerts = defaultdict(dict)
        self.texts: set[AlertTexts] = set()
        self.firing: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(20)

    def take_fired(self) -> FiredAlerts:
        """Return the recorded alerts, and forget them."""
        with self._lock:
            fired, self.fired = self.fired, defaultdict(dict)
        return fired

    def location(self, labels: Mapping[str, str]) -> str:
        """Return the location of an alert: a target, a replication group, an exporter, or a job."""
        if location := labels.get("target") or labels.get("replication_group"):
            return location
        return REMOVED_JOB if labels["job"] == REMOVED_JOB else self._instances[labels["instance"]]

    def _run(self) -> None:
        while not self._stopped.wait(0.5):
            reply: dict[str, Any] = self._prometheus.get("alerts")
            firing = [alert for alert in reply["alerts"] if alert["state"] == "firing"]
            with self._lock:
                self.firing = {(self.location(alert["labels"]), alert_name(alert["labels"])) for alert in firing}
                for location, name in self.firing:
                    self.fired[location].setdefault(name, time.monotonic())
                for alert in firing:
                    texts = alert["annotations"]
                    self.texts.add(AlertTexts(alert["labels"]["alertname"], texts["summary"], texts["description"]))


def alert_name(labels: Mapping[str, str]) -> str:
    """Return the name of an alert, with its severity if the alert has two of them."""
    name = labels["alertname"]
    return f"{name}/{labels['severity']}" if name in TWO_SEVERITIES else name


def inhibitions(alertmanager: Alertmanager, recorder: AlertRecorder) -> Inhibitions:
    """Return every alert that Alertmanager knows now, and whether it inhibits the alert."""
    return {
        (recorder.location(alert["labels"]), alert_name(alert["labels"])): bool(alert["status"]["inhibitedBy"])
        for alert in alertmanager.alerts()
    }
