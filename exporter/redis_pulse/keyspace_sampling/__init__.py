"""Looks at a few keys each second, on a connection of its own: random draws and a slow walk."""

from redis_pulse.keyspace_sampling.reading import MAX_REPLY, Exchange
from redis_pulse.keyspace_sampling.sampler import KeyspaceSampler
from redis_pulse.keyspace_sampling.stand_alone import examine_keyspace

__all__ = ["MAX_REPLY", "Exchange", "KeyspaceSampler", "examine_keyspace"]
