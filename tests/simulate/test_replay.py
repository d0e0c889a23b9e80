"""Short episodes of the simulation: no violation, and the same log and pages for each replay."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from simulate.run import run_seed
from tests.simulate.failed_seeds import FAILED

pytestmark = pytest.mark.slow


def test_seed_replays_to_same_log_and_pages() -> None:
    """Also with another hash seed, which changes the order of sets of texts."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda hash_seed: run_seed(11, 0.1, hash_seed), ("0", "1"))
    assert first["violations"] == []
    assert first["faults"], "the episode is too short for a fault"
    assert first["log_lines"] > 20
    first.pop("cpu_seconds")
    second.pop("cpu_seconds")
    assert first == second


def test_seeds_that_once_failed() -> None:
    for seed, hours, reason in FAILED:
        assert run_seed(seed, hours)["violations"] == [], reason
