"""Build the page ``/metrics`` from the samples of all targets and the metrics of the exporter."""

from redis_pulse.exposition.page_builder import PageBuilder
from redis_pulse.exposition.page_filter import PageFilter
from redis_pulse.exposition.rendering import render, reserved_names

__all__ = ["PageBuilder", "PageFilter", "render", "reserved_names"]
