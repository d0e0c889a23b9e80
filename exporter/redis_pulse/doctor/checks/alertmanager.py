"""Is Alertmanager reachable, and where does it send our alerts? Reads only, except for the test alert."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from redis_pulse.config import ConfigError, parse_yaml
from redis_pulse.doctor.alert_routes import receivers_of, receivers_without_integration
from redis_pulse.doctor.findings import Findings
from redis_pulse.doctor.http import HttpClient, HttpProblem

#: The severities of our alerts.
ALERT_SEVERITIES = ("critical", "warning", "info")
TEST_LABELS = {"alertname": "RedisPulseTest", "severity": "none"}
#: Seconds after which the test alert ends.
_TEST_SECONDS = 60


async def examine_alertmanager(client: HttpClient, *, send_test_alert: bool) -> Findings:
    """Return where our alerts are sent. With ``send_test_alert``, send one that ends after a minute."""
    findings = Findings("Alertmanager", client.url, {"url": client.url})
    findings.check = "alertmanager"
    try:
        status = await client.get_json("/api/v2/status")
        config = parse_yaml(str(status["config"]["original"]), "alertmanager.yaml")
    except HttpProblem as error:
        findings.add("alertmanager.unreachable", problem=str(error))
    except (KeyError, TypeError, ConfigError):
        findings.add("alertmanager.unreachable", problem="the response is not that of Alertmanager")
    else:
        _report_routes(findings, config)
        if send_test_alert:
            await _send_test_alert(client, findings, config)
        findings.done.append("alertmanager")
    return findings


def _report_routes(findings: Findings, config: Mapping[str, Any]) -> None:
    silent = receivers_without_integration(config)
    for severity in ALERT_SEVERITIES:
        for receiver in receivers_of(config, {"alertname": "RedisTargetDown", "severity": severity}):
            key = "alertmanager.no_receiver" if receiver in silent else "alertmanager.routes"
            findings.add(key, severity_label=severity, receiver=receiver)


async def _send_test_alert(client: HttpClient, findings: Findings, config: Mapping[str, Any]) -> None:
    now = datetime.now(UTC)
    alert = {
        "labels": TEST_LABELS,
        "annotations": {"summary": "A test of redis-pulse doctor. Nothing is to be done."},
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(seconds=_TEST_SECONDS)).isoformat(),
    }
    try:
        await client.post_json("/api/v2/alerts", [alert])
    except HttpProblem as error:
        findings.add("alertmanager.test_refused", problem=str(error))
    else:
        receivers = receivers_of(config, TEST_LABELS) or ["no receiver"]
        findings.add("alertmanager.test_sent", receiver=", ".join(receivers))
