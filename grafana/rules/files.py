"""The list of files: rules for Prometheus, and the same rules for the jsonnet mixin."""

from dataclasses import replace

from grafana.rules import page
from grafana.rules.settings import Settings

_SOURCE = "Written by `make docs` from grafana/rules/. `python -m grafana.rules` writes it with other settings."
RECORDING = f"Recording rules of redis-pulse, named level:metric:operations. {_SOURCE}"
ALERTS = f"Alerts of redis-pulse, with runbooks in docs/runbooks/. They need the rules of recording.yaml. {_SOURCE}"
#: What the settings of the mixin replace: ``mixin/mixin.libsonnet`` has the same names.
JOB, RUNBOOKS, GROUP_LABEL = "REDIS_PULSE_JOB", "REDIS_PULSE_RUNBOOKS", "REDIS_PULSE_GROUP_LABEL"


def rendered(settings: Settings) -> dict[str, str]:
    """Return the text of every file, by its name: those of Prometheus, and those in ``mixin/``."""
    recording, alerting = page.recording(settings), page.alerting(settings)
    mixin = replace(settings, job=JOB, runbooks=RUNBOOKS, group_label=GROUP_LABEL)
    return {
        "recording.yaml": page.yaml(recording, settings, RECORDING),
        "alerts.yaml": page.yaml(alerting, settings, ALERTS),
        "mixin/rules.json": page.json_text(page.recording(mixin), mixin),
        "mixin/alerts.json": page.json_text(page.alerting(mixin), mixin),
    }
