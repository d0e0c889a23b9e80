"""Every target has one owner, and few change hands when a shard comes or goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.config import Shard
from redis_pulse.config.sharding import owner, owns

NAMES = [f"redis-{number}.cache.svc:6379" for number in range(2000)]


@given(name=st.text(min_size=1, max_size=50), count=st.integers(1, 40))
def test_every_name_has_exactly_one_owner(name: str, count: int) -> None:
    assert sum(owns(name, Shard(index, count)) for index in range(count)) == 1


@given(name=st.text(min_size=1, max_size=50), count=st.integers(1, 40))
def test_a_shard_that_is_added_takes_names_and_none_moves_between_the_others(name: str, count: int) -> None:
    before, after = owner(name, count), owner(name, count + 1)
    assert after in (before, count)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_names_are_shared_evenly(count: int) -> None:
    fair = len(NAMES) / count
    for index in range(count):
        assert 0.75 * fair < sum(owner(name, count) == index for name in NAMES) < 1.25 * fair


@pytest.mark.parametrize("count", [2, 5, 9])
def test_a_shard_that_is_added_to_n_moves_one_name_in_n_plus_one(count: int) -> None:
    moved = sum(owner(name, count) != owner(name, count + 1) for name in NAMES)
    assert 0.75 < moved * (count + 1) / len(NAMES) < 1.25


def test_the_owner_of_a_name_is_the_same_in_every_version() -> None:
    assert [owner(name, 5) for name in ("cart", "queue/master", "10.0.0.7:6379")] == EXPECTED


def test_without_shards_everything_is_ours() -> None:
    assert owns("cart", None)
    assert owns("cart", Shard(0, 1))


#: Should these change, then every fleet that is upgraded moves its targets about.
EXPECTED = [4, 4, 2]
