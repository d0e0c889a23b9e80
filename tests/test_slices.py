"""Long replies are read in slices, and nothing of them is lost."""

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.slices import BYTES_PER_SLICE, MAX_LINE_BYTES, sliced, text_slices


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
