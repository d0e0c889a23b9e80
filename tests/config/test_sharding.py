"""A shard is a part of all targets. Every target has one owner, and few owners change when a shard is added."""

import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.config import ConfigError, LoadedConfig, Shard, load
from redis_pulse.config.sharding import owner, owns

NAMES = [f"redis-{number}.cache.svc:6379" for number in range(2000)]


def loaded(shard: str, environ: dict[str, str] | None = None) -> LoadedConfig:
    return load(argparse.Namespace(shard=shard), {"HOSTNAME": "laptop", **(environ or {})}, Path("/nonexistent"))


def test_shard_is_an_index_from_zero_and_a_count() -> None:
    assert loaded("1/3").shard == Shard(1, 3)


def test_shard_is_none_by_default() -> None:
    assert load(None, {}, Path("/nonexistent")).shard is None


def test_auto_shard_is_the_ordinal_of_the_pod() -> None:
    assert loaded("auto/12", {"HOSTNAME": "redis-pulse-11"}).shard == Shard(11, 12)
    assert loaded("auto/3", {"HOSTNAME": "redis-pulse-2.redis-pulse.monitoring.svc"}).shard == Shard(2, 3)


def test_shard_may_come_from_the_environment() -> None:
    assert load(None, {"REDIS_PULSE_SHARD": "0/2"}, Path("/nonexistent")).shard == Shard(0, 2)


@pytest.mark.parametrize(
    ("text", "host", "message"),
    [
        ("3/3", "", "--shard must be one of 0/3 to 2/3"),
        ("0/0", "", "--shard must be a part and a number of parts such as 0/3, or auto/3"),
        ("half", "", "--shard must be a part and a number of parts such as 0/3, or auto/3"),
        ("auto/3", "redis-pulse-3", "--shard is auto/3, and this host is number 3, redis-pulse-3: there are more pods"),
        ("auto/3", "laptop", "--shard is auto/3, and the name of this host, laptop, does not end in a number"),
    ],
)
def test_bad_shard_is_rejected_with_location_and_hint(text: str, host: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(text, {"HOSTNAME": host} if host else None)
    assert message in str(caught.value)


@given(name=st.text(min_size=1, max_size=50), count=st.integers(1, 40))
def test_every_name_has_exactly_one_owner(name: str, count: int) -> None:
    assert sum(owns(name, Shard(index, count)) for index in range(count)) == 1


@given(name=st.text(min_size=1, max_size=50), count=st.integers(1, 40))
def test_names_move_only_to_the_added_shard(name: str, count: int) -> None:
    before, after = owner(name, count), owner(name, count + 1)
    assert after in (before, count)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_names_are_distributed_evenly(count: int) -> None:
    fair = len(NAMES) / count
    for index in range(count):
        assert 0.75 * fair < sum(owner(name, count) == index for name in NAMES) < 1.25 * fair


@pytest.mark.parametrize("count", [2, 5, 9])
def test_shard_added_to_n_takes_one_name_in_n_plus_one(count: int) -> None:
    moved = sum(owner(name, count) != owner(name, count + 1) for name in NAMES)
    assert 0.75 < moved * (count + 1) / len(NAMES) < 1.25


def test_owner_of_a_name_is_the_same_in_every_version() -> None:
    """If the owners changed, an upgrade would move targets between the shards."""
    assert [owner(name, 5) for name in ("cart", "queue/master", "10.0.0.7:6379")] == [4, 4, 2]


def test_without_shards_every_name_is_owned() -> None:
    assert owns("cart", None)
    assert owns("cart", Shard(0, 1))
