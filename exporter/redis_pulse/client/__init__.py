"""Talk to one target: commands of polls through a pool, pings on a connection of their own."""

from redis_pulse.client.client import ClientObserver, TargetClient
from redis_pulse.client.operation_commands import GuardedCall, OperationCommands
from redis_pulse.client.pool import ConnectLimiter
from redis_pulse.client.probe_connect import PHASES, phases_of
from redis_pulse.client.probe_connection import ProbeConnection, Received, SentPing

__all__ = [
    "PHASES",
    "ClientObserver",
    "ConnectLimiter",
    "GuardedCall",
    "OperationCommands",
    "ProbeConnection",
    "Received",
    "SentPing",
    "TargetClient",
    "phases_of",
]
