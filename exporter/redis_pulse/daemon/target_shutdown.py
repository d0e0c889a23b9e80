"""What is over is closed beside, and nobody waits for it: a target that goes, and the old address of one that moved."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from redis_pulse.backoff import Backoff
from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import TargetClient
from redis_pulse.daemon.pending_changes import PendingChanges
from redis_pulse.errors import TargetError
from redis_pulse.polling import TargetPoller
from redis_pulse.probe import Prober
from redis_pulse.server_info import Target
from redis_pulse.telemetry import TargetMetrics

#: Seconds that closing one thing may take, and closing everything at the end.
CLOSE_WITHIN, STOP_WITHIN = 1.0, 1.5
#: Seconds, beyond twice their timeout, after which pings in flight are given up: a fault of ours.
DRAIN_GRACE = 1.0
#: How often a run is cancelled, if the first time does not end it.
CANCELS = 3

#: A run of something scheduled, if one had begun.
Run = asyncio.Task[Any] | None


@dataclass(frozen=True, slots=True)
class MonitoredTarget:
    """One target under watch."""

    target: Target
    breaker: CircuitBreaker
    client: TargetClient
    prober: Prober
    poller: TargetPoller
    metrics: TargetMetrics


class TargetShutdown:
    """Closes targets, each by itself. What fails, or takes too long, is tried again until it works."""

    def __init__(self, pending: PendingChanges, make_backoff: Callable[[], Backoff]) -> None:
        self._pending = pending
        self._make_backoff = make_backoff
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining: dict[str, set[asyncio.Task[None]]] = {}  # by target
        self._is_stopping = False

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside; ``stop`` waits for it, or cancels it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def drain(self, watch: MonitoredTarget, runs: Sequence[Run]) -> None:
        """Let the pings in flight of a target end where it was before; then close what it has open there.

        ``runs`` are those that are being cancelled.
        """
        name = watch.target.name
        tasks = self._draining.setdefault(name, set())
        task = self.beside(self._drain(watch, runs))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def close(self, watch: MonitoredTarget, runs: Sequence[Run] = ()) -> None:
        """Close what a target has open, also where it was before; its pings in flight end without an outcome."""
        for task in self._draining.pop(watch.target.name, ()):
            task.cancel()
        self.beside(self._close(watch, runs))

    async def stop(self, watches: Iterable[MonitoredTarget]) -> None:
        """Close these too, and wait for all that is being closed, for a short time."""
        self._is_stopping = True
        for tasks in self._draining.values():
            for task in tasks:
                task.cancel()
        for watch in watches:
            self.close(watch)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_WITHIN)
            for task in late:
                task.cancel()

    async def _drain(self, watch: MonitoredTarget, runs: Sequence[Run]) -> None:
        try:
            await _ended(runs)
            await self._closed(watch.target.name, watch.client.aclose)  # pings are on a connection of their own
            async with asyncio.timeout(2 * watch.target.settings.probe.timeout + DRAIN_GRACE):
                await watch.prober.drain()
        except TimeoutError as error:
            self._pending.failed(watch.target.name, "close", error)
            watch.prober.connection_lost(TargetError("a fault of ours: no outcome in time"))
        except Exception as error:  # noqa: BLE001  # closing tries again
            self._pending.failed(watch.target.name, "close", error)
        finally:
            await self._close(watch, runs)

    async def _close(self, watch: MonitoredTarget, runs: Sequence[Run]) -> None:
        await _ended(runs)
        name, again = watch.target.name, self._make_backoff()
        parts = [watch.prober.stop, watch.client.aclose]
        while parts := [part for part in parts if not await self._closed(name, part)]:
            if self._is_stopping:
                return
            await asyncio.sleep(again.next())
        self._pending.done(name, "close")

    async def _closed(self, name: str, close: Callable[[], Awaitable[None]]) -> bool:
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await close()
        except Exception as error:  # noqa: BLE001  # the other things are closed all the same
            self._pending.failed(name, "close", error)
            return False
        return True


async def _ended(runs: Sequence[Run]) -> None:
    """Wait until runs that were cancelled are over, for a short time; only then nobody connects any more."""
    left = {run for run in runs if run is not None and not run.done()}
    for _ in range(CANCELS if left else 0):
        _, left = await asyncio.wait(left, timeout=CLOSE_WITHIN / CANCELS)
        if not left:
            return
        for run in left:
            run.cancel()  # whoever swallowed the first one goes on
