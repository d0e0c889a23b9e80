"""Reloads run one at a time, and nobody is answered with the result of an older reading."""

import asyncio

from redis_pulse.daemon.web_facade import ReloadQueue
from tests.harness import eventually


class Reading:
    """Reads what ``file`` says when it begins, and ends when it is let."""

    def __init__(self) -> None:
        self.file = "a"
        self.begun: list[str] = []
        self.at_once = self.most_at_once = 0
        self.go_on = asyncio.Semaphore(0)

    async def __call__(self) -> str | None:
        read = self.file
        self.begun.append(read)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.go_on.acquire()
        self.at_once -= 1
        return read


async def test_requests_during_a_reload_share_the_next_one_which_reads_anew() -> None:
    reading = Reading()
    reloads = ReloadQueue(reading)
    first = asyncio.create_task(reloads.request())
    await eventually(lambda: reading.begun == ["a"])
    reading.file = "b"
    later = [asyncio.create_task(reloads.request()) for _ in range(5)]
    await asyncio.sleep(0)
    reading.file = "c"
    reading.go_on.release()
    assert await first == "a"
    reading.go_on.release()
    assert await asyncio.gather(*later) == ["c"] * 5
    assert reading.begun == ["a", "c"]
    assert reading.most_at_once == 1


async def test_one_after_the_other_is_read_each_time() -> None:
    reading = Reading()
    reloads = ReloadQueue(reading)
    for _ in range(3):
        reading.go_on.release()
        await reloads.request()
    assert len(reading.begun) == 3


async def test_a_client_that_hangs_up_does_not_end_the_reload_of_the_others() -> None:
    reading = Reading()
    reloads = ReloadQueue(reading)
    gone, stays = (asyncio.create_task(reloads.request()) for _ in range(2))
    await eventually(lambda: bool(reading.begun))
    gone.cancel()
    reading.go_on.release()
    assert await stays == "a"


async def test_the_end_waits_for_no_reload() -> None:
    reading = Reading()
    reloads = ReloadQueue(reading)
    asked = [asyncio.create_task(reloads.request())]
    await eventually(lambda: bool(reading.begun))
    asked.append(asyncio.create_task(reloads.request()))
    await asyncio.sleep(0)
    await reloads.stop()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*asked, return_exceptions=True))


async def test_nothing_is_read_after_the_end() -> None:
    reading = Reading()
    reloads = ReloadQueue(reading)
    await reloads.stop()
    assert await reloads.request() == "the daemon is stopping"
    assert reading.begun == []
