"""Makes one stall per minute on the primary of the demo. The cause changes, so that users see each one explained.

It takes a ``DemoServer``, which only this package starts. So no server that a user monitors can ever be stalled.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle
from typing import Any, Final

from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from redis_pulse import log
from redis_pulse.demo.servers import DemoServer
from redis_pulse.demo.workload import SLOW_SCRIPT

#: Seconds until the first stall, and from one to the next.
FIRST, EVERY = 20.0, 60.0
#: Seconds of a stall. With a ping each second, a stall of this length always delays one.
LENGTH = 1.2
#: Seconds for a server that is well, and in all for a stall on a busy machine.
TIMEOUT, PATIENCE = 1.0, 15.0
#: A set, and how often one SUNION of the first attempt reads it. Its duration is measured, and the others follow it.
SET, MEMBERS, READS = "visitors:all", 5000, 1000
MAX_READS = 30_000

_log = log.get("demo")
Stall = Callable[[Any], Awaitable[None]]


class StallMaker:
    """Stalls one server of the demo again and again. ``sleep`` makes the pauses between stalls; tests replace it."""

    def __init__(self, server: DemoServer, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._server = server
        self._sleep = sleep
        #: By the cause that the daemon must name.
        self.stalls: Final[dict[str, Stall]] = {
            "command": self._command,
            "not_running": self._stop,
            "script": self._script,
            "paused": self._pause,
        }

    async def run(self) -> None:
        """Make stalls until cancelled. A server that hangs or is gone is left alone."""
        await self._sleep(FIRST)
        for cause in cycle(self.stalls):
            with suppress(ValkeyError, OSError):  # TimeoutError is an OSError
                await self.make(cause)
            await self._sleep(EVERY - LENGTH)

    async def make(self, cause: str) -> None:
        """Make one stall of this cause. Raises ``ValkeyError`` or ``OSError`` if the server is not well."""
        async with (
            asyncio.timeout(PATIENCE),
            Valkey.from_url(self._server.url, socket_connect_timeout=TIMEOUT, socket_timeout=None) as client,
        ):
            async with asyncio.timeout(TIMEOUT):
                process = int((await client.info("server"))["process_id"])
            if process != self._server.pid:  # another server has its port now
                return
            _log.info("the demo makes a stall", server=self._server.name, cause=cause)
            await self.stalls[cause](client)

    async def _command(self, client: Any) -> None:
        """Run one long command that only reads."""
        await client.execute_command("SADD", SET, *range(MEMBERS))
        began = asyncio.get_running_loop().time()
        await client.execute_command("SUNION", *[SET] * READS)
        took = asyncio.get_running_loop().time() - began
        await client.execute_command("SUNION", *[SET] * min(MAX_READS, round(READS * 1.3 * LENGTH / took)))
        await client.execute_command("UNLINK", SET)

    async def _script(self, client: Any) -> None:
        await client.execute_command("EVAL", SLOW_SCRIPT, 0, LENGTH)

    async def _pause(self, client: Any) -> None:
        await client.execute_command("CLIENT", "PAUSE", round(1000 * LENGTH), "ALL")

    async def _stop(self, _client: Any) -> None:
        """Stop the process. It goes on even if the demo ends meanwhile."""
        os.kill(self._server.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(LENGTH)
        finally:
            os.kill(self._server.pid, signal.SIGCONT)
