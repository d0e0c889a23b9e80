"""The list of files: rules for Prometheus, and the same rules as a jsonnet mixin."""

from grafana.rules import page
from grafana.rules.settings import Settings

_SOURCE = "Written by `make docs` from grafana/rules/. `python -m grafana.rules` writes it with other settings."
RECORDING = f"Recording rules of redis-pulse, named level:metric:operations. {_SOURCE}"
ALERTS = f"Alerts of redis-pulse, with runbooks in docs/runbooks/. They need the rules of recording.yaml. {_SOURCE}"


def rendered(settings: Settings) -> dict[str, str]:
    """Return the text of every file, by its name within ``deploy/prometheus/``."""
    recording, alerting = page.recording(settings), page.alerting(settings)
    return {
        "recording.yaml": page.yaml(recording, settings, RECORDING),
        "alerts.yaml": page.yaml(alerting, settings, ALERTS),
        "mixin/rules.libsonnet": page.libsonnet(recording, settings),
        "mixin/alerts.libsonnet": page.libsonnet(alerting, settings),
    }
