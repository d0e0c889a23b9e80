"""What a collector found on a target, as the lines of its rows."""

from collections.abc import Iterable

from exporter.lines import escape, number
from exporter.metric import Metric, Sample

_EDGES = {"histogram": "le", "summary": "quantile"}


def render(target: str, samples: Iterable[Sample]) -> dict[Metric, bytes]:
    """Render what a collector found on a target; of two samples of one series the later one stays."""
    lines: dict[Metric, str] = {}
    several: dict[Metric, dict[str, str]] = {}
    own = f'target="{escape(target)}"'
    row, texts, pairs = None, None, ""
    for metric, labels, value, suffix, edge in samples:
        if not labels and not suffix and not edge:  # nearly all of them
            lines[metric] = f"{metric.full_name}{{{own}}} {number(value)}\n"
            continue
        if labels is not texts or metric is not row:  # the buckets of one histogram have the same
            row, texts = metric, labels
            pairs = "".join([f',{key}="{escape(text)}"' for key, text in zip(metric.labels, labels, strict=True)])
        more = f',{_EDGES[metric.kind]}="{edge}"' if edge else ""
        series = several.setdefault(metric.parts.get(suffix, metric), {})
        series[f"{metric.full_name}{suffix}{{{own}{pairs}{more}}}"] = number(value)
    for metric, series in several.items():
        lines[metric] = "".join([f"{name} {value}\n" for name, value in series.items()])
    return {metric: text.encode() for metric, text in lines.items()}
