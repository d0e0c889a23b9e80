"""Only so many connect at once, and one that hangs keeps nobody waiting for long."""

import asyncio

from redis_pulse.client import ConnectLimiter
from tests.harness import eventually


async def test_no_more_than_so_many_connect_at_once() -> None:
    ramp, there, most, done = ConnectLimiter(3, longest=60), 0, 0, 0
    go = asyncio.Event()

    async def connect() -> None:
        nonlocal there, most, done
        async with ramp.acquire():
            there += 1
            most = max(most, there)
            await go.wait()
            there -= 1
        done += 1

    tasks = [asyncio.create_task(connect()) for _ in range(10)]
    await eventually(lambda: there == 3)
    go.set()
    await asyncio.gather(*tasks)
    assert (most, done) == (3, 10)


async def test_one_that_hangs_gives_its_place_back_and_only_once() -> None:
    ramp, turns = ConnectLimiter(1, longest=0.02), 0
    release = asyncio.Event()

    async def hang() -> None:
        nonlocal turns
        async with ramp.acquire():
            turns += 1
            await release.wait()

    tasks = [asyncio.create_task(hang()) for _ in range(3)]
    await eventually(lambda: turns == 3)
    release.set()
    await asyncio.gather(*tasks)
    async with ramp.acquire():
        assert ramp._places.locked(), "there is one place, not more"


async def test_whoever_gives_up_waiting_takes_no_place_along() -> None:
    ramp = ConnectLimiter(1, longest=60)
    async with ramp.acquire():
        waiting = asyncio.create_task(ramp.acquire().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5), ramp.acquire():
        pass
