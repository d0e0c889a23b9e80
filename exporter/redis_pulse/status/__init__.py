"""The state of each target: what it is, since when, the last hour in 60 cells, and its events.

Everything here is plain state. Callers pass in the time. Nothing here connects to a target or renders a page.
"""

from redis_pulse.status.events import MAX_EVENTS, MAX_EVENTS_PER_TARGET, EventLog, StatusEvent, TargetEvents
from redis_pulse.status.history import CELLS, Hour, HourCell, decode, encode, state_of
from redis_pulse.status.risks import Risk, eviction_policy, find_risks, format_size, memory_share
from redis_pulse.status.states import STATES, TONES, TROUBLE, WORDS, TargetState
from redis_pulse.status.target_status import StatusRegistry, TargetStatus

__all__ = [
    "CELLS",
    "MAX_EVENTS",
    "MAX_EVENTS_PER_TARGET",
    "STATES",
    "TONES",
    "TROUBLE",
    "WORDS",
    "EventLog",
    "Hour",
    "HourCell",
    "Risk",
    "StatusEvent",
    "StatusRegistry",
    "TargetEvents",
    "TargetState",
    "TargetStatus",
    "decode",
    "encode",
    "eviction_policy",
    "find_risks",
    "format_size",
    "memory_share",
    "state_of",
]
