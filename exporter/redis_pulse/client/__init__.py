"""Communicate with one target: poll commands through a small pool, pings on a separate connection."""

from redis_pulse.client.client import ClientObserver, NullClientObserver, TargetClient
from redis_pulse.client.operation_commands import GuardedCall, OperationCommands
from redis_pulse.client.pool import ConnectLimiter
from redis_pulse.client.probe_connect import PHASES, phases_of
from redis_pulse.client.probe_connection import ProbeConnection, Received, SentPing
from redis_pulse.client.tcp_info import TcpInfo

__all__ = [
    "PHASES",
    "ClientObserver",
    "ConnectLimiter",
    "GuardedCall",
    "NullClientObserver",
    "OperationCommands",
    "ProbeConnection",
    "Received",
    "SentPing",
    "TargetClient",
    "TcpInfo",
    "phases_of",
]
