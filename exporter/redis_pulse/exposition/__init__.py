"""Build the page ``/metrics`` from the samples of all targets and the metrics of the exporter."""

from redis_pulse.exposition.page_body import PageBody
from redis_pulse.exposition.page_builder import PageBuilder
from redis_pulse.exposition.page_filter import PageFilter
from redis_pulse.exposition.protobuf_page import ProtobufPage
from redis_pulse.exposition.rendering import render, render_steps, reserved_names

__all__ = ["PageBody", "PageBuilder", "PageFilter", "ProtobufPage", "render", "render_steps", "reserved_names"]
