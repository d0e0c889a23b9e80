"""Let equal requests share one result, and make one result at a time.

A list of all targets takes megabytes and many slices of the event loop. Hundreds of clients may ask for it at the same
time. Several results at once would take more memory, and end no earlier.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

#: Results that are kept at the same time.
MAX_KEPT = 8


class _Work(Generic[Result]):
    __slots__ = ("began", "task", "waiting")

    def __init__(self, task: "asyncio.Task[Result]", began: float) -> None:
        self.task, self.began = task, began
        self.waiting = 0


class SharedWork(Generic[Result]):
    """Makes results, each for all callers with an equal key.

    A result is given to further callers for ``keep`` seconds since it was begun. Work that no caller waits for any more
    is cancelled.
    """

    def __init__(self, keep: float = 0.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep = keep
        self._clock = clock
        self._works: dict[Hashable, _Work[Result]] = {}
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        """Return the number of results that are being made or kept."""
        return len(self._works)

    async def get(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of this key, or make it. A caller that is cancelled does not end it for the others."""
        self.forget_old()
        work = self._works.get(key)
        if work is None:
            task = asyncio.get_running_loop().create_task(self._make(make))
            work = self._works[key] = _Work(task, self._clock())
        work.waiting += 1
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiting -= 1
            if not work.waiting and not self._is_kept(work):
                work.task.cancel()
                if self._works.get(key) is work:
                    del self._works[key]

    async def _make(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        async with self._turn:
            return await make()

    def _is_kept(self, work: _Work[Result]) -> bool:
        task = work.task
        is_good = task.done() and not task.cancelled() and task.exception() is None
        return is_good and self._clock() - work.began < self._keep

    def forget_old(self) -> None:
        """Forget results that are too old, and the oldest ones if there are too many."""
        unused = [key for key, work in self._works.items() if not work.waiting]
        kept = [key for key in unused if self._is_kept(self._works[key])]
        remaining = set(kept[-MAX_KEPT + 1 :])
        for key in unused:
            if key not in remaining:
                del self._works[key]
