from collections.abc import Mapping

import pytest

from redis_pulse.collectors.info.states import read_states


def current(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names and states with the value 1."""
    return [(sample.metric.name, sample.labels[0]) for sample in read_states(fields) if sample.value]


def test_state_that_is_not_current_has_the_value_0() -> None:
    samples = list(read_states({"paused_reason": "none"}))
    assert {sample.labels[0]: sample.value for sample in samples} == {
        "client_pause": 0,
        "shutdown_in_progress": 0,
        "failover_in_progress": 0,
        "slot_migration_in_progress": 0,
        "other": 0,
    }


@pytest.mark.parametrize(
    ("fields", "states"),
    [
        (
            {"paused_reason": "client_pause", "paused_actions": "write"},
            [("clients_paused", "client_pause"), ("clients_paused_actions", "write")],
        ),
        ({"paused_reason": "none", "paused_actions": "none"}, []),
        ({"paused_reason": "of a future server"}, [("clients_paused", "other")]),
        ({"master_failover_state": "no-failover"}, [("failover_state", "no-failover")]),
        ({"master_failover_state": "waiting-for-sync"}, [("failover_state", "waiting-for-sync")]),
        ({}, []),
    ],
)
def test_current_state_has_the_value_1(fields: Mapping[str, str], states: list[tuple[str, str]]) -> None:
    assert current(fields) == states
