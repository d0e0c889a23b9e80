"""Long replies are read in slices, and nothing of them is lost."""

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.slices import BYTES_PER_SLICE, MAX_LINE_BYTES, SharedTurns, sliced, text_slices


async def turns_during(work: "asyncio.Task[object]") -> int:
    """Return how often another task could run before ``work`` ended."""
    for turns in itertools.count():
        if work.done():
            return turns
        await asyncio.sleep(0)
    raise AssertionError


async def test_other_tasks_run_between_slices() -> None:
    async def read() -> list[int]:
        return [item async for item in sliced(range(1000), 100)]

    work = asyncio.create_task(read())
    assert await turns_during(work) >= 10
    assert await work == list(range(1000))


async def test_short_text_is_one_part() -> None:
    assert [part async for part in text_slices(b"a:1\r\nb:2\r\n")] == ["a:1\r\nb:2\r\n"]
    assert [part async for part in text_slices(b"")] == [""]


async def test_long_text_is_split_at_line_ends() -> None:
    text = b"".join([b"field%d:1\r\n" % number for number in range(10_000)])
    parts = [part async for part in text_slices(text)]
    assert len(parts) > 5
    assert all(part.endswith("\n") and len(part) <= BYTES_PER_SLICE for part in parts)
    assert "".join(parts).encode() == text


async def test_long_line_is_cut() -> None:
    parts = [part async for part in text_slices(b"a" * 1_000_000 + b"\nb:1\n")]
    assert parts == ["a" * MAX_LINE_BYTES, "b:1\n"]


@given(st.lists(st.binary(max_size=20), max_size=50).map(b"\n".join))
def test_no_text_is_lost(text: bytes) -> None:
    async def read() -> str:
        return "".join([part async for part in text_slices(text * 500)])

    assert asyncio.run(read()).count("\n") == text.count(b"\n") * 500


async def test_all_tasks_share_the_slice_of_a_turn() -> None:
    """Ten tasks work for 1 s at a time, and slices last 1 s. So in each turn of the loop one of them works."""
    now, turn, worked = 0.0, 0, list[tuple[int, int]]()
    turns = SharedTurns(1.0, lambda: now)

    async def work(number: int) -> None:
        nonlocal now
        for _ in range(3):
            await turns.take()
            worked.append((turn, number))
            now += 1

    tasks = [asyncio.create_task(work(number)) for number in range(10)]
    while not all(task.done() for task in tasks):
        turn += 1
        await asyncio.sleep(0)
    assert sorted(number for _, number in worked) == sorted([*range(10)] * 3)
    assert len({turn for turn, _ in worked}) == len(worked), "no turn of the loop had two slices"


async def test_short_work_needs_no_further_turn() -> None:
    turns = SharedTurns(1.0, lambda: 0.0)

    async def work() -> None:
        for _ in range(100):
            await turns.take()

    assert await turns_during(asyncio.create_task(work())) == 1
