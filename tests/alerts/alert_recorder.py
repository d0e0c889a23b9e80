"""Looks at Prometheus twice a second, and remembers which alerts fired where, and when first."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from tests.alerts.expected import TWICE
from tests.alerts.faults_exporter import GONE
from tests.integration.alertmanager import Alertmanager
from tests.integration.prometheus import Prometheus

#: Where what fires is put, as a fault's ``expects`` names it: place → alert → monotonic time of its first sight.
Seen = dict[str, dict[str, float]]
#: (place, alert) → whether Alertmanager inhibited it when it was last seen there.
Heard = dict[tuple[str, str], bool]


class Annotated(NamedTuple):
    """An alert as somebody would read it."""

    name: str
    summary: str
    description: str


class Watcher:
    """``seen`` is what fired since the last ``begin``; ``firing`` what fires now."""

    def __init__(self, prometheus: Prometheus, instances: Mapping[str, str]) -> None:
        self._prometheus, self._instances = prometheus, instances
        self.seen: Seen = defaultdict(dict)
        self.texts: set[Annotated] = set()
        self.firing: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    def begin(self) -> Seen:
        """Forget what was seen, and return it."""
        with self._lock:
            seen, self.seen = self.seen, defaultdict(dict)
        return seen

    def where(self, labels: Mapping[str, str]) -> str:
        """Name the place that an alert speaks of: a target, a replication group, an exporter, a job."""
        if found := labels.get("target") or labels.get("replication_group"):
            return found
        return GONE if labels["job"] == GONE else self._instances[labels["instance"]]

    def _run(self) -> None:
        while not self._over.wait(0.5):
            found: dict[str, Any] = self._prometheus.ask("alerts")
            firing = [alert for alert in found["alerts"] if alert["state"] == "firing"]
            with self._lock:
                self.firing = {(self.where(alert["labels"]), named(alert["labels"])) for alert in firing}
                for place, name in self.firing:
                    self.seen[place].setdefault(name, time.monotonic())
                for alert in firing:
                    texts = alert["annotations"]
                    self.texts.add(Annotated(alert["labels"]["alertname"], texts["summary"], texts["description"]))


def named(labels: Mapping[str, str]) -> str:
    """Name an alert; one that comes with two severities, with its severity."""
    name = labels["alertname"]
    return f"{name}/{labels['severity']}" if name in TWICE else name


def told(alertmanager: Alertmanager, watcher: Watcher) -> Heard:
    """Return which alerts Alertmanager knows now, and which of them it inhibits."""
    return {
        (watcher.where(alert["labels"]), named(alert["labels"])): bool(alert["status"]["inhibitedBy"])
        for alert in alertmanager.alerts()
    }
