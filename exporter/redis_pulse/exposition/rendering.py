"""Render samples as lines, write the headers above them in both formats, and list the names that are taken."""

import re
from collections.abc import Generator, Iterable, Iterator
from functools import lru_cache

from redis_pulse.collectors import Collector
from redis_pulse.metric import MetricSpec, Sample, WrittenLines
from redis_pulse.slices import ITEMS_PER_SLICE
from redis_pulse.telemetry import sample_names
from redis_pulse.text_format import escape_label_value, family_header, format_number, max_value_bytes

#: HELP and TYPE of a family in the OpenMetrics format (True) and in the text format (False).
Headers = dict[bool, bytes]


def family_headers(name: str, kind: str, text: str) -> Headers:
    """Return HELP and TYPE of a family in both formats."""
    return {openmetrics: family_header(name, kind, text, openmetrics=openmetrics) for openmetrics in (False, True)}


def with_headers(specs: Iterable[MetricSpec]) -> Iterator[tuple[MetricSpec, Headers]]:
    """Yield the metric specs in the order of the page, each with its headers.

    OpenMetrics allows quantiles from 0 to 1 only. So a summary with quantiles in percent is no summary there.
    It becomes three families of unknown type, with the same names and the same series.

    The text format has no gauge histograms. There it is a family of gauges, which has the name of its buckets.
    """
    for spec in specs:
        headers = family_headers(spec.full_name, spec.kind, spec.help)
        if spec.kind == "gaugehistogram":
            headers[False] = family_header(f"{spec.full_name}_bucket", "gauge", spec.help, openmetrics=False)
        if spec.openmetrics_parts:
            headers[True] = family_header(spec.full_name, "unknown", spec.help, openmetrics=True)
        yield spec, headers
        for suffix, part in spec.openmetrics_parts.items():
            header = family_header(spec.full_name + suffix, "unknown", spec.help, openmetrics=True)
            yield part, {False: b"", True: header}


#: Label values that need no cleaning, and are short enough to be kept.
_USUAL = re.compile(r"[A-Za-z0-9_|.:-]{0,30}", re.ASCII)
#: The label of a distribution that holds the upper bound of a bucket, or the quantile.
_EDGE_LABELS = {"histogram": "le", "gaugehistogram": "le", "summary": "quantile"}


def render(target: str, samples: Iterable[Sample | WrittenLines]) -> dict[MetricSpec, bytes]:
    """Return the lines of each metric of a target. Of two samples of one series the later one is kept."""
    steps = render_steps(target, samples)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            lines: dict[MetricSpec, bytes] = end.value
            return lines


def render_steps(
    target: str, samples: Iterable[Sample | WrittenLines]
) -> Generator[None, None, dict[MetricSpec, bytes]]:
    """Do what ``render`` does, and yield after each slice, so that the caller can let other tasks run.

    2000 samples with long labels take 15 ms.
    """
    lines: dict[MetricSpec, str] = {}
    labelled: dict[MetricSpec, dict[str, str]] = {}
    target_label = f'target="{escape_label_value(target)}"'
    last_metric, last_labels, label_text = None, None, ""
    for number, sample in enumerate(samples, start=1):
        if number % ITEMS_PER_SLICE == 0:
            yield
        if isinstance(sample, WrittenLines):
            lines.update(sample.texts)
            continue
        metric, labels, value, suffix, edge = sample
        if not labels and not suffix and not edge:  # nearly all samples
            lines[metric] = f"{metric.full_name}{{{target_label}}} {format_number(value)}\n"
            continue
        if labels is not last_labels or metric is not last_metric:  # the buckets of one histogram share both
            last_metric, last_labels = metric, labels
            known = _usual_labels(metric.labels, labels)
            label_text = _labels(metric.labels, labels) if known is None else known
        edge_label = f',{_EDGE_LABELS[metric.kind]}="{edge}"' if edge else ""
        series = labelled.setdefault(metric.openmetrics_parts.get(suffix, metric), {})
        series[f"{metric.full_name}{suffix}{{{target_label}{label_text}{edge_label}}}"] = format_number(value)
    for metric, series in labelled.items():
        lines[metric] = "".join([f"{name} {value}\n" for name, value in series.items()])
    return {metric: text.encode() for metric, text in lines.items()}


@lru_cache(maxsize=4096)
def _usual_labels(names: tuple[str, ...], values: tuple[str, ...]) -> str | None:
    """Return labels that need no cleaning, or None. Most targets have the same ones. Cleaning must be counted."""
    return _labels(names, values) if all(map(_USUAL.fullmatch, values)) else None


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    limit = max_value_bytes(names)
    return "".join([f',{key}="{escape_label_value(text, limit)}"' for key, text in zip(names, values, strict=True)])


def reserved_names(collectors: Iterable[Collector]) -> set[str]:
    """Return the names of all families and series. A metric that an operator defines must have another name."""
    names = sample_names()
    for collector in collectors:
        for spec in collector.metrics:
            names |= {spec.full_name + suffix for suffix in ("", "_sum", "_count", "_bucket", "_gsum", "_gcount")}
    return names
