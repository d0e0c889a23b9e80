"""Metrics that the exporter itself counts and measures."""

from redis_pulse.telemetry.discovery import DiscoveryMetrics
from redis_pulse.telemetry.exporter_metrics import ExporterMetrics, describe_all, sample_names
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.telemetry.target import OperationMetrics, ProbeAccuracyMetrics, TargetMetrics

__all__ = [
    "DiscoveryMetrics",
    "ExporterMetrics",
    "MetricFamily",
    "OperationMetrics",
    "ProbeAccuracyMetrics",
    "TargetMetrics",
    "describe_all",
    "sample_names",
]
