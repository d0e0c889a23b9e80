"""Which metrics exist: the rows of all collectors, what we count ourselves, what Prometheus adds to a scrape."""

import re
from collections.abc import Iterable

from redis_pulse import collectors
from redis_pulse.telemetry import exporter_metrics

#: Words of PromQL that look like metric names.
_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
_PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


def metrics() -> set[str]:
    """Return the name of every series that a page may hold."""
    rows = {row.full_name for collector in collectors.load().values() for row in collector.metrics}
    own = {one.name + part for one in exporter_metrics.describe_all() for part in _PARTS.get(one.kind, ("",))}
    return rows | own | {"redis_sample_age_seconds", "up"}


def metrics_in_expression(expression: str) -> set[str]:
    """Return the metrics that a PromQL expression names."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    words = re.findall(r"(?<![\w$.])[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)
    return set(words) - _WORDS


def expressions_name_known_metrics(expressions: Iterable[str]) -> None:
    """Assert that no expression names a metric that nobody exports."""
    known = metrics()
    for expression in expressions:
        unknown = metrics_in_expression(expression) - known
        assert not unknown, f"{', '.join(sorted(unknown))}: nothing exports it, but it is asked for in {expression}"
