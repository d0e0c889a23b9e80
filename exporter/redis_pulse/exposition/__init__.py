"""Render what is stored and counted as the text of ``/metrics``, one family for all targets."""

from redis_pulse.exposition.page_builder import Page
from redis_pulse.exposition.page_filter import Part
from redis_pulse.exposition.rendering import render, taken

__all__ = ["Page", "Part", "render", "taken"]
