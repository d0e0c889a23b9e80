import re
from typing import Any

import pytest

from redis_pulse.collectors.key_groups import UNCLASSIFIED, GroupCounter, group_of, memory_usage
from redis_pulse.collectors.support.labels import LabelLimiter
from redis_pulse.collectors.support.time_budget import TimeBudget, TimeBudgetOptions
from redis_pulse.errors import LoadingError, UnknownCommandError
from tests.fake_keyspace import FakeKeyspace, fake_sleep, time_budget

BY_PREFIX = [re.compile("^([a-z]+):")]


@pytest.mark.parametrize(
    ("key", "expressions", "group"),
    [
        (b"user:1", ["^([a-z]+):"], "user"),
        (b"user:1", ["^cart", "^(us)(er)"], "user"),
        (b"user:1", ["^u..."], "user"),
        (b"user:1", ["^(a)?u"], ""),
        (b"user:1", ["^cart"], UNCLASSIFIED),
        (b"\xff:1", ["^(.):"], "�"),
        (b"a" * 5000, ["a*"], "a" * 1000),
    ],
)
def test_the_first_expression_that_matches_names_the_group(key: bytes, expressions: list[str], group: str) -> None:
    assert group_of(key, [re.compile(one) for one in expressions]) == group


def groups(keys: list[tuple[str, int | None]], most: int = 100) -> GroupCounter:
    made = GroupCounter(BY_PREFIX, most)
    for key, memory in keys:
        made.add(key.encode(), memory)
    return made


def test_keys_and_bytes_are_added_up() -> None:
    made = groups([("user:1", 50), ("user:2", 70), ("cart:1", 10), ("x", 5)])
    assert made.samples(LabelLimiter(), 10, 0) == {"user": (2, 120), "cart": (1, 10), UNCLASSIFIED: (1, 5)}
    assert made.distinct == 3


def test_keys_that_were_not_measured_count_as_the_others_of_their_group() -> None:
    made = groups([("user:1", 50), ("user:2", None), ("cart:1", None)])
    assert made.samples(LabelLimiter(), 10, 0) == {"user": (2, 100), "cart": (1, None)}


def test_a_key_that_comes_twice_is_counted_once() -> None:
    assert groups([("user:1", 50), ("user:2", 50), ("user:1", 50)]).samples(LabelLimiter(), 10, 0) == {"user": (2, 100)}


def test_the_largest_have_series_and_the_others_are_the_overflow() -> None:
    made = groups([("a:1", 1), ("b:1", 30), ("c:1", 20), ("d:1", 5), ("d:2", None)])
    assert made.samples(LabelLimiter(), 2, 0) == {"b": (1, 30), "c": (1, 20), "overflow": (3, 11)}
    assert made.distinct == 4


def test_what_it_keeps_is_bounded_however_many_groups_there_are() -> None:
    names = [f"{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(600)]
    made = groups([(f"{name}:{key}", 10) for name in names for key in (1, 2)], most=40)
    assert len(made.groups) == 40
    served = made.samples(LabelLimiter(), 10, 0)
    assert len(served) == 11
    assert sum(keys for keys, _ in served.values()) == 1200
    assert sum(memory or 0 for _, memory in served.values()) == 12_000
    assert made.distinct == 600


def test_a_group_that_users_called_overflow_is_part_of_it() -> None:
    made = groups([("overflow:1", 7), ("a:1", 20), ("b:1", 1)])
    assert made.samples(LabelLimiter(), 2, 0) == {"a": (1, 20), "overflow": (2, 8)}


async def test_there_is_a_pause_after_each_batch_as_long_as_it_took() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"xx" for number in range(30)}}, each=0.001)
    rests: list[float] = []
    pace = TimeBudget(TimeBudgetOptions(pause=0.5), space.clock, fake_sleep(space.clock, rests))
    await memory_usage(0, [b"%d" % number for number in range(30)], space, 1, pace)
    assert rests == pytest.approx([0.01, 0.01])
    await pace.wait()  # whoever comes next
    assert rests == pytest.approx([0.01, 0.01, 0.01])


async def measured(space: FakeKeyspace, keys: int, every: int = 1) -> list[int | None]:
    names = [b"%d" % number for number in range(keys)]
    return await memory_usage(0, names, space, every, time_budget(space.clock, TimeBudgetOptions()))


async def test_memory_is_asked_in_small_batches() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"xx" for number in range(119)}})
    assert await measured(space, 120) == [*[53] * 10, *[54] * 90, *[55] * 19, None]
    assert space.batches == [10] * 12


async def test_one_key_in_so_many_is_measured() -> None:
    space = FakeKeyspace({0: {b"%d" % number: b"xx" for number in range(2000)}})
    found = await measured(space, 2000, every=10)
    assert 100 < sum(one is not None for one in found) < 320


@pytest.mark.parametrize("reply", [None, b"x", [1], UnknownCommandError("MEMORY")])
async def test_an_odd_reply_is_no_measure(reply: Any) -> None:
    assert await measured(FakeKeyspace({}, instead={"MEMORY": reply}), 1) == [None]


async def test_what_concerns_the_server_goes_to_the_runner() -> None:
    with pytest.raises(LoadingError):
        await measured(FakeKeyspace({}, instead={"MEMORY": LoadingError("loading")}), 1)
