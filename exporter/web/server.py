"""Runs uvicorn inside our own loop: our socket, our limits, our signals."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from exporter import log
from exporter.blocking import NAMES, BlockedError
from exporter.web.accept import Acceptor
from exporter.web.limits import Limits, limited
from exporter.web.listen import ListenError, bind

_log = log.get("web")
#: uvicorn looks for the end of its work this often, twice while it stops.
_TICK = 0.25
#: Seconds for the name that we listen on to resolve.
_RESOLVED = 10.0
#: Seconds for what was accepted last of all to send its request: it was sent before we stopped, so it is here.
_LAST = 0.05


class HttpServer:
    """Serves an ASGI application on one address from ``start`` to ``stop``.

    ``listen`` is as ``parse_listen`` reads it. With ``fallback`` a port in use is no error: the next free one is taken.
    ``on_refused`` is called with one of ``limits.REFUSALS`` for every client that asked too much.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: str,
        *,
        fallback: bool = False,
        limits: Limits | None = None,
        on_refused: Callable[[str], None],
    ) -> None:
        self._listen = listen
        self._fallback = fallback
        self._port = 0
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        limits = limits or Limits()
        self._config: dict[str, Any] = {
            "app": app,
            "http": limited(limits, on_refused),
            "timeout_keep_alive": limits.keep_alive,
            "interface": "asgi3",
            "loop": "none",
            "ws": "none",
            "lifespan": "off",
            "log_config": None,
            "log_level": logging.ERROR,
            "access_log": False,
            "server_header": False,
            "date_header": False,  # uvicorn's comes from its ticks; `routes` adds ours
            "proxy_headers": False,
        }

    async def start(self) -> None:
        """Open the socket and serve; returns when requests are answered. Raises ``ListenError``."""
        try:
            listen = partial(bind, self._listen, fallback=self._fallback)
            sock = await NAMES.run(("listen", self._listen, object()), listen, within=_RESOLVED)
        except BlockedError:
            raise ListenError(f"cannot listen on {self._listen}: the host name does not resolve in time") from None
        self._port = int(sock.getsockname()[1])
        self._server = _Server(uvicorn.Config(**self._config))
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]), name="http server")
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait({self._task, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            serving.cancel()
            sock.close()
            await self._task
            raise RuntimeError("the HTTP server ended before it served")  # pragma: no cover
        self._task.add_done_callback(self._ended)

    @property
    def port(self) -> int:
        """The port that is served: the real one where the address asked for a free one. 0 before ``start``."""
        return self._port

    async def stop(self, grace: float = 2.0) -> None:
        """Accept nothing more, let answers under way be fetched for ``grace`` seconds, then cut what is left."""
        server, task = self._server, self._task
        if server is None or task is None:
            return
        self._server = self._task = None
        server.should_exit = True
        server.stopping.set()
        await asyncio.wait({task}, timeout=max(grace, _TICK))
        if not task.done():
            server.force_exit = True
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            for answering in list(server.server_state.tasks):
                answering.cancel()
            await asyncio.wait({task}, timeout=2 * _TICK)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if self._task is task and not task.cancelled():
            _log.error("the HTTP server has stopped by itself", exc_info=task.exception())


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it serves, waits to be told to stop, and leaves signals to us."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        def make() -> asyncio.Protocol:
            kind: Any = self.config.http_protocol_class
            return kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)  # type: ignore[no-any-return]

        self.servers = [Acceptor(sock, make) for sock in sockets or ()]  # type: ignore[misc]  # all that uvicorn asks of one
        self.started = True
        self.serving.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await asyncio.sleep(_LAST)
        await super().shutdown(sockets)

    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether to stop: two thirds of all that an idle daemon would do.
        await self.stopping.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
