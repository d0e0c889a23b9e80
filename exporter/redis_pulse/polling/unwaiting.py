"""Runs a coroutine that mostly need not wait, without a timer until it does.

Most collectors find their replies there. A timer for each of them would take longer than some of the collectors.
"""

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def within(seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of ``work``. Raises TimeoutError if it waits and does not end within so many seconds.

    Until it first waits, nothing else runs, so a timer could not end it.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    async with asyncio.timeout(seconds):
        return await _rest(work, waits_for)


@coroutine
def _rest(work: Coroutine[Any, Any, Result], waits_for: Any) -> Generator[Any, Any, Result]:
    """Run a coroutine that has begun to wait."""
    while True:
        try:
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001  # the coroutine handles it
                waits_for = work.throw(error)
            else:
                waits_for = work.send(value)
        except StopIteration as end:
            result: Result = end.value
            return result
