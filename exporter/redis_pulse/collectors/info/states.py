"""Fields of INFO whose text names a state. The current state has the value 1, the other states have 0.

redis_clients_paused{target="cart",reason="client_pause"} 1
redis_failover_state{target="cart",state="no-failover"} 1
"""
# ruff: noqa: E501 - one line per metric definition

from collections.abc import Iterator, Mapping

from redis_pulse.metric import MetricSpec, Sample, gauge

#: The value of the label for a state that is not known here.
OTHER = "other"
# fmt: off
PAUSED = gauge("Clients", "paused_reason", "clients_paused", "1 while the server pauses its clients for this reason (Valkey 8.1 and later).", labels=("reason",))
PAUSED_ACTIONS = gauge("Clients", "paused_actions", "clients_paused_actions", "1 while the server pauses these commands of its clients: all, or writes only (Valkey 8.1 and later).", labels=("actions",))
FAILOVER_STATE = gauge("Replication", "master_failover_state", "failover_state", "1 for the state of a failover that was requested with FAILOVER, 0 for other states (Redis 6.2 and later).", labels=("state",))
# fmt: on
#: Metric → its states, without the text that means that there is nothing to report.
_STATES: dict[MetricSpec, tuple[str, ...]] = {
    PAUSED: ("client_pause", "shutdown_in_progress", "failover_in_progress", "slot_migration_in_progress"),
    PAUSED_ACTIONS: ("all", "write"),
    FAILOVER_STATE: ("no-failover", "waiting-for-sync", "failover-in-progress"),
}
_NOTHING = "none"
STATES: tuple[MetricSpec, ...] = tuple(_STATES)


def read_states(fields: Mapping[str, str]) -> Iterator[Sample]:
    """Read the fields that name a state. A new state of a future server is ``other``."""
    for metric, states in _STATES.items():
        if text := fields.get(metric.field):
            current = text if text in (*states, _NOTHING) else OTHER
            for state in (*states, OTHER):
                yield metric.sample(float(state == current), state)
