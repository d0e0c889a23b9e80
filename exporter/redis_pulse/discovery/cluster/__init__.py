"""Discover the nodes of a Redis Cluster."""

from redis_pulse.discovery.cluster.source import ClusterSource

__all__ = ["ClusterSource"]
