"""A test case for promtool: series, and exactly the alerts that fire at some times.

In ``Case("…", series, {"2m": "", "8m": "RedisTargetDown cart critical"})``, nothing fires after 2 minutes, and one
alert fires after 8 minutes. Series are abbreviated:

- ``redis_up`` has the target ``cart``, and ``redis_up sessions`` has the target ``sessions``.
- ``@up`` has no target.
- ``redis_role{role="master"}`` has more labels.

Values use the notation of promtool (``1x3 0x12``), with one value each 15 s.
"""

import re
from dataclasses import dataclass, field
from typing import Any

JOB = 'job="redis-pulse", instance="exporter:9121"'
_SHORT = re.compile(r"(@?)([a-z_][a-z0-9_:]*)(?:\{(.*)\})?(?: ([\w/.-]+))?")


@dataclass(frozen=True)
class Case:
    """Series over some minutes or hours. ``step`` is the time between two values."""

    name: str
    series: dict[str, str]
    fires: dict[str, str]
    step: str = field(default="15s")

    def alert_names(self) -> set[str]:
        """Return the names of the alerts that fire at any time of the case."""
        return {line.split()[0] for text in self.fires.values() for line in _split_alerts(text)}

    def to_promtool(self) -> dict[str, Any]:
        """Return the case as an entry of promtool's ``tests``."""
        return {
            "name": self.name,
            "interval": self.step,
            "input_series": [{"series": _series(short), "values": values} for short, values in self.series.items()],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname, target, severity) (ALERTS{alertstate="firing"})',
                    "eval_time": time,
                    "exp_samples": [{"labels": _alert_labels(line), "value": 1} for line in _split_alerts(text)],
                }
                for time, text in self.fires.items()
            ],
        }


def _split_alerts(text: str) -> list[str]:
    return [line.strip() for line in text.split(",") if line.strip()]


def _series(short: str) -> str:
    match = _SHORT.fullmatch(short)
    assert match, f"this is not a series: {short}"
    without_target, name, labels_text, target = match.groups()
    target_label = "" if without_target else f'target="{target or "cart"}"'
    labels = [text for text in (JOB, target_label, labels_text) if text]
    return f"{name}{{{', '.join(labels)}}}"


def _alert_labels(line: str) -> str:
    name, *target, severity = line.split()
    target_label = f', target="{target[0]}"' if target else ""
    return f'{{alertname="{name}", severity="{severity}"{target_label}}}'
