"""Communicate with one target: poll commands through a small pool, pings on a separate connection."""

from redis_pulse.client.client import TargetClient
from redis_pulse.client.connect_limiter import ConnectLimiter
from redis_pulse.client.credentials import Credentials
from redis_pulse.client.dedicated import DedicatedConnection
from redis_pulse.client.observer import ClientObserver, NullClientObserver
from redis_pulse.client.operation_commands import GuardedCall, OperationCommands
from redis_pulse.client.pipeline import PipelineReplies
from redis_pulse.client.probe_connect import PHASES, phases_of
from redis_pulse.client.probe_connection import ProbeConnection, Received, SentPing
from redis_pulse.client.tcp_info import TcpInfo
from redis_pulse.client.tls import TlsContext, TlsLayer

__all__ = [
    "PHASES",
    "ClientObserver",
    "ConnectLimiter",
    "Credentials",
    "DedicatedConnection",
    "GuardedCall",
    "NullClientObserver",
    "OperationCommands",
    "PipelineReplies",
    "ProbeConnection",
    "Received",
    "SentPing",
    "TargetClient",
    "TcpInfo",
    "TlsContext",
    "TlsLayer",
    "phases_of",
]
