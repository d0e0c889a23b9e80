"""Which files there are: the rules of Prometheus, and the same rules as a jsonnet mixin."""

from grafana.rules import page
from grafana.rules.settings import Settings

_MADE = "Written by `python -m grafana.rules`, with other settings too; to change it: grafana/rules/, then `make docs`."
RECORDING = f"What redis-pulse records, as level:metric:operations. {_MADE}"
ALERTS = f"What redis-pulse alerts on; what to do is in docs/runbooks/. Needs recording.yaml beside it. {_MADE}"


def rendered(settings: Settings) -> dict[str, str]:
    """Return the text of every file, by its name within ``deploy/prometheus/``."""
    recording, alerting = page.recording(settings), page.alerting(settings)
    return {
        "recording.yaml": page.yaml(recording, settings, RECORDING),
        "alerts.yaml": page.yaml(alerting, settings, ALERTS),
        "mixin/rules.libsonnet": page.libsonnet(recording, settings),
        "mixin/alerts.libsonnet": page.libsonnet(alerting, settings),
    }
