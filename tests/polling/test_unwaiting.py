"""A coroutine that never waits needs no timer. One that waits behaves as under ``asyncio.timeout``."""

import asyncio

import pytest

from redis_pulse.polling.unwaiting import within


async def test_work_that_never_waits_returns_at_once() -> None:
    async def work() -> int:
        return 7

    assert await within(0.0, work()) == 7  # a timer of 0 s would have ended it


async def test_error_of_work_is_raised() -> None:
    async def work(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise ValueError("broken")

    for turns in (0, 1, 3):
        with pytest.raises(ValueError, match="broken"):
            await within(60.0, work(turns))


async def test_work_that_waits_gets_its_results() -> None:
    first, second = asyncio.get_running_loop().create_future(), asyncio.get_running_loop().create_future()

    async def work() -> list[int]:
        await asyncio.sleep(0)
        return [await first, await second]

    task = asyncio.create_task(within(60.0, work()))
    await asyncio.sleep(0)
    first.set_result(1)
    await asyncio.sleep(0)
    second.set_result(2)
    assert await task == [1, 2]


async def test_work_that_waits_too_long_is_ended() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(TimeoutError):
        await within(0.001, work())
    assert ended == [True]


async def test_work_may_return_although_it_is_cancelled() -> None:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "cleaned up"
        return "not reached"

    task = asyncio.create_task(within(60.0, work()))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "cleaned up"


async def test_cancelled_task_cancels_its_work() -> None:
    task = asyncio.create_task(within(60.0, asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_timeout_within_the_work_is_its_own() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return "inner"
        return "not reached"

    assert await within(60.0, work()) == "inner"
