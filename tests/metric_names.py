"""Names of all existing metrics: of the collectors, of the exporter itself, and those that Prometheus adds."""

import re
from collections.abc import Iterable

from redis_pulse import collectors
from redis_pulse.telemetry import exporter_metrics

#: Words of PromQL that look like metric names.
_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "gaugehistogram": ("_bucket",), "summary": ("_sum", "_count")}


def metrics() -> set[str]:
    """Return the names of all series that a page may have."""
    server = {
        metric.full_name + suffix
        for collector in collectors.load().values()
        for metric in collector.metrics
        for suffix in ("", *_SUFFIXES.get(metric.kind, ()))
    }
    exporter = {
        family.name + suffix
        for family in exporter_metrics.describe_all()
        for suffix in _SUFFIXES.get(family.kind, ("",))
    }
    return server | exporter | {"redis_sample_age_seconds", "up"}


def metrics_in_expression(expression: str) -> set[str]:
    """Return the names of the metrics in a PromQL expression."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    words = re.findall(r"(?<![\w$.])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)
    return set(words) - _WORDS


def expressions_name_known_metrics(expressions: Iterable[str], *, others: Iterable[str] = ()) -> None:
    """Assert that all metrics in the expressions exist. ``others`` are metrics that other programs export."""
    known = metrics().union(others)
    for expression in expressions:
        unknown = metrics_in_expression(expression) - known
        assert not unknown, f"{', '.join(sorted(unknown))}: not exported, but used in {expression}"
