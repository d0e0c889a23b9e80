"""Find targets besides those that the configuration declares."""

from redis_pulse.discovery.base import DiscoveryError, PartlyFoundError, ProbeStatus, SourceContext, TargetSource
from redis_pulse.discovery.manager import DiscoveryManager, MakeContext

__all__ = [
    "DiscoveryError",
    "DiscoveryManager",
    "MakeContext",
    "PartlyFoundError",
    "ProbeStatus",
    "SourceContext",
    "TargetSource",
]
