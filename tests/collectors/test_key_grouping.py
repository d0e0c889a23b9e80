from typing import Any

import pytest

from redis_pulse.collectors.key_groups import UNCLASSIFIED, GroupCounter, group_of, memory_usage
from redis_pulse.collectors.support.labels import LabelLimiter
from redis_pulse.collectors.support.time_budget import TimeBudget, TimeBudgetOptions
from redis_pulse.config.regular_expressions import MAX_TEXT, compile_expression
from redis_pulse.errors import LoadingError, UnknownCommandError
from tests.fake_keyspace import FakeKeyspace, fake_sleep, time_budget

BY_PREFIX = [compile_expression("^([a-z]+):")]


@pytest.mark.parametrize(
    ("key", "expressions", "group"),
    [
        (b"user:1", ["^([a-z]+):"], "user"),
        (b"user:1", ["^cart", "^(us)(er)"], "user"),
        (b"user:1", ["^u..."], "user"),
        (b"user:1", ["^(a)?u"], ""),
        (b"user:1", ["^cart"], UNCLASSIFIED),
        (b"\xff:1", ["^(.):"], "�"),
        (b"a" * 5000, ["a*"], "a" * MAX_TEXT),
    ],
)
def test_first_expression_that_matches_names_the_group(key: bytes, expressions: list[str], group: str) -> None:
    assert group_of(key, [compile_expression(one) for one in expressions]) == group


def count(keys: list[tuple[str, int | None]], max_groups: int = 100) -> GroupCounter:
    counter = GroupCounter(BY_PREFIX, max_groups)
    for key, memory in keys:
        counter.add(key.encode(), memory)
    return counter


def test_keys_and_bytes_are_added_up() -> None:
    counter = count([("user:1", 50), ("user:2", 70), ("cart:1", 10), ("x", 5)])
    assert counter.samples(LabelLimiter(), 10, 0) == {"user": (2, 120), "cart": (1, 10), UNCLASSIFIED: (1, 5)}
    assert counter.distinct == 3


def test_unmeasured_keys_count_as_the_measured_ones_of_their_group() -> None:
    counter = count([("user:1", 50), ("user:2", None), ("cart:1", None)])
    assert counter.samples(LabelLimiter(), 10, 0) == {"user": (2, 100), "cart": (1, None)}


def test_key_that_scan_returns_twice_is_counted_once() -> None:
    assert count([("user:1", 50), ("user:2", 50), ("user:1", 50)]).samples(LabelLimiter(), 10, 0) == {"user": (2, 100)}


def test_largest_groups_have_series_and_other_groups_are_the_overflow() -> None:
    counter = count([("a:1", 1), ("b:1", 30), ("c:1", 20), ("d:1", 5), ("d:2", None)])
    assert counter.samples(LabelLimiter(), 2, 0) == {"b": (1, 30), "c": (1, 20), "overflow": (3, 11)}
    assert counter.distinct == 4


def test_memory_is_bounded_with_any_number_of_groups() -> None:
    names = [f"{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(600)]
    counter = count([(f"{name}:{key}", 10) for name in names for key in (1, 2)], max_groups=40)
    assert len(counter.groups) == 40
    samples = counter.samples(LabelLimiter(), 10, 0)
    assert len(samples) == 11
    assert sum(keys for keys, _ in samples.values()) == 1200
    assert sum(memory or 0 for _, memory in samples.values()) == 12_000
    assert counter.distinct == 600


def test_group_called_overflow_is_part_of_the_overflow() -> None:
    counter = count([("overflow:1", 7), ("a:1", 20), ("b:1", 1)])
    assert counter.samples(LabelLimiter(), 2, 0) == {"a": (1, 20), "overflow": (2, 8)}


async def test_pause_after_each_batch_is_as_long_as_the_batch() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"xx" for number in range(30)}}, seconds_per_command=0.001)
    pauses: list[float] = []
    budget = TimeBudget(TimeBudgetOptions(pause=0.5), space.clock, fake_sleep(space.clock, pauses))
    await memory_usage(0, [b"%d" % number for number in range(30)], space, 1, budget)
    assert pauses == pytest.approx([0.01, 0.01])
    await budget.pause()  # before the next batch of any kind
    assert pauses == pytest.approx([0.01, 0.01, 0.01])


async def measured(space: FakeKeyspace, keys: int, one_in: int = 1) -> list[int | None]:
    names = [b"%d" % number for number in range(keys)]
    return await memory_usage(0, names, space, one_in, time_budget(space.clock, TimeBudgetOptions()))


async def test_memory_is_read_in_small_batches() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"xx" for number in range(119)}})
    assert await measured(space, 120) == [*[53] * 10, *[54] * 90, *[55] * 19, None]
    assert space.batches == [10] * 12


async def test_only_one_key_in_ten_is_measured() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"xx" for number in range(2000)}})
    memory = await measured(space, 2000, one_in=10)
    assert 100 < sum(one is not None for one in memory) < 320


@pytest.mark.parametrize("reply", [None, b"x", [1], UnknownCommandError("MEMORY")])
async def test_odd_reply_is_not_a_measurement(reply: Any) -> None:
    assert await measured(FakeKeyspace({}, overrides={"MEMORY": reply}), 1) == [None]


async def test_error_of_the_whole_server_is_raised() -> None:
    with pytest.raises(LoadingError):
        await measured(FakeKeyspace({}, overrides={"MEMORY": LoadingError("loading")}), 1)
