"""What stands above the lines of a row, in either format.

What a collector found on a target, as the lines of its rows.

The names that a page may have already.
"""

from collections.abc import Iterable, Iterator

from redis_pulse.collectors import Collector
from redis_pulse.metric import MetricSpec, Sample
from redis_pulse.telemetry import sample_names
from redis_pulse.text_format import escape_label_value, family_header, format_number

#: By whether the page is OpenMetrics.
Headers = dict[bool, bytes]


def family_headers(name: str, kind: str, text: str) -> Headers:
    """Return HELP and TYPE of a family."""
    return {openmetrics: family_header(name, kind, text, openmetrics=openmetrics) for openmetrics in (False, True)}


def with_headers(rows: Iterable[MetricSpec]) -> Iterator[tuple[MetricSpec, Headers]]:
    """Yield the rows in the order of the page, each with what stands above its lines.

    A quantile of OpenMetrics is from 0 to 1. A summary in percent is no summary there but three families of unknown
    type, which have the same names and the same series.
    """
    for row in rows:
        of_row = family_headers(row.full_name, row.kind, row.help)
        if row.openmetrics_parts:
            of_row[True] = family_header(row.full_name, "unknown", row.help, openmetrics=True)
        yield row, of_row
        for suffix, part in row.openmetrics_parts.items():
            yield part, {False: b"", True: family_header(row.full_name + suffix, "unknown", row.help, openmetrics=True)}


_EDGES = {"histogram": "le", "summary": "quantile"}


def render(target: str, samples: Iterable[Sample]) -> dict[MetricSpec, bytes]:
    """Render what a collector found on a target; of two samples of one series the later one stays."""
    lines: dict[MetricSpec, str] = {}
    several: dict[MetricSpec, dict[str, str]] = {}
    own = f'target="{escape_label_value(target)}"'
    row, texts, pairs = None, None, ""
    for metric, labels, value, suffix, edge in samples:
        if not labels and not suffix and not edge:  # nearly all of them
            lines[metric] = f"{metric.full_name}{{{own}}} {format_number(value)}\n"
            continue
        if labels is not texts or metric is not row:  # the buckets of one histogram have the same
            row, texts = metric, labels
            pairs = "".join(
                [f',{key}="{escape_label_value(text)}"' for key, text in zip(metric.labels, labels, strict=True)]
            )
        more = f',{_EDGES[metric.kind]}="{edge}"' if edge else ""
        series = several.setdefault(metric.openmetrics_parts.get(suffix, metric), {})
        series[f"{metric.full_name}{suffix}{{{own}{pairs}{more}}}"] = format_number(value)
    for metric, series in several.items():
        lines[metric] = "".join([f"{name} {value}\n" for name, value in series.items()])
    return {metric: text.encode() for metric, text in lines.items()}


def reserved_names(collectors: Iterable[Collector]) -> set[str]:
    """Return every name of a family or of its series; a metric that an operator names must have another one."""
    names = sample_names()
    for collector in collectors:
        for row in collector.metrics:
            names |= {row.full_name + suffix for suffix in ("", "_sum", "_count", "_bucket")}
    return names
