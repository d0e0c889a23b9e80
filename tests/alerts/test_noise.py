"""A server that is stopped for a minute causes at most one notification. Rules and Alertmanager are those we ship.

All windows, waits and outages are 20 times as short: a minute is three seconds.
Prometheus gets a history of three days before, also shortened, in which no ping failed. The webhook of each receiver
is the test. The message that a problem is over is not counted: a receiver decides whether it is sent.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

import pytest
import yaml

from grafana.rules import files
from grafana.rules.settings import Settings, duration, seconds
from tests.alerts.environment import Environment, target
from tests.alerts.matrix import raised_priority
from tests.integration.alertmanager import EXAMPLE, Alertmanager
from tests.integration.daemon import Daemon
from tests.integration.prometheus import Prometheus, eventually

pytestmark = pytest.mark.alerts

SCALE = 1 / 20
#: One ping takes the place of five, because a busy machine skips pings that come too fast. The edge is high, because it
#: makes pings late.
PINGS_PER_SECOND = 4.0
SETTINGS = Settings(
    scale=SCALE,
    scrape_interval="1s",
    poll_interval="1s",
    edge=0.1,
    latency_objective=0.96,
    late=0.5,
    least_failures=3,
)
#: Why the tests skip, and what helps.
BUSY = "the machine is too busy: run `make alerts` alone"
#: For so many minutes after the outage, notifications are counted. The slowest alert waits for an hour.
WATCHED_MINUTES = 70


#: Failed pings of an outage of 125 s, as long as none is meant to be. After 130 s, 0.6 % of six hours have failed, and
#: RedisErrorBudgetBurnSlow reports it too. A busy machine starts a server late, and the breaker waits a second more.
MOST_FAILURES = 125 * SCALE * PINGS_PER_SECOND


class Outage(NamedTuple):
    """``seconds`` without an answer, before they are shortened. A frozen process keeps its connections."""

    seconds: float
    is_frozen: bool = False


OUTAGES = {
    "untouched": Outage(0),
    "restarted-30": Outage(30),
    "stopped-60": Outage(60),
    "stopped-75": Outage(75),
    "stopped-90": Outage(90),
    "frozen-30": Outage(30, is_frozen=True),
    "frozen-60": Outage(60, is_frozen=True),
    "frozen-90": Outage(90, is_frozen=True),
}


class Webhook:
    """Receives the messages of Alertmanager."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        messages = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def notifications(self) -> dict[str, set[tuple[str, str, str]]]:
        """Return for each target what was sent: receiver, alert, and when the alert began.

        A message repeats the alerts of its group that still fire. Such a repetition is not counted, because it is the
        notification of another target.
        """
        sent: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
        for message in self.messages:
            for alert in message["alerts"]:
                if alert["status"] == "firing":
                    labels = alert["labels"]
                    sent[labels.get("target", "")].add((message["receiver"], labels["alertname"], alert["startsAt"]))
        return dict(sent)


def shortened(webhook: str) -> dict[str, Any]:
    """Return the example of Alertmanager with shorter times, and with a webhook in each receiver."""
    config: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    for route in (config["route"], *config["route"]["routes"]):
        for name in ("group_wait", "group_interval", "repeat_interval"):
            if name in route:
                route[name] = duration(seconds(route[name]) * SCALE)
    for receiver in config["receivers"]:
        assert set(receiver) == {"name"}
        receiver["webhook_configs"] = [{"url": webhook, "send_resolved": True}]
    return config


def history(targets: list[str], instance: str) -> str:
    """Return counters of pings without a failure, and the recorded series from which the long windows are computed."""
    now = time.time()
    long, short = seconds("3d") * SCALE, seconds("6h") * SCALE
    kinds = {
        "redis_operations": ('_total{operation="ping",', "counter", short, 5.0, PINGS_PER_SECOND),
        "redis_operation_failures": ('_total{operation="ping",reason="refused",', "counter", short, 5.0, 0.0),
        "redis_operation_duration_seconds": (
            '_bucket{operation="ping",le="0.1",',
            "unknown",
            short,
            5.0,
            PINGS_PER_SECOND,
        ),
    }
    recorded = {"slots": PINGS_PER_SECOND, "failures": 0.0, "slow": 0.0}
    lines = []
    for name, (labels, kind, span, step, rate) in kinds.items():
        lines.append(f"# TYPE {name}{'_bucket' if kind == 'unknown' else ''} {kind}")
        for one in targets:
            series = f'{name}{labels}job="redis-pulse",instance="{instance}",target="{one}"}}'
            lines += [f"{series} {rate * at} {now - span + at:.3f}" for at in _steps(span, step)]
    for part, value in recorded.items():
        for window in ("5m", "30m"):
            name = f"target:redis_ping_{part}:rate{window}"
            lines.append(f"# TYPE {name} gauge")
            for one in targets:
                series = f'{name}{{job="redis-pulse",instance="{instance}",target="{one}"}}'
                lines += [f"{series} {value} {now - long + at:.3f}" for at in _steps(long, 30.0)]
    return "\n".join([*lines, "# EOF\n"])


def _steps(span: float, step: float) -> list[float]:
    return [number * step for number in range(int(span / step))]


def firing(prometheus: Prometheus) -> list[Any]:
    return [alert for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]


def skipped_pings(daemon: Daemon) -> float:
    """Return the number of pings that the exporter was too late to send to the server without an outage."""
    labels = {"operation": "ping", "reason": "skipped", "target": "untouched"}
    return daemon.page().value("redis_operation_failures_total", **labels) or 0.0


def failed_pings(daemon: Daemon) -> dict[str, float]:
    """Return the number of pings without an answer, by target."""
    page = daemon.page()
    return {
        name: sum(page.matching("redis_operation_failures_total", operation="ping", target=name).values())
        for name in OUTAGES
    }


def wait_for_silence(prometheus: Prometheus) -> None:
    """Wait until no alert fires. The start of all processes makes pings late, and messages about that do not count."""
    deadline = time.monotonic() + 120
    while alerts := firing(prometheus):
        if time.monotonic() > deadline:
            names = sorted({alert["labels"]["alertname"] for alert in alerts})
            pytest.skip(f"{BUSY}: these alerts fire before the outage: {names}")
        time.sleep(1)


@pytest.fixture(scope="module")
def notifications(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, set[tuple[str, str, str]]]]:
    folder = tmp_path_factory.mktemp("noise")
    with ExitStack() as stack:
        stack.enter_context(raised_priority())
        environment = stack.enter_context(Environment(folder))
        servers = {name: environment.server(name, "valkey") for name in OUTAGES}
        probe = {"interval": duration(1 / PINGS_PER_SECOND), "timeout": "500ms"}
        targets = [target(name, server, probe=probe) for name, server in servers.items()]
        daemon = stack.enter_context(Daemon(folder / "daemon", config={"targets": targets, "probe": probe}))
        for name, text in files.rendered(SETTINGS).items():
            if name.endswith(".yaml"):
                (folder / name).write_text(text, encoding="utf-8")
        webhook = stack.enter_context(Webhook())
        config = folder / "alertmanager.yaml"
        config.write_text(yaml.safe_dump(shortened(webhook.url)))
        alertmanager = stack.enter_context(Alertmanager(folder / "alertmanager", config))
        eventually(lambda: all(daemon.page().matching("redis_up").values()), "every target is up", 60)
        prometheus = Prometheus(
            folder / "prometheus",
            daemon.port,
            folder / "recording.yaml",
            folder / "alerts.yaml",
            alertmanager=alertmanager.port,
            history=history(list(OUTAGES), f"127.0.0.1:{daemon.port}"),
        )
        stack.enter_context(prometheus)
        time.sleep(seconds("10m") * SCALE)
        wait_for_silence(prometheus)
        time.sleep(2 * seconds("5m") * SCALE)
        webhook.messages.clear()
        skipped, failed = skipped_pings(daemon), failed_pings(daemon)
        began = time.monotonic()
        for name, outage in OUTAGES.items():
            if outage.seconds:
                servers[name].freeze() if outage.is_frozen else servers[name].kill()
        for name, outage in sorted(OUTAGES.items(), key=lambda item: item[1].seconds):
            if outage.seconds:
                time.sleep(max(0.0, began + outage.seconds * SCALE - time.monotonic()))
                servers[name].thaw() if outage.is_frozen else servers[name].start()
        time.sleep(WATCHED_MINUTES * 60 * SCALE)
        if (late := skipped_pings(daemon) - skipped) > 3:
            pytest.skip(f"{BUSY}: the exporter sent {late:g} pings to a healthy server too late")
        longest = max(after - failed[name] for name, after in failed_pings(daemon).items())
        if longest > MOST_FAILURES:
            pytest.skip(f"{BUSY}: an outage lasted for {longest / PINGS_PER_SECOND / SCALE:.0f} s")
        yield webhook.notifications()


@pytest.mark.parametrize("name", OUTAGES)
def test_short_outage_causes_at_most_one_notification(
    notifications: Mapping[str, set[tuple[str, str, str]]], name: str
) -> None:
    assert len(notifications.get(name, ())) <= 1, notifications[name]


@pytest.mark.parametrize("name", [name for name, outage in OUTAGES.items() if outage.seconds >= 60])
def test_outage_of_a_minute_is_not_silent(notifications: Mapping[str, set[tuple[str, str, str]]], name: str) -> None:
    assert {receiver for receiver, _, _ in notifications.get(name, ())} == {"pager"}


def test_nothing_else_is_reported(notifications: Mapping[str, set[tuple[str, str, str]]]) -> None:
    assert set(notifications) <= set(OUTAGES) - {"untouched"}
