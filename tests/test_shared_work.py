"""Tests of ``SharedWork``: who shares a result, how long it is kept, and when the work ends."""

import asyncio

import pytest

from redis_pulse.shared_work import MAX_KEPT, SharedWork
from tests.fakes import ManualClock


class Maker:
    """Makes a result when its gate opens, and counts."""

    def __init__(self) -> None:
        self.made = self.running = self.most_running = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> bytes:
        self.made += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        return b"result %d" % self.made


def opened() -> Maker:
    make = Maker()
    make.gate.set()
    return make


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_callers_at_once_share_a_result_and_later_ones_get_a_new_one() -> None:
    clock, make = ManualClock(), Maker()
    work = SharedWork[bytes](1.0, clock=clock)
    waiting = [asyncio.ensure_future(work.get("", make)) for _ in range(20)]
    await turns()
    make.gate.set()
    assert set(await asyncio.gather(*waiting)) == {b"result 1"}
    clock.advance(0.5)
    assert await work.get("", make) == b"result 1"
    assert await work.get("other", make) == b"result 2"
    clock.advance(1.0)
    assert await work.get("", make) == b"result 3"


async def test_result_that_is_not_kept_is_made_for_each_later_caller() -> None:
    work, make = SharedWork[bytes](clock=ManualClock()), opened()
    assert [await work.get("", make) for _ in range(3)] == [b"result 1", b"result 2", b"result 3"]
    assert len(work) == 0


async def test_results_of_different_keys_are_made_one_at_a_time() -> None:
    work, make = SharedWork[bytes](clock=ManualClock()), Maker()
    waiting = [asyncio.ensure_future(work.get(key, make)) for key in range(5)]
    await turns()
    make.gate.set()
    await asyncio.gather(*waiting)
    assert (make.made, make.most_running) == (5, 1)


async def test_caller_that_leaves_does_not_end_the_work_of_the_others() -> None:
    work, make = SharedWork[bytes](clock=ManualClock()), Maker()
    leaving, staying = (asyncio.ensure_future(work.get("", make)) for _ in range(2))
    await turns()
    leaving.cancel()
    await turns()
    make.gate.set()
    assert await staying == b"result 1"


async def test_work_ends_when_its_last_caller_leaves() -> None:
    work, make = SharedWork[bytes](1.0, clock=ManualClock()), Maker()
    callers = [asyncio.ensure_future(work.get("", make)) for _ in range(2)]
    await turns()
    for caller in callers:
        caller.cancel()
    await turns()
    assert (make.made, make.running, len(work)) == (1, 0, 0)
    make.gate.set()
    assert await work.get("", make) == b"result 2"


async def test_result_that_fails_is_made_again_for_the_next_caller() -> None:
    work, make = SharedWork[bytes](1.0, clock=ManualClock()), opened()
    make.error = RuntimeError("x")
    with pytest.raises(RuntimeError):
        await work.get("", make)
    make.error = None
    assert await work.get("", make) == b"result 2"


async def test_number_of_kept_results_is_bounded() -> None:
    work, make = SharedWork[bytes](1.0, clock=ManualClock()), opened()
    for number in range(50):
        await work.get(number, make)
    assert len(work) == MAX_KEPT
    made = make.made
    await work.get(49, make)
    assert make.made == made, "the newest ones are kept"
