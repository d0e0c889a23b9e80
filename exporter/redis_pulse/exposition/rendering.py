"""What stands above the lines of a row, in either format.

What a collector found on a target, as the lines of its rows.

The names that a page may have already.
"""

from collections.abc import Iterable, Iterator

from redis_pulse.collectors import Collector
from redis_pulse.metric import Metric, Sample
from redis_pulse.telemetry import sample_names
from redis_pulse.text_format import escape, header, number

#: By whether the page is OpenMetrics.
Headers = dict[bool, bytes]


def headers_of(name: str, kind: str, text: str) -> Headers:
    """Return HELP and TYPE of a family."""
    return {openmetrics: header(name, kind, text, openmetrics=openmetrics) for openmetrics in (False, True)}


def headed(rows: Iterable[Metric]) -> Iterator[tuple[Metric, Headers]]:
    """Yield the rows in the order of the page, each with what stands above its lines.

    A quantile of OpenMetrics is from 0 to 1. A summary in percent is no summary there but three families of unknown
    type, which have the same names and the same series.
    """
    for row in rows:
        of_row = headers_of(row.full_name, row.kind, row.help)
        if row.parts:
            of_row[True] = header(row.full_name, "unknown", row.help, openmetrics=True)
        yield row, of_row
        for suffix, part in row.parts.items():
            yield part, {False: b"", True: header(row.full_name + suffix, "unknown", row.help, openmetrics=True)}


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


def taken(collectors: Iterable[Collector]) -> set[str]:
    """Return every name of a family or of its series; a metric that an operator names must have another one."""
    names = sample_names()
    for collector in collectors:
        for row in collector.metrics:
            names |= {row.full_name + suffix for suffix in ("", "_sum", "_count", "_bucket")}
    return names
