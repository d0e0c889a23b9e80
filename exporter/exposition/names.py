"""The names that a page may have already."""

from collections.abc import Iterable

from exporter.collectors import Collector
from exporter.instruments import sample_names


def taken(collectors: Iterable[Collector]) -> set[str]:
    """Return every name of a family or of its series; a metric that an operator names must have another one."""
    names = sample_names()
    for collector in collectors:
        for row in collector.metrics:
            names |= {row.full_name + suffix for suffix in ("", "_sum", "_count", "_bucket")}
    return names
