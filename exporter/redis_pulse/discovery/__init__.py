"""Find targets that the configuration does not declare one by one."""

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
