"""The commands of the simulated workload, without a server: waves, hits, misses and refills."""

from random import Random
from typing import Any

import pytest

from redis_pulse.demo.workload import PRODUCTS, WAVE, Workload, load, miss_share
from tests.fakes import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def workload(clock: ManualClock) -> Workload:
    return Workload("redis://127.0.0.1:1", "redis://127.0.0.1:1", clock=clock, random=Random(7))


def test_load_and_miss_share_stay_within_their_limits() -> None:
    seconds = [moment * WAVE / 100 for moment in range(200)]
    assert min(map(load, seconds)) == pytest.approx(0.2)
    assert max(map(load, seconds)) == pytest.approx(1.0)
    assert min(map(miss_share, seconds)) == pytest.approx(0.04, abs=0.001)
    assert max(map(miss_share, seconds)) == pytest.approx(0.16, abs=0.001)


def test_rush_hour_has_more_commands_than_the_night(workload: Workload, clock: ManualClock) -> None:
    clock.advance(WAVE / 4)
    rush_hour = len(workload.batch())
    clock.advance(WAVE / 2)
    assert len(workload.batch()) < rush_hour / 2


def test_one_lookup_in_ten_is_for_a_missing_key(workload: Workload) -> None:
    keys = [str(key) for _, key in workload.lookups(5000)]
    unknown = sum(key.startswith("gone:") for key in keys)
    assert 0.07 < unknown / len(keys) < 0.13
    numbers = {int(key.removeprefix("product:")) for key in keys if key.startswith("product:")}
    assert min(numbers) == 0
    assert max(numbers) < PRODUCTS


def test_only_missing_products_are_refilled(workload: Workload) -> None:
    commands: list[tuple[str | int | float, ...]] = [
        ("GET", "product:1"),
        ("GET", "product:2"),
        ("GET", "gone:3"),
        ("HINCRBY", "cart:4", "product:4", 1),
    ]
    replies: list[Any] = [b"x", None, None, None]
    assert [(name, key) for name, key, _ in workload.refill(commands, replies)] == [("SET", "product:2")]


def test_every_session_expires(workload: Workload, clock: ManualClock) -> None:
    """Without a time to live, the memory of the demo would fill up, and its panel would no longer change."""
    sessions = []
    for _ in range(50):
        clock.advance(1)
        sessions += [command for command in workload.batch() if str(command[1]).startswith("session:")]
    assert sessions
    assert all(command[3] == "EX" and 20 <= int(command[4]) <= 60 for command in sessions)
