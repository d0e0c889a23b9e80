"""The rate follows from what a key costs the server."""

import pytest

from redis_pulse.keyspace_sampling.budget import PIPELINE_SECONDS, Pace, ServerBudget


def test_cheap_keys_are_limited_by_their_number() -> None:
    budget = ServerBudget(100.0, 0.005, Pace())
    budget.measured(30e-6, 10)
    assert budget.keys_per_second == 100.0
    assert budget.batch == 10


def test_expensive_keys_are_limited_by_the_share_of_the_server() -> None:
    budget = ServerBudget(100.0, 0.005, Pace())
    budget.measured(2000e-6, 10)
    assert budget.batch == 1
    assert budget.keys_per_second == pytest.approx(0.005 / (200e-6 + 2 * PIPELINE_SECONDS))
    assert budget.share_of(budget.keys_per_second) == pytest.approx(0.005)


def test_single_measurement_changes_the_cost_only_in_part() -> None:
    budget = ServerBudget(100.0, 0.005, Pace())
    budget.measured(30e-6, 10)
    budget.measured(3000e-6, 10)
    assert 3e-6 < budget.key_seconds < 150e-6
    budget.measured(0.0, 0)
    assert budget.is_measured
