"""Count and time what the daemon itself does and measures."""

from redis_pulse.telemetry.discovery import DiscoveryInstruments
from redis_pulse.telemetry.exporter_metrics import Instruments, described, sample_names
from redis_pulse.telemetry.families import Family
from redis_pulse.telemetry.probe_accuracy import Precision
from redis_pulse.telemetry.target import Operation, TargetInstruments

__all__ = [
    "DiscoveryInstruments",
    "Family",
    "Instruments",
    "Operation",
    "Precision",
    "TargetInstruments",
    "described",
    "sample_names",
]
