"""The plan of ``make stalls``: the seed decides it, and each round has each kind once."""

from collections import Counter

import pytest

from redis_pulse.stalls.causes import CAUSES
from stalls_bench.kinds import KINDS, LANES
from stalls_bench.plan import make_plan, select

ALL = select("", full=True)


def test_same_seed_makes_the_same_stalls_at_the_same_moments() -> None:
    assert make_plan(7, ALL, 3, "redis") == make_plan(7, ALL, 3, "redis")


def test_other_seeds_and_other_servers_get_other_plans() -> None:
    plans = [make_plan(seed, ALL, 3, server) for seed in range(20) for server in ("redis", "valkey")]
    assert all(plan not in plans[:number] for number, plan in enumerate(plans))


def test_each_round_makes_each_kind_once_in_its_lane() -> None:
    plan = make_plan(1, ALL, 4, "redis")
    for lane, steps in plan.items():
        names = [name for name, kind in KINDS.items() if kind.lane == lane]
        for first in range(0, len(steps), len(names)):
            assert sorted(step.kind for step in steps[first : first + len(names)]) == sorted(names)
    assert Counter(step.kind for steps in plan.values() for step in steps) == dict.fromkeys(KINDS, 4)


def test_lane_without_a_chosen_kind_is_left_out() -> None:
    assert list(make_plan(1, ["keys"], 1, "redis")) == ["data"]


def test_quick_run_has_a_kind_of_each_lane_and_of_each_cause() -> None:
    quick = [KINDS[name] for name in select("", full=False)]
    assert {kind.lane for kind in quick} == set(LANES)
    assert {kind.cause for kind in quick} == {kind.cause for kind in KINDS.values()}


def test_all_causes_but_unknown_can_be_made() -> None:
    assert {kind.cause for kind in KINDS.values()} == set(CAUSES) - {"exporter", "unknown"}


def test_unknown_kind_is_refused_by_name() -> None:
    assert select("keys,stop", full=False) == ["keys", "stop"]
    with pytest.raises(ValueError, match="unknown kinds key: choose of sleep"):
        select("key,stop", full=False)
