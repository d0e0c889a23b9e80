"""Find targets besides those that the configuration declares."""

from redis_pulse.discovery.base import DiscoveryError, Feeling, PartlyFoundError, Source, Surroundings
from redis_pulse.discovery.manager import Discovery, Lend

__all__ = ["Discovery", "DiscoveryError", "Feeling", "Lend", "PartlyFoundError", "Source", "Surroundings"]
