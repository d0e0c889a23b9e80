"""Opens the socket that we listen on, and says clearly why when it cannot be opened.

Accepts connections for the HTTP server: at most some at once, and without haste when descriptors run out.

asyncio's own way tries as often as the backlog is long in one turn of the loop, and for each try that finds no
descriptor it logs a line and sets a timer. Here one try that fails ends the turn, and the next comes a second later.

Runs uvicorn inside our own loop: our socket, our limits, our signals.
"""

import asyncio
import contextlib
import errno
import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from redis_pulse import file_descriptors, log
from redis_pulse.blocking import NAMES, BlockedError
from redis_pulse.web.connection_limits import ConnectionLimits, limited

#: Clients that may wait to be accepted. A loop that turns accepts them within milliseconds; one that does not turn
#: should refuse the next, not keep it.
_BACKLOG = 128
_TRIES = 100
_ALL = ("", "*", "::")


class ListenError(Exception):
    """We cannot listen there; ``str(error)`` names the address, the reason and the cure."""


class ListenAddress(NamedTuple):
    """An address to listen on; an empty host means all of them, port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> ListenAddress:
    """Read ``:9121``, ``127.0.0.1:9121``, ``[::1]:9121``, ``localhost:9121`` or just ``9121``.

    Raises ``ListenError`` for anything else.
    """
    text = text.strip()
    found = re.fullmatch(
        r"(?:(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%\S+)?)\]|(?P<host>[^\s:/\[\]]*)):)?(?P<port>[0-9]{1,5})", text
    )
    if found is None:
        cure = "write HOST:PORT, for example :9121, 127.0.0.1:9121 or [::1]:9121"
        if text.count(":") > 1 and "[" not in text and "/" not in text:
            cure = f"an IPv6 address stands in brackets, for example [{text.rpartition(':')[0]}]:9121"
        raise ListenError(f"cannot listen on {text[:100]!r}: {cure}")
    port = int(found["port"])
    if port > 65535:
        raise ListenError(f"cannot listen on {text!r}: a port is at most 65535")
    return ListenAddress(found["v6"] or found["host"] or "", port)


def bind(listen: str, *, fallback: bool = False) -> socket.socket:
    """Return a socket that listens on the address; with ``fallback`` on the next free port when it is in use.

    ``:9121`` listens on IPv6 and IPv4 where the machine has both, on IPv4 where it has only that. The port is taken
    when this returns: connections wait until a server serves the socket. Raises ``ListenError``.
    """
    wanted = parse_listen(listen)
    last = min(wanted.port + _TRIES, 65535) if fallback and wanted.port else wanted.port
    for port in range(wanted.port, last + 1):
        try:
            return _open(ListenAddress(wanted.host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == last:
                raise ListenError(_explain(wanted, last, error)) from None
    raise AssertionError("unreachable")  # pragma: no cover


def _open(where: ListenAddress) -> socket.socket:
    if where.host in _ALL:
        try:
            return _listening(socket.AF_INET6, ("::", where.port), dual=True)
        except OSError as error:
            # No IPv6 here, or it is switched off. A port in use is in use, whatever the family.
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENOPROTOOPT):
                raise
        return _listening(socket.AF_INET, ("0.0.0.0", where.port))  # noqa: S104  what ":9121" asks for
    found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    # A name such as localhost has both families; most clients try IPv4 in any case.
    family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return _listening(family, address)


def _listening(family: int, address: tuple[object, ...], *, dual: bool = False) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer waits 40 ms for an ACK.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(address)
        # Two sockets may be bound to one port with SO_REUSEADDR; only listening shows that it is taken.
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _explain(where: ListenAddress, last: int, error: OSError) -> str:
    place = f"cannot listen on {where}"
    if isinstance(error, socket.gaierror):
        return f"{place}: the host name does not resolve; use an address of this machine, or :{where.port} for all"
    if error.errno == errno.EADDRINUSE and last > where.port:
        return f"{place}: it is in use, and so are the ports up to {last}; choose another one (--listen)"
    if error.errno == errno.EADDRINUSE:
        other = ListenAddress(where.host, where.port + 1 if where.port < 65535 else where.port - 1)
        return (
            f"{place}: the port is in use, perhaps by another redis-pulse; stop that program "
            f"(`ss -ltnp 'sport = :{where.port}'` names it) or choose another port (--listen {other})"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{place}: not permitted; ports below 1024 want privileges, choose a higher one (--listen :9121)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{place}: this machine has no such address; use one it has, or :{where.port} for all of them"
    return f"{place}: {error.strerror or error}"


#: Connections accepted in one turn of the loop: pings are due meanwhile.
AT_ONCE = 32
#: Seconds until it is tried again when there was no descriptor, and between two lines that tell so.
PAUSE, QUIET = 1.0, 60.0
_log = log.get("web")


class Acceptor:
    """Gives every connection of a listening socket a protocol, until ``close``."""

    def __init__(self, sock: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        self._sock = sock
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._told: float | None = None
        self._is_closed = False
        self._resume()

    def close(self) -> None:
        """Take what waits in the queue of the kernel, for it would get a reset; then listen no more."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        while self._accept_one():
            pass
        self._sock.close()

    async def wait_closed(self) -> None:
        """Wait until every connection has its protocol."""
        await asyncio.gather(*self._tasks)

    def _resume(self) -> None:
        self._timer = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """Accept a connection; return whether to try for another one."""
        try:
            conn, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            self._wait(error)
            return False
        conn.setblocking(False)
        task = self._loop.create_task(self._begin(conn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _begin(self, conn: socket.socket) -> None:
        with suppress(OSError):  # it is gone already
            await self._loop.connect_accepted_socket(self._make, conn)

    def _wait(self, error: OSError) -> None:
        if not self._is_closed:
            self._loop.remove_reader(self._sock.fileno())  # it stays readable, and would wake us at once
            self._timer = self._loop.call_later(PAUSE, self._resume)
        now = self._loop.time()
        if self._told is not None and now - self._told < QUIET:
            return
        self._told = now
        cure = (
            f"the limit of open files is {file_descriptors.limit()}" if error.errno in file_descriptors.LACKING else ""
        )
        _log.error("clients must wait: no connection can be accepted", error=error.strerror, cure=cure)


#: uvicorn looks for the end of its work this often, twice while it stops.
_TICK = 0.25
#: Seconds for the name that we listen on to resolve.
_RESOLVED = 10.0
#: Seconds for what was accepted last of all to send its request: it was sent before we stopped, so it is here.
_LAST = 0.05


class HttpServer:
    """Serves an ASGI application on one address from ``start`` to ``stop``.

    ``listen`` is as ``parse_listen`` reads it. With ``fallback`` a port in use is no error: the next free one is taken.
    ``on_refused`` is called with one of ``limits.REFUSAL_REASONS`` for every client that asked too much.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: str,
        *,
        fallback: bool = False,
        limits: ConnectionLimits | None = None,
        on_refused: Callable[[str], None],
    ) -> None:
        self._listen = listen
        self._fallback = fallback
        self._port = 0
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        limits = limits or ConnectionLimits()
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
