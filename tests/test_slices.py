"""Long replies are read in slices, and nothing of them is lost."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.slices import BYTES_PER_SLICE, MAX_LINE_BYTES, MAX_SLICE_BUSY, SharedTurns, sliced, text_slices


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


async def run(turns: int = 20) -> None:
    """Let other tasks run for so many turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_polls_wait_for_a_page() -> None:
    turns = SharedTurns(1.0, lambda: 0.0)
    with turns.page():
        polls = [asyncio.create_task(turns.take()) for _ in range(3)]
        await run()
        assert turns.has_page
        assert not any(poll.done() for poll in polls)
        assert turns.is_over_for_page()
        await turns.take_for_page()
        with turns.page():  # another page is sent meanwhile
            await run()
        assert not any(poll.done() for poll in polls)
    await run()
    assert all(poll.done() for poll in polls)
    assert not turns.has_page


async def test_poll_waits_for_one_page_only() -> None:
    """One page after the other must not stop the polls."""
    turns = SharedTurns(1.0, lambda: 0.0)
    with turns.page():
        poll = asyncio.create_task(turns.take())
        await run()
    with turns.page():  # it begins before the poll could run
        await run()
        assert poll.done()


async def test_polls_go_on_while_a_client_reads_its_page_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis_pulse.slices.MAX_WAIT", 0.001)
    turns = SharedTurns(1.0, lambda: 0.0)
    with turns.page():
        await turns.take()
        assert not turns.has_page
        with turns.page():  # another page comes first again
            assert turns.has_page
            await turns.take()
        assert not turns.has_page
        with turns.page():
            assert turns.has_page
        assert not turns.has_page  # the slow client is still there


async def test_long_pages_have_slices_of_their_own_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page had one slice after those of all polls. On a busy loop it then took a minute."""
    monkeypatch.setattr("redis_pulse.slices.MAX_WAIT", 0.0)
    now, turn, order = 0.0, 0, list[tuple[int, str]]()
    turns = SharedTurns(1.0, lambda: now)

    async def work(name: str, take: Callable[[], Awaitable[None]]) -> None:
        nonlocal now
        while True:
            await take()
            order.append((turn, name))
            now += 100  # longer than any slice

    with turns.page():
        await asyncio.sleep(0.01)  # its time to come first is over
        tasks = [asyncio.create_task(work("poll", turns.take)) for _ in range(9)]
        tasks += [asyncio.create_task(work(f"page {number}", turns.take_for_page)) for number in range(2)]
        while turn < 40:
            turn += 1
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    counts = Counter(name for _, name in order)
    assert len(set(order)) == len(order)
    assert counts["poll"] == pytest.approx(40, abs=2)
    assert counts["page 0"] == pytest.approx(counts["page 1"], abs=1)
    assert counts["page 0"] + counts["page 1"] > 25  # a handover may take a turn


async def test_cancelled_poll_does_not_end_the_wait_of_others() -> None:
    turns = SharedTurns(1.0, lambda: 0.0)
    with turns.page():
        leaving, staying = (asyncio.create_task(turns.take()) for _ in range(2))
        await run()
        leaving.cancel()
        await run()
        assert leaving.cancelled()
        assert not staying.done()
    await staying


async def test_slices_of_a_page_are_longer_beside_busy_tasks_but_not_long() -> None:
    now = 0.0
    turns = SharedTurns(0.001, lambda: now)

    async def slice_beside(others: float) -> float:
        """Return the slice of a page after a turn in which other tasks worked for so long."""
        nonlocal now
        await turns.take_for_page()
        work(MAX_SLICE_BUSY)
        asyncio.get_running_loop().call_soon(work, others)
        await turns.take_for_page()
        return turns._page_seconds

    def work(seconds: float) -> None:
        nonlocal now
        now += seconds

    assert await slice_beside(0.002) == 0.001
    assert await slice_beside(0.012) == pytest.approx(0.003)
    assert await slice_beside(1.0) == MAX_SLICE_BUSY
