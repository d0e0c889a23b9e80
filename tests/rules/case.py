"""How a case is written: series as promtool takes them, and which alerts fire when, all of them and no other.

``Case("…", series, {"2m": "", "8m": "RedisTargetDown cart critical"})``: at 2 minutes nothing fires, at 8 this one.
A series is written short: ``redis_up`` is that of the target ``cart``, ``redis_up sessions`` that of another one,
``@up`` has no target, and ``redis_role{role="master"}`` has further labels. Values are promtool's (``1x3 0x12``),
one each 15 s.
"""

import re
from dataclasses import dataclass, field
from typing import Any

JOB = 'job="redis-pulse", instance="exporter:9121"'
_SHORT = re.compile(r"(@?)([a-z_]+)(?:\{(.*)\})?(?: ([\w/.-]+))?")


@dataclass(frozen=True)
class Case:
    """Some minutes in the life of some servers; ``step`` is the time between two values."""

    name: str
    series: dict[str, str]
    fires: dict[str, str]
    step: str = field(default="15s")

    def alerts(self) -> set[str]:
        """Return the names of the alerts that fire in it at some time."""
        return {line.split()[0] for text in self.fires.values() for line in _lines(text)}

    def test(self) -> dict[str, Any]:
        """Return it as an entry of promtool's ``tests``."""
        return {
            "name": self.name,
            "interval": self.step,
            "input_series": [{"series": _long(short), "values": values} for short, values in self.series.items()],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname, target, severity) (ALERTS{alertstate="firing"})',
                    "eval_time": time,
                    "exp_samples": [{"labels": _labels(line), "value": 1} for line in _lines(text)],
                }
                for time, text in self.fires.items()
            ],
        }


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split(",") if line.strip()]


def _long(short: str) -> str:
    found = _SHORT.fullmatch(short)
    assert found, f"not a series: {short}"
    plain, name, more, target = found.groups()
    labels = [JOB] + ([] if plain else [f'target="{target or "cart"}"']) + ([more] if more else [])
    return f"{name}{{{', '.join(labels)}}}"


def _labels(line: str) -> str:
    name, *target, severity = line.split()
    of = f', target="{target[0]}"' if target else ""
    return f'{{alertname="{name}", severity="{severity}"{of}}}'
