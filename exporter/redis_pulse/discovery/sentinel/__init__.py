"""Discover the servers that Sentinels watch."""

from redis_pulse.discovery.sentinel.source import SentinelSource

__all__ = ["SentinelSource"]
