"""The example configuration of Alertmanager: alerts have the right receiver, and consequences are inhibited."""

import re
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from grafana.rules import page
from grafana.rules.settings import Settings
from tests.integration.alertmanager import EXAMPLE, Alertmanager
from tests.integration.prometheus import eventually
from tests.integration.requirements import need

CONFIG = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
NAMES = {alert.name for alert in page.alerts(Settings())}
EXPORTER = {"job": "redis-pulse", "instance": "exporter:9121"}
CART, SESSIONS = EXPORTER | {"target": "cart"}, EXPORTER | {"target": "sessions"}


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    with Alertmanager(tmp_path_factory.mktemp("alertmanager") / "run") as running:
        yield running


def amtool(*arguments: str) -> str:
    command = [need("amtool", "prometheus-alertmanager"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def receiver_of(name: str, severity: str) -> str:
    labels = f"alertname={name}", f"severity={severity}"
    return amtool("config", "routes", "test", f"--config.file={EXAMPLE}", *labels).strip()


def alert(name: str, severity: str, source: dict[str, str], **labels: str) -> dict[str, str]:
    known = {(known_alert.name, known_alert.severity) for known_alert in page.alerts(Settings())}
    assert (name, severity) in known, f"unknown alert {name} with severity {severity}"
    return {"alertname": name, "severity": severity, **source, **labels}


def test_amtool_accepts_the_configuration() -> None:
    assert "SUCCESS" in amtool("check-config", str(EXAMPLE))


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "pager"), ("warning", "tickets"), ("info", "news")])
def test_severity_decides_the_receiver(severity: str, receiver: str) -> None:
    assert receiver_of("RedisTargetDown", severity) == receiver


def test_every_alert_has_a_receiver() -> None:
    for known_alert in page.alerts(Settings()):
        assert receiver_of(known_alert.name, known_alert.severity) in {"pager", "tickets", "news"}


def test_inhibition_rules_name_existing_alerts() -> None:
    """A pattern without a match is the old name of an alert that was renamed."""
    for rule in CONFIG["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, operator, pattern = parse_matcher(matcher)
            if label == "alertname":
                assert any(matches(operator, pattern, name) for name in NAMES), matcher


def parse_matcher(matcher: str) -> tuple[str, str, str]:
    """Return label, operator without negation, and pattern."""
    match = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher)
    assert match, matcher
    return match[1], match[2].replace("!", ""), match[3]


def matches(operator: str, pattern: str, name: str) -> bool:
    return bool(re.fullmatch(pattern, name)) if operator in ("=~", "~") else pattern == name


#: Alerts that fire, and those of them that Alertmanager sends. The others are consequences of these.
SCENARIOS = [
    pytest.param(
        [
            alert("RedisTargetDown", "critical", CART),
            alert("RedisProbeFailureRateHigh", "warning", CART),
            alert("RedisCircuitBreakerOpen", "warning", CART),
            alert("RedisErrorBudgetBurnFast", "critical", CART),
            alert("RedisLatencyBudgetBurnFast", "critical", CART),
            alert("RedisProbeFailureRateHigh", "warning", SESSIONS),
        ],
        {("RedisTargetDown", "cart"), ("RedisProbeFailureRateHigh", "sessions")},
        id="one server is down, another one fails sometimes",
    ),
    pytest.param(
        [
            alert("RedisAuthFailing", "critical", CART),
            alert("RedisTargetDown", "critical", CART),
            alert("RedisErrorBudgetBurnFast", "critical", CART),
        ],
        {("RedisAuthFailing", "cart")},
        id="a password has changed",
    ),
    pytest.param(
        [
            alert("RedisExporterDown", "critical", EXPORTER),
            alert("RedisErrorBudgetBurnSlow", "critical", CART),
            alert("RedisRestarted", "info", SESSIONS),
            alert("RedisTargetDown", "critical", CART | {"instance": "other:9121"}),
        ],
        {("RedisExporterDown", ""), ("RedisTargetDown", "cart")},
        id="an exporter is down, another one reports a server as down",
    ),
    pytest.param(
        [
            alert("RedisErrorBudgetBurnFast", "critical", CART),
            alert("RedisErrorBudgetBurnSlow", "critical", CART),
            alert("RedisErrorBudgetBurnTicket", "warning", CART),
            alert("RedisLatencyBudgetBurnFast", "critical", CART),
            alert("RedisLatencyBudgetBurnSlow", "critical", SESSIONS),
            alert("RedisLatencyBudgetBurnTicket", "warning", SESSIONS),
        ],
        {("RedisErrorBudgetBurnFast", "cart"), ("RedisLatencyBudgetBurnSlow", "sessions")},
        id="budgets burn",
    ),
    pytest.param(
        [
            alert("RedisMemoryNearMaxmemory", "critical", CART),
            alert("RedisMemoryNearMaxmemory", "warning", CART),
            alert("RedisMemoryNearMaxmemory", "warning", SESSIONS),
        ],
        {("RedisMemoryNearMaxmemory", "cart"), ("RedisMemoryNearMaxmemory", "sessions")},
        id="two thresholds of one alert",
    ),
    pytest.param(
        [
            alert("RedisPersistenceFailing", "critical", CART, what="snapshot (RDB)"),
            alert("RedisErrorRepliesMISCONF", "critical", CART, err="MISCONF"),
            alert("RedisErrorRepliesMISCONF", "critical", SESSIONS, err="MISCONF"),
        ],
        {("RedisPersistenceFailing", "cart"), ("RedisErrorRepliesMISCONF", "sessions")},
        id="a server cannot save, so it rejects writes",
    ),
]


@pytest.mark.parametrize(("fires", "expected"), SCENARIOS)
def test_consequences_of_another_alert_are_inhibited(
    alertmanager: Alertmanager,
    request: pytest.FixtureRequest,
    fires: list[dict[str, str]],
    expected: set[tuple[str, str]],
) -> None:
    """Each scenario has its own job, so that scenarios do not affect each other."""
    job = request.node.callspec.id.replace(" ", "-")
    alertmanager.fire(*(labels | {"job": job} for labels in fires))

    def sent() -> set[tuple[str, str]]:
        return {
            (one["labels"]["alertname"], one["labels"].get("target", ""))
            for one in alertmanager.alerts()
            if one["labels"]["job"] == job and not one["status"]["inhibitedBy"]
        }

    eventually(lambda: sent() == expected, f"only {expected} is sent")
