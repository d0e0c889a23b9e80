"""Reloads run one at a time, and no request gets the result of a reload that began before it."""

import asyncio

import pytest

from redis_pulse.daemon.web_facade import MAX_PAUSE, PAUSE_FACTOR, ReloadQueue
from tests.fakes import ManualClock
from tests.harness import eventually


class BlockedReload:
    """Reads ``file`` when it begins, and returns the text when a test releases it."""

    def __init__(self) -> None:
        self.file = "a"
        self.begun: list[str] = []
        self.running = self.max_running = 0
        self.released = asyncio.Semaphore(0)

    async def __call__(self) -> str | None:
        text = self.file
        self.begun.append(text)
        self.running += 1
        self.max_running = max(self.max_running, self.running)
        await self.released.acquire()
        self.running -= 1
        return text


async def test_requests_during_a_reload_share_the_next_reload() -> None:
    reload = BlockedReload()
    reloads = ReloadQueue(reload, interval=0.0, clock=ManualClock())
    first = asyncio.create_task(reloads.request())
    await eventually(lambda: reload.begun == ["a"])
    reload.file = "b"
    later = [asyncio.create_task(reloads.request()) for _ in range(5)]
    await asyncio.sleep(0)
    reload.file = "c"
    reload.released.release()
    assert await first == "a"
    reload.released.release()
    assert await asyncio.gather(*later) == ["c"] * 5
    assert reload.begun == ["a", "c"]
    assert reload.max_running == 1


async def test_each_of_successive_requests_reloads() -> None:
    reload = BlockedReload()
    reloads = ReloadQueue(reload, interval=0.0, clock=ManualClock())
    for _ in range(3):
        reload.released.release()
        await reloads.request()
    assert len(reload.begun) == 3


async def test_requests_in_a_row_reload_once_in_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pauses = ManualClock(), list[float]()

    async def reload() -> str | None:
        clock.advance(duration)
        return None

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.advance(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    reloads = ReloadQueue(reload, interval=2.0, clock=clock)
    duration = 0.5
    for _ in range(3):
        await reloads.request()
    assert pauses == [1.5, 1.5]
    clock.advance(10)
    duration = 1.0
    await reloads.request()
    await reloads.request()
    assert pauses[2:] == [PAUSE_FACTOR], "a reload that takes longer has a longer pause"
    clock.advance(10)
    duration = 100.0
    await reloads.request()
    await reloads.request()
    assert pauses[-1] == MAX_PAUSE


async def test_client_that_disconnects_does_not_end_the_reload_of_others() -> None:
    reload = BlockedReload()
    reloads = ReloadQueue(reload, interval=0.0, clock=ManualClock())
    cancelled, waiting = (asyncio.create_task(reloads.request()) for _ in range(2))
    await eventually(lambda: bool(reload.begun))
    cancelled.cancel()
    reload.released.release()
    assert await waiting == "a"


async def test_stopping_cancels_running_and_queued_reloads() -> None:
    reload = BlockedReload()
    reloads = ReloadQueue(reload, interval=0.0, clock=ManualClock())
    requests = [asyncio.create_task(reloads.request())]
    await eventually(lambda: bool(reload.begun))
    requests.append(asyncio.create_task(reloads.request()))
    await asyncio.sleep(0)
    await reloads.stop()
    assert all(
        isinstance(result, asyncio.CancelledError) for result in await asyncio.gather(*requests, return_exceptions=True)
    )


async def test_stopped_queue_does_not_reload() -> None:
    reload = BlockedReload()
    reloads = ReloadQueue(reload, interval=0.0, clock=ManualClock())
    await reloads.stop()
    assert await reloads.request() == "the daemon is stopping"
    assert reload.begun == []
