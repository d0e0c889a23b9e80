"""Discover the nodes of a Redis Cluster."""

from redis_pulse.discovery.cluster.source import Cluster

__all__ = ["Cluster"]
