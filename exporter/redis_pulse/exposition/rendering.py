"""Render samples as lines, write the headers above them in both formats, and list the names that are taken."""

from collections.abc import Iterable, Iterator

from redis_pulse.collectors import Collector
from redis_pulse.metric import MetricSpec, Sample
from redis_pulse.telemetry import sample_names
from redis_pulse.text_format import escape_label_value, family_header, format_number

#: HELP and TYPE of a family in the OpenMetrics format (True) and in the text format (False).
Headers = dict[bool, bytes]


def family_headers(name: str, kind: str, text: str) -> Headers:
    """Return HELP and TYPE of a family in both formats."""
    return {openmetrics: family_header(name, kind, text, openmetrics=openmetrics) for openmetrics in (False, True)}


def with_headers(specs: Iterable[MetricSpec]) -> Iterator[tuple[MetricSpec, Headers]]:
    """Yield the metric specs in the order of the page, each with its headers.

    OpenMetrics allows quantiles from 0 to 1 only. So a summary with quantiles in percent is no summary there.
    It becomes three families of unknown type, with the same names and the same series.
    """
    for spec in specs:
        headers = family_headers(spec.full_name, spec.kind, spec.help)
        if spec.openmetrics_parts:
            headers[True] = family_header(spec.full_name, "unknown", spec.help, openmetrics=True)
        yield spec, headers
        for suffix, part in spec.openmetrics_parts.items():
            header = family_header(spec.full_name + suffix, "unknown", spec.help, openmetrics=True)
            yield part, {False: b"", True: header}


#: The label of a distribution that holds the upper bound of a bucket, or the quantile.
_EDGE_LABELS = {"histogram": "le", "summary": "quantile"}


def render(target: str, samples: Iterable[Sample]) -> dict[MetricSpec, bytes]:
    """Return the lines of each metric of a target. Of two samples of one series the later one is kept."""
    lines: dict[MetricSpec, str] = {}
    labelled: dict[MetricSpec, dict[str, str]] = {}
    target_label = f'target="{escape_label_value(target)}"'
    last_metric, last_labels, label_text = None, None, ""
    for metric, labels, value, suffix, edge in samples:
        if not labels and not suffix and not edge:  # nearly all samples
            lines[metric] = f"{metric.full_name}{{{target_label}}} {format_number(value)}\n"
            continue
        if labels is not last_labels or metric is not last_metric:  # the buckets of one histogram share both
            last_metric, last_labels = metric, labels
            label_text = "".join(
                [f',{key}="{escape_label_value(text)}"' for key, text in zip(metric.labels, labels, strict=True)]
            )
        edge_label = f',{_EDGE_LABELS[metric.kind]}="{edge}"' if edge else ""
        series = labelled.setdefault(metric.openmetrics_parts.get(suffix, metric), {})
        series[f"{metric.full_name}{suffix}{{{target_label}{label_text}{edge_label}}}"] = format_number(value)
    for metric, series in labelled.items():
        lines[metric] = "".join([f"{name} {value}\n" for name, value in series.items()])
    return {metric: text.encode() for metric, text in lines.items()}


def reserved_names(collectors: Iterable[Collector]) -> set[str]:
    """Return the names of all families and series. A metric that an operator defines must have another name."""
    names = sample_names()
    for collector in collectors:
        for spec in collector.metrics:
            names |= {spec.full_name + suffix for suffix in ("", "_sum", "_count", "_bucket")}
    return names
