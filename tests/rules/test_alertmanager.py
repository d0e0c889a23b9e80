"""The example of Alertmanager: alerts go where they should, and what follows from another one is inhibited."""

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
PLACE = {"job": "redis-pulse", "instance": "exporter:9121"}
CART, SESSIONS = PLACE | {"target": "cart"}, PLACE | {"target": "sessions"}


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    with Alertmanager(tmp_path_factory.mktemp("alertmanager") / "run") as running:
        yield running


def amtool(*arguments: str) -> str:
    command = [need("amtool", "prometheus-alertmanager"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alert(name: str, severity: str, place: dict[str, str], **more: str) -> dict[str, str]:
    assert (name, severity) in {(one.name, one.severity) for one in page.alerts(Settings())}, "no such alert"
    return {"alertname": name, "severity": severity, **place, **more}


def test_amtool_accepts_it() -> None:
    assert "SUCCESS" in amtool("check-config", str(EXAMPLE))


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "pager"), ("warning", "tickets"), ("info", "news")])
def test_an_alert_goes_to_whom_its_severity_says(severity: str, receiver: str) -> None:
    route = (
        "config",
        "routes",
        "test",
        f"--config.file={EXAMPLE}",
        "alertname=RedisTargetDown",
        f"severity={severity}",
    )
    assert amtool(*route).strip() == receiver


def test_every_alert_goes_somewhere() -> None:
    for one in page.alerts(Settings()):
        labels = f"alertname={one.name}", f"severity={one.severity}"
        assert amtool("config", "routes", "test", f"--config.file={EXAMPLE}", *labels).strip() in {
            "pager",
            "tickets",
            "news",
        }


def test_inhibition_names_alerts_that_there_are() -> None:
    """A pattern that matches nothing is a name that was changed since."""
    for rule in CONFIG["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, sign, pattern = partition(matcher)
            if label == "alertname":
                assert any(matches(sign.removeprefix("!"), pattern, name) for name in NAMES), matcher


def partition(matcher: str) -> tuple[str, str, str]:
    found = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher)
    assert found, matcher
    return found[1], found[2].replace("!", ""), found[3]


def matches(sign: str, pattern: str, name: str) -> bool:
    return bool(re.fullmatch(pattern, name)) if sign in ("=~", "~") else pattern == name


#: What fires, and which of it is told: the others follow from it.
SCENES = [
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
        id="a server is down, another one fails now and then",
    ),
    pytest.param(
        [
            alert("RedisAuthFailing", "critical", CART),
            alert("RedisTargetDown", "critical", CART),
            alert("RedisErrorBudgetBurnFast", "critical", CART),
        ],
        {("RedisAuthFailing", "cart")},
        id="a password was changed",
    ),
    pytest.param(
        [
            alert("RedisExporterDown", "critical", PLACE),
            alert("RedisErrorBudgetBurnSlow", "critical", CART),
            alert("RedisRestarted", "info", SESSIONS),
            alert("RedisTargetDown", "critical", CART | {"instance": "other:9121"}),
        ],
        {("RedisExporterDown", ""), ("RedisTargetDown", "cart")},
        id="an exporter is down, another one sees a server that is",
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
        id="a higher threshold of the same alert",
    ),
    pytest.param(
        [
            alert("RedisPersistenceFailing", "critical", CART, what="snapshot (RDB)"),
            alert("RedisErrorRepliesMISCONF", "critical", CART, err="MISCONF"),
            alert("RedisErrorRepliesMISCONF", "critical", SESSIONS, err="MISCONF"),
        ],
        {("RedisPersistenceFailing", "cart"), ("RedisErrorRepliesMISCONF", "sessions")},
        id="it cannot save, and refuses writes for it",
    ),
]


@pytest.mark.parametrize(("fires", "told"), SCENES)
def test_what_follows_from_another_alert_is_not_told(
    alertmanager: Alertmanager, request: pytest.FixtureRequest, fires: list[dict[str, str]], told: set[tuple[str, str]]
) -> None:
    """Each scene has a job of its own, so that they do not touch one another."""
    job = request.node.callspec.id.replace(" ", "-")
    alertmanager.tell(*(labels | {"job": job} for labels in fires))

    def heard() -> set[tuple[str, str]]:
        return {
            (one["labels"]["alertname"], one["labels"].get("target", ""))
            for one in alertmanager.alerts()
            if one["labels"]["job"] == job and not one["status"]["inhibitedBy"]
        }

    eventually(lambda: heard() == told, f"only {told} is told")
