"""Find targets that the configuration does not declare one by one."""

from redis_pulse.discovery.adopted import REASONS, AdoptedTargets, AdoptError, Reason
from redis_pulse.discovery.base import (
    DiscoveryError,
    PartlyFoundError,
    ProbeStatus,
    Reject,
    SourceContext,
    SourceReport,
    TargetSource,
)
from redis_pulse.discovery.manager import DiscoveryManager, MakeContext

__all__ = [
    "REASONS",
    "AdoptError",
    "AdoptedTargets",
    "DiscoveryError",
    "DiscoveryManager",
    "MakeContext",
    "PartlyFoundError",
    "ProbeStatus",
    "Reason",
    "Reject",
    "SourceContext",
    "SourceReport",
    "TargetSource",
]
