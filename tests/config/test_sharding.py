"""A shard is a part of a number of parts, or is told by the ordinal of a pod."""

import argparse
from pathlib import Path

import pytest

from redis_pulse.config import ConfigError, LoadedConfig, Shard, load


def loaded(shard: str, environ: dict[str, str] | None = None) -> LoadedConfig:
    return load(argparse.Namespace(shard=shard), {"HOSTNAME": "laptop", **(environ or {})}, Path("/nonexistent"))


def test_a_shard_is_written_as_its_number_from_zero_and_their_count() -> None:
    assert loaded("1/3").shard == Shard(1, 3)


def test_without_one_everything_is_ours() -> None:
    assert load(None, {}, Path("/nonexistent")).shard is None


def test_the_ordinal_of_a_pod_is_its_number() -> None:
    assert loaded("auto/12", {"HOSTNAME": "redis-pulse-11"}).shard == Shard(11, 12)
    assert loaded("auto/3", {"HOSTNAME": "redis-pulse-2.redis-pulse.monitoring.svc"}).shard == Shard(2, 3)


def test_it_can_come_from_the_environment() -> None:
    assert load(None, {"REDIS_PULSE_SHARD": "0/2"}, Path("/nonexistent")).shard == Shard(0, 2)


@pytest.mark.parametrize(
    ("text", "host", "says"),
    [
        ("3/3", "", "--shard must be one of 0/3 to 2/3"),
        ("0/0", "", "--shard must be a part and a number of parts such as 0/3, or auto/3"),
        ("half", "", "--shard must be a part and a number of parts such as 0/3, or auto/3"),
        ("auto/3", "redis-pulse-3", "--shard is auto/3, and this host is number 3, redis-pulse-3: there are more pods"),
        ("auto/3", "laptop", "--shard is auto/3, and the name of this host, laptop, does not end in a number"),
    ],
)
def test_what_is_no_shard_is_refused_with_place_and_cure(text: str, host: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(text, {"HOSTNAME": host} if host else None)
    assert says in str(refused.value)
