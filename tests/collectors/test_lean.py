"""The set ``lean``: which alerts and panels have their data with it, and how many samples a server has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grafana.latency_clients import FOREIGN
from grafana.promql import HISTOGRAMS
from redis_pulse import collectors
from redis_pulse.cli import main
from redis_pulse.config import PING_BUCKETS
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics, families, sample_names
from tests.metric_names import metrics_in_expression
from tests.test_alerts import ALERTS, without_recorded_series, without_strings
from tests.test_golden import GOLDEN

DASHBOARDS = Path(__file__).parents[2] / "grafana" / "dashboards"
#: Alerts about collectors that are off by default.
OPTIONAL_ALERTS = {"RedisKeyPatternFillsMemory", "RedisKeyTooLarge", "RedisKeysWithoutExpiry", "RedisSlotHot"}
#: Queries read this only where the server does not report ``redis_max_clients`` in INFO, before Redis 7.
FALLBACK = "redis_config_maxclients"
#: Metrics of ``lean`` that no recorded server has, and why.
NOT_RECORDED = {
    "redis_master_sync_left_bytes": "only while a full copy is being received",
    "redis_tls_ca_cert_expires_in_seconds": "Valkey 9.1 with TLS",
    "redis_tls_client_cert_expires_in_seconds": "Valkey 9.1 with TLS",
    "redis_tls_server_cert_expires_in_seconds": "Valkey 9.1 with TLS",
}
#: Panels without data, by dashboard. All panels of the other dashboards but Keyspace have data.
WITHOUT_DATA = {
    "redis-pulse-latency": {"The server's own mean, compared with the ping"},
    "redis-pulse-instance": {
        "Commands by name",
        "Mean time by command",
        "Share of the time spent, by command",
        "Slow log",
        "Latency events",
        "Slow commands",
        "Time in slow commands",
        "Clients of slow commands",
    },
}
MAX_SAMPLES = 600
#: Samples that are read from the connection, the breaker and the stalls when a page is rendered.
LIVE_SAMPLES = 20


def of_collectors(names: tuple[str, ...]) -> set[str]:
    """Return the names of all families of these collectors."""
    loaded = collectors.load()
    return {metric.full_name for name in names for metric in loaded[name].metrics}


def lines(page: Path, role: str) -> Iterator[str]:
    """Yield the lines of a recorded server with ``lean``."""
    lean = of_collectors(collectors.LEAN)
    for line in page.read_text(encoding="utf-8").splitlines():
        if f'target="{role}"' in line and re.sub(r"_(bucket|sum|count)$", "", line.partition("{")[0]) in lean:
            yield line


@pytest.fixture(scope="module")
def lean_names() -> set[str]:
    """Return the names of the samples on a page with ``lean``, of all recorded servers."""
    pages = sorted(GOLDEN.glob("*.prom"))
    roles = ("primary", "replica", "sentinel", "cluster")
    names = {line.partition("{")[0] for page in pages for role in roles for line in lines(page, role)}
    return names | sample_names() | {"up", families.SAMPLE_AGE.name}


def missing(expression: str, known: set[str]) -> set[str]:
    return metrics_in_expression(without_strings(without_recorded_series(expression))) - known


def test_all_alerts_of_availability_have_their_data(lean_names: set[str]) -> None:
    known = lean_names | NOT_RECORDED.keys()
    lacking = {rule["alert"] for rule in ALERTS if missing(rule["expr"], known)}
    assert lacking == OPTIONAL_ALERTS
    assert NOT_RECORDED.keys() <= of_collectors(collectors.LEAN) - lean_names


@pytest.mark.parametrize("name", ["overview", "slo", "resilience", "latency", "instance"])
def test_main_panels_have_their_data(name: str, lean_names: set[str]) -> None:
    board = json.loads((DASHBOARDS / f"redis-pulse-{name}.json").read_text(encoding="utf-8"))
    known = lean_names | FOREIGN | NOT_RECORDED.keys() | {FALLBACK}
    lacking: dict[str, Any] = {
        panel["title"]: found
        for row in board["panels"]
        for panel in (row, *row.get("panels", ()))
        for target in panel.get("targets", ())
        if (found := missing(target["expr"].replace(HISTOGRAMS, "seconds_bucket"), known))
    }
    assert lacking.keys() == WITHOUT_DATA.get(board["uid"], set()), lacking


def own_lines(names: tuple[str, ...]) -> int:
    """Return how many samples the exporter itself has of a target whose collectors all ran once, over TLS."""
    metrics = ExporterMetrics("x")
    target: TargetMetrics = metrics.add_target("t", ["ping", "connect"], buckets=PING_BUCKETS, address="a", labels={})
    for name in ("ping", "connect", *names):
        target.operation(name).succeeded(0.001)
    for name in names:
        target.record_collector(name, success=True, supported=True, denied=False, seconds=0.001)
    for phase in ("dns", "tcp", "tls", "auth"):
        target.histogram(families.PHASE, phase).observe(0.001)
    ages = len(names)
    return ages + sum(text.count(b"\n") for text in target.render().values())


@pytest.mark.parametrize("page", sorted(GOLDEN.glob("*.prom")), ids=lambda page: page.stem)
def test_server_has_at_most_600_samples(page: Path) -> None:
    """The recorded servers are not even idle."""
    names = ("info", "errorstats")
    assert sum(1 for _ in lines(page, "primary")) + own_lines(names) + LIVE_SAMPLES <= MAX_SAMPLES


@pytest.mark.parametrize("text", ["lean", "[lean]", "{lean: true}", "lean, slowlog", "{lean: true, errorstats: false}"])
def test_lean_has_a_name_in_the_configuration(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(f"collectors: {text}\ntargets: [{{name: it, url: a}}]\n")
    assert main(["check-config", "c.yaml"]) == 0
    assert main(["check-config", "--collectors", "lean", "--redis-url", "a"]) == 0
    monkeypatch.setenv("REDIS_PULSE_COLLECTORS", "lean")
    assert main(["check-config", "--redis-url", "a"]) == 0
    assert main(["check-config", "--collectors", "lean,slowlg", "--redis-url", "a"]) == 2
    assert "did you mean slowlog?" in capsys.readouterr().err
