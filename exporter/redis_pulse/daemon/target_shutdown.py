"""Close targets in the background: removed ones, and the old connections of those that changed.

No caller waits for a server that is being closed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis_pulse.backoff import Backoff
from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import TargetClient
from redis_pulse.config import TargetSettings
from redis_pulse.daemon.pending_changes import PendingChanges
from redis_pulse.errors import TargetError
from redis_pulse.polling import TargetPoller
from redis_pulse.probe import Prober
from redis_pulse.stalls import StallMonitor
from redis_pulse.telemetry import TargetMetrics

if TYPE_CHECKING:
    from redis_pulse.keyspace_sampling import KeyspaceSampler

#: Seconds to close one client or prober, and to close everything at the end.
CLOSE_TIMEOUT, STOP_TIMEOUT = 1.0, 1.5
#: Seconds, in addition to twice their timeout, until pings in flight are given up. Only a bug can make them so late.
DRAIN_GRACE = 1.0
#: How often a run is cancelled until it ends.
MAX_CANCELS = 3

#: The run of a scheduled job, or None if none had begun.
Run = asyncio.Task[Any] | None


@dataclass(frozen=True, slots=True)
class MonitoredTarget:
    """One target, and everything that monitors it."""

    target: TargetSettings
    breaker: CircuitBreaker
    client: TargetClient
    prober: Prober
    poller: TargetPoller
    metrics: TargetMetrics
    stalls: StallMonitor | None = None
    keyspace: "KeyspaceSampler | None" = None


class TargetShutdown:
    """Closes targets independently of each other. A step that fails or takes too long is retried until it works."""

    def __init__(self, pending: PendingChanges, make_backoff: Callable[[], Backoff]) -> None:
        self._pending = pending
        self._make_backoff = make_backoff
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining: dict[str, set[asyncio.Task[None]]] = {}  # by target
        self._is_stopping = False

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in a task. ``stop`` waits for it, or cancels it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def drain(self, monitored: MonitoredTarget, runs: Sequence[Run]) -> None:
        """Wait for the pings in flight of a target that changed, then close its old connections.

        ``runs`` are its old runs, which are being cancelled.
        """
        monitored.poller.stop()
        tasks = self._draining.setdefault(monitored.target.name, set())
        task = self.run_in_background(self._drain(monitored, runs))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def close(self, monitored: MonitoredTarget, runs: Sequence[Run] = ()) -> None:
        """Close all connections of a target, also those from before a change. Pings in flight get no result."""
        monitored.poller.stop()
        for task in self._draining.pop(monitored.target.name, ()):
            task.cancel()
        self.run_in_background(self._close(monitored, runs))

    async def stop(self, all_monitored: Iterable[MonitoredTarget]) -> None:
        """Close these targets too, and wait a short time until everything is closed."""
        self._is_stopping = True
        for tasks in self._draining.values():
            for task in tasks:
                task.cancel()
        for monitored in all_monitored:
            self.close(monitored)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT)
            for task in late:
                task.cancel()

    async def _drain(self, monitored: MonitoredTarget, runs: Sequence[Run]) -> None:
        name, prober = monitored.target.name, monitored.prober
        try:
            await _wait_for_end(runs)
            if monitored.stalls is not None:
                await self._try_close(name, monitored.stalls.close)
            if monitored.keyspace is not None:
                await self._try_close(name, monitored.keyspace.aclose)
            await self._try_close(name, monitored.client.aclose)  # pings have a connection of their own
            async with asyncio.timeout(2 * monitored.target.probe.timeout + DRAIN_GRACE):
                await prober.drain()
        except TimeoutError as error:
            self._pending.failed(name, "close", error)
            prober.connection_lost(TargetError("internal error: no result in time"))
        except Exception as error:  # noqa: BLE001  # _close tries again
            self._pending.failed(name, "close", error)
        finally:
            await self._close(monitored, runs)

    async def _close(self, monitored: MonitoredTarget, runs: Sequence[Run]) -> None:
        await _wait_for_end(runs)
        name, backoff = monitored.target.name, self._make_backoff()
        stalls = () if monitored.stalls is None else (monitored.stalls.close,)
        keyspace = () if monitored.keyspace is None else (monitored.keyspace.aclose,)
        open_parts = [*stalls, *keyspace, monitored.prober.stop, monitored.client.aclose]
        while open_parts := [close for close in open_parts if not await self._try_close(name, close)]:
            if self._is_stopping:
                return
            await asyncio.sleep(backoff.next())
        self._pending.done(name, "close")

    async def _try_close(self, name: str, close: Callable[[], Awaitable[None]]) -> bool:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await close()
        except Exception as error:  # noqa: BLE001  # the other parts are closed all the same
            self._pending.failed(name, "close", error)
            return False
        return True


async def _wait_for_end(runs: Sequence[Run]) -> None:
    """Wait a short time until cancelled runs have ended, because a run may still connect."""
    running = {run for run in runs if run is not None and not run.done()}
    for _ in range(MAX_CANCELS if running else 0):
        _, running = await asyncio.wait(running, timeout=CLOSE_TIMEOUT / MAX_CANCELS)
        if not running:
            return
        for run in running:
            run.cancel()  # a run that swallowed the first cancellation goes on
