"""What fills a server: patterns of key names, and estimates from few keys. Only computation, nothing is sent here."""

from redis_pulse.keyspace.facts import Capabilities, ServerFacts
from redis_pulse.keyspace.giants import Giant
from redis_pulse.keyspace.report import (
    HIDDEN,
    OTHER,
    Estimate,
    KeyspaceReport,
    LargeKey,
    PatternGrowth,
    PatternNode,
    PatternUsage,
    WalkProgress,
)
from redis_pulse.keyspace.state import KeyspaceSettings, KeyspaceState, glob_expression
from redis_pulse.keyspace.window import Draw

__all__ = [
    "HIDDEN",
    "OTHER",
    "Capabilities",
    "Draw",
    "Estimate",
    "Giant",
    "KeyspaceReport",
    "KeyspaceSettings",
    "KeyspaceState",
    "LargeKey",
    "PatternGrowth",
    "PatternNode",
    "PatternUsage",
    "ServerFacts",
    "WalkProgress",
    "glob_expression",
]
