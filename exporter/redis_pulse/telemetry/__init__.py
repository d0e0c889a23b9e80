"""Metrics that the exporter itself counts and measures."""

from redis_pulse.telemetry.discovery import DiscoveryMetrics
from redis_pulse.telemetry.exporter_metrics import ExporterMetrics, describe_all, sample_names
from redis_pulse.telemetry.families import MetricFamily
from redis_pulse.telemetry.native_histogram import ClassicSnapshot, DualHistogram, NativeHistogram, NativeSnapshot
from redis_pulse.telemetry.probe_accuracy import ProbeAccuracyMetrics
from redis_pulse.telemetry.stalls import StallMetrics
from redis_pulse.telemetry.target import OperationMetrics, TargetMetrics

__all__ = [
    "ClassicSnapshot",
    "DiscoveryMetrics",
    "DualHistogram",
    "ExporterMetrics",
    "MetricFamily",
    "NativeHistogram",
    "NativeSnapshot",
    "OperationMetrics",
    "ProbeAccuracyMetrics",
    "StallMetrics",
    "TargetMetrics",
    "describe_all",
    "sample_names",
]
