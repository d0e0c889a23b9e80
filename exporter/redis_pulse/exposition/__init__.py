"""Render what is stored and counted as the text of ``/metrics``, one family for all targets."""

from redis_pulse.exposition.page_builder import PageBuilder
from redis_pulse.exposition.page_filter import PageFilter
from redis_pulse.exposition.rendering import render, reserved_names

__all__ = ["PageBuilder", "PageFilter", "render", "reserved_names"]
