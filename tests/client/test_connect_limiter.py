"""Concurrent connects are limited, and a connect that hangs delays the others only for a short time."""

import asyncio

from redis_pulse.client import ConnectLimiter
from tests.harness import eventually
from tests.patience import at_most


async def test_concurrent_connects_are_limited() -> None:
    limiter, current, maximum, done = ConnectLimiter(3, max_hold_seconds=60), 0, 0, 0
    go = asyncio.Event()

    async def connect() -> None:
        nonlocal current, maximum, done
        async with limiter.acquire():
            current += 1
            maximum = max(maximum, current)
            await go.wait()
            current -= 1
        done += 1

    tasks = [asyncio.create_task(connect()) for _ in range(10)]
    await eventually(lambda: current == 3)
    go.set()
    await asyncio.gather(*tasks)
    assert (maximum, done) == (3, 10)


async def test_connect_that_hangs_frees_its_place_once() -> None:
    limiter, turns = ConnectLimiter(1, max_hold_seconds=0.02), 0
    release = asyncio.Event()

    async def hang() -> None:
        nonlocal turns
        async with limiter.acquire():
            turns += 1
            await release.wait()

    tasks = [asyncio.create_task(hang()) for _ in range(3)]
    await eventually(lambda: turns == 3)
    release.set()
    await asyncio.gather(*tasks)
    async with limiter.acquire():
        assert limiter._semaphore.locked(), "there is exactly one place"


async def test_cancelled_waiter_takes_no_place() -> None:
    limiter = ConnectLimiter(1, max_hold_seconds=60)
    async with limiter.acquire():
        waiting = asyncio.create_task(limiter.acquire().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with at_most(5), limiter.acquire():
        pass
