"""Serve the pages: open the listening socket, accept connections, and run uvicorn in the event loop of the daemon.

uvicorn gets our socket and our connection limits, and it leaves signals to the daemon.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from redis_pulse import file_descriptors, log
from redis_pulse.blocking import NAMES, BlockedError
from redis_pulse.config import ListenAddress, parse_listen
from redis_pulse.web.acceptor import Acceptor
from redis_pulse.web.connection_accounting import Client, ConnectionAccounting
from redis_pulse.web.connection_limits import ConnectionLimits, limited_protocol
from redis_pulse.web.tls import TlsSource

#: Clients that may wait to be accepted. If there are more, the kernel ignores a new client, which tries again after
#: a second. So an attacker who connects very often could delay a scraper.
_BACKLOG = 1024
#: Bytes that the kernel keeps for a client that does not read. It takes twice as much, and its default is megabytes.
#: They count as memory of the container. A client that reads gets a larger buffer.
_SEND_BUFFER = 64 * 1024
#: Ports that are tried if the first one is in use.
_MAX_FALLBACK_PORTS = 100
#: Hosts that mean every address of the machine.
_ALL_ADDRESSES = ("", "*", "::")
#: Seconds for the host name of the listen address to resolve.
_RESOLVE_TIMEOUT = 10.0
#: uvicorn checks this often whether it has finished, twice while it stops.
_TICK = 0.25
#: Seconds for the connections that were accepted last to send their requests. They sent them before the stop.
_LAST_REQUESTS = 0.05
#: Turns of the event loop after it.
_LAST_TURNS = 10

_log = log.get("web")


class ListenError(Exception):
    """The daemon cannot listen on an address. ``str(error)`` has the address, the reason and a hint."""


class HttpServer:
    """Serves an ASGI application on one address, from ``start`` to ``stop``.

    ``listen`` is an address as ``config.parse_listen`` accepts it.
    With ``fallback`` the next free port is used if the port is in use.
    ``on_refused`` is called with one of ``REFUSAL_REASONS`` for every client that exceeds ``limits``.
    ``tls`` gives each new connection its TLS. Without it the pages are plain HTTP.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: str,
        *,
        fallback: bool = False,
        limits: ConnectionLimits | None = None,
        tls: TlsSource | None = None,
        on_refused: Callable[[str], None],
    ) -> None:
        self._listen = listen
        self._fallback = fallback
        self._port = 0
        self._tls = tls
        self._server: _UvicornServer | None = None
        self._task: asyncio.Task[None] | None = None
        limits = limits or ConnectionLimits()
        self._accounting = ConnectionAccounting(
            limits.clients, time.monotonic, on_closed=partial(on_refused, "too_many_connections")
        )
        self._config: dict[str, Any] = {
            "app": app,
            "http": limited_protocol(limits, on_refused),
            "timeout_keep_alive": limits.keep_alive,
            "interface": "asgi3",
            "loop": "none",
            "ws": "none",
            "lifespan": "off",
            "log_config": None,
            "log_level": logging.ERROR,
            "access_log": False,
            "server_header": False,
            "date_header": False,  # ``main_loop`` of uvicorn would set it; ``app`` adds the header instead
            "proxy_headers": False,
        }

    async def start(self) -> None:
        """Open the socket, and return when requests are served. Raises ``ListenError``."""
        try:
            listen = partial(bind, self._listen, fallback=self._fallback)
            sock = await NAMES.run(("listen", self._listen, object()), listen, within=_RESOLVE_TIMEOUT)
        except BlockedError:
            raise ListenError(f"cannot listen on {self._listen}: the host name does not resolve in time") from None
        self._port = int(sock.getsockname()[1])
        self._server = _UvicornServer(uvicorn.Config(**self._config), self._accounting, self._tls)
        file_descriptors.on_shortage = self._accounting.close_half
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]), name="http server")
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait({self._task, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            serving.cancel()
            sock.close()
            await self._task
            raise RuntimeError("the HTTP server ended before it served")  # pragma: no cover
        self._task.add_done_callback(self._on_ended)

    @property
    def port(self) -> int:
        """The port in use, also if the address has port 0. It is 0 before ``start``."""
        return self._port

    @property
    def connections(self) -> set[Any]:
        """The protocols of all clients."""
        return set() if self._server is None else self._server.server_state.connections

    @property
    def page_bytes(self) -> int:
        """The bytes of the pages that are being sent now. A page that several clients fetch counts once."""
        return self._accounting.page_bytes

    async def stop(self, grace: float = 2.0) -> None:
        """Accept no more connections, wait ``grace`` seconds for responses in progress, then cut off the rest."""
        server, task = self._server, self._task
        if server is None or task is None:
            return
        self._server = self._task = None
        file_descriptors.on_shortage = None
        server.should_exit = True
        server.stopping.set()
        await asyncio.wait({task}, timeout=max(grace, _TICK))
        if not task.done():
            server.force_exit = True
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            for request in list(server.server_state.tasks):
                request.cancel()
            await asyncio.wait({task}, timeout=2 * _TICK)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _on_ended(self, task: "asyncio.Task[None]") -> None:
        if self._task is task and not task.cancelled():
            _log.error("the HTTP server has stopped by itself", exc_info=task.exception())


class _UvicornServer(uvicorn.Server):
    """uvicorn's server with two events: ``serving`` is set when it serves, and it stops when ``stopping`` is set.

    It accepts connections with ``Acceptor``, and it does not handle signals.
    """

    def __init__(self, config: uvicorn.Config, accounting: ConnectionAccounting, tls: TlsSource | None) -> None:
        super().__init__(config)
        self._accounting = accounting
        self._tls = tls
        self.serving = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        def make_protocol(client: Client) -> asyncio.Protocol:
            protocol: Any = self.config.http_protocol_class
            return protocol(  # type: ignore[no-any-return]
                client=client, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        # ``Acceptor`` has all methods of a server that uvicorn calls.
        self.servers = [
            Acceptor(sock, make_protocol, self._accounting, self._tls)  # type: ignore[misc]
            for sock in sockets or ()
        ]
        self.started = True
        self.serving.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await asyncio.sleep(_LAST_REQUESTS)
        for _ in range(_LAST_TURNS):  # on a busy machine the time may be over before the requests are read
            await asyncio.sleep(0)
        await super().shutdown(sockets)

    async def main_loop(self) -> None:
        # uvicorn would check ten times a second whether to stop. That is two thirds of the work of an idle daemon.
        await self.stopping.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(listen: str, *, fallback: bool = False) -> socket.socket:
    """Return a socket that listens on the address. With ``fallback`` it uses the next free port if that is in use.

    ``:9121`` listens on IPv6 and IPv4, or on IPv4 alone if the machine has no IPv6. From now on the kernel accepts
    connections. They wait until a server serves the socket. Raises ``ListenError``.
    """
    try:
        address = parse_listen(listen)
    except ValueError as error:
        raise ListenError(f"cannot listen on {listen[:100]!r}: it {error}") from None
    last_port = min(address.port + _MAX_FALLBACK_PORTS, 65535) if fallback and address.port else address.port
    for port in range(address.port, last_port + 1):
        try:
            return _open(ListenAddress(address.host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == last_port:
                raise ListenError(_describe_failure(address, last_port, error)) from None
    raise AssertionError("unreachable")  # pragma: no cover


def _open(address: ListenAddress) -> socket.socket:
    if address.host in _ALL_ADDRESSES:
        try:
            return _listen_on(socket.AF_INET6, ("::", address.port), dual=True)
        except OSError as error:
            # The machine has no IPv6, or it is switched off. A port that is in use is so for both families.
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENOPROTOOPT):
                raise
        return _listen_on(socket.AF_INET, ("0.0.0.0", address.port))  # noqa: S104  ":9121" means all addresses
    infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    # A name such as localhost has both families. Most clients try IPv4 in any case.
    family, _, _, _, sockaddr = min(infos, key=lambda info: info[0] != socket.AF_INET)
    return _listen_on(family, sockaddr)


def _listen_on(family: int, sockaddr: tuple[object, ...], *, dual: bool = False) -> socket.socket:
    # asyncio sets TCP_NODELAY only if the protocol is named. Without it every response waits 40 ms for an ACK.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(sockaddr)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)  # its connections inherit it
        # With SO_REUSEADDR two sockets can be bound to one port. Only listening shows that the port is in use.
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _describe_failure(address: ListenAddress, last_port: int, error: OSError) -> str:
    """Return the text of a ``ListenError``."""
    problem = f"cannot listen on {address}"
    if isinstance(error, socket.gaierror):
        return f"{problem}: the host name does not resolve; use an address of this machine, or :{address.port} for all"
    if error.errno == errno.EADDRINUSE and last_port > address.port:
        return f"{problem}: it is in use, and so are the ports up to {last_port}; choose another one (--listen)"
    if error.errno == errno.EADDRINUSE:
        other = ListenAddress(address.host, address.port + 1 if address.port < 65535 else address.port - 1)
        return (
            f"{problem}: the port is in use, perhaps by another redis-pulse; stop that program "
            f"(`ss -ltnp 'sport = :{address.port}'` names it) or choose another port (--listen {other})"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{problem}: not permitted; ports below 1024 need privileges, choose a higher one (--listen :9121)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{problem}: this machine has no such address; use one that it has, or :{address.port} for all"
    return f"{problem}: {error.strerror or error}"
