"""Talk to one target: commands of polls through a pool, pings on a connection of their own."""

from redis_pulse.client.client import Client, Observer
from redis_pulse.client.connect_limiter import Ramp
from redis_pulse.client.operation_commands import BoundCommands, Call
from redis_pulse.client.probe_connect import PHASES, phases_of
from redis_pulse.client.probe_connection import Arrival, Sent, Wire

__all__ = ["PHASES", "Arrival", "BoundCommands", "Call", "Client", "Observer", "Ramp", "Sent", "Wire", "phases_of"]
