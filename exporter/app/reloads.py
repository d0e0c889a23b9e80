"""Reloads, one at a time: who asks for one gets the result of a reading that began after he asked."""

import asyncio
from collections.abc import Awaitable, Callable

#: Does one reload and returns what is wrong, or None. Never raises.
Once = Callable[[], Awaitable[str | None]]


class Reloads:
    """Runs ``once`` whenever it is asked to; requests that come while one runs share the next one."""

    def __init__(self, once: Once) -> None:
        self._once = once
        self._running: asyncio.Task[str | None] | None = None
        self._next: asyncio.Task[str | None] | None = None
        self._is_stopped = False

    async def ask(self) -> str | None:
        """Reload, and return what was wrong. The reload goes on when its caller is cancelled."""
        if self._is_stopped:
            return "the daemon is stopping"
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    async def stop(self) -> None:
        """Give up what is under way, and do nothing more."""
        self._is_stopped = True
        tasks = [task for task in (self._running, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _after(self, before: "asyncio.Task[str | None] | None") -> str | None:
        if before is not None:
            await asyncio.wait({before})
        self._running, self._next = self._next, None
        return await self._once()
