"""Connections of redis-py for polls and subscriptions.

The implicit actions of redis-py are switched off: retries, CLIENT SETINFO, RESP3, and connecting inside the pool. Every
attempt to connect is timed and reported.
"""

import asyncio
import math
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from redis._parsers import _AsyncRESP2Parser
from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection, RedisSSLContext
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from redis_pulse.blocking import resolve
from redis_pulse.client.bounded_parser import BoundedParser, parser_factory
from redis_pulse.client.connect_limiter import ConnectLimiter, QueueTicket
from redis_pulse.client.credentials import Credentials, ServerLogin
from redis_pulse.client.error_mapping import is_error_reply
from redis_pulse.client.exchange import QuickExchange, pack_all
from redis_pulse.client.no_events import NO_EVENTS
from redis_pulse.client.permitted_addresses import permitted_addresses
from redis_pulse.client.tls import TlsContext
from redis_pulse.commands import Args
from redis_pulse.config import TargetSettings
from redis_pulse.config.networks import PermittedAddresses
from redis_pulse.file_descriptors import check_descriptor_available

#: The undocumented attributes of redis-py that this package reads or overrides, by the class that has them.
#: ``tests/client/test_pool.py`` fails when redis-py loses one.
REDIS_PY_INTERNALS: Final[tuple[tuple[type, tuple[str, ...]], ...]] = (
    (Connection, ("_connect", "_connection_arguments", "host", "port")),
    (Connection, ("_parser", "_writer", "_host_error", "check_health")),
    (Connection, ("health_check_interval", "next_health_check", "socket_connect_timeout")),
    (UnixDomainSocketConnection, ("_connect", "_parser", "_writer", "health_check_interval", "next_health_check")),
    (SSLConnection, ("_connect", "_connection_arguments", "ssl_context")),
    (RedisSSLContext, ("context",)),
    (BlockingConnectionPool, ("ensure_connection", "_available_connections", "_in_use_connections")),
    (_AsyncRESP2Parser, ("_read", "_read_response", "_readline", "_clear", "on_connect", "parse_error")),
    (ResponseError, ("status_code",)),
)

#: Seconds for one address of a host name that has several.
ADDRESS_TIMEOUT = 2.0
#: Receives the duration of every attempt to connect (DNS, TCP, TLS and AUTH together), and its error if it failed.
OnConnect = Callable[[float, BaseException | None], None]


class _InstrumentedConnection:
    """A connection that reports every attempt to connect to ``on_connect``."""

    def __init__(
        self, *, on_connect: OnConnect, connect_limiter: ConnectLimiter, credentials: Credentials | None, **options: Any
    ) -> None:
        self._on_attempt = on_connect
        self._connect_limiter = connect_limiter
        self._credentials = credentials
        self._login_provider = _LoginProvider()
        #: when another connection must take its place, by the clock of the event loop
        self.serves_until = math.inf
        #: the commands with the name of this client that were sent since it connected
        self.names_sent = set[Args]()
        self._is_unusual = False
        options["credential_provider"] = None if credentials is None else self._login_provider
        super().__init__(**options)

    @property
    def login(self) -> ServerLogin:
        """What the connection is logged in with."""
        return self._login_provider.login

    async def connect(self, ticket: QueueTicket | None = None) -> None:
        """Connect, unless it is connected. ``ticket`` tells whether it waits for the connect limiter."""
        if self.is_connected:  # type: ignore[attr-defined]
            return
        async with self._connect_limiter.acquire(ticket):
            await self._connect_now()

    async def send(self, commands: Sequence[Args]) -> None:
        """Send commands at once. The caller limits the time, so redis-py starts no task for it."""
        if self.health_check_interval:  # type: ignore[attr-defined]
            await self.check_health()  # type: ignore[attr-defined]
        writer = self._writer  # type: ignore[attr-defined]
        writer.write(pack_all(commands))
        if writer.transport.get_write_buffer_size():
            await writer.drain()

    def is_ready(self, names: Sequence[Args]) -> bool:
        """Whether ``exchange`` may send commands now. ``names`` are commands that must have been sent before."""
        connection: Any = self
        if not connection.is_connected or self._is_unusual or not self.names_sent.issuperset(names):
            return False
        if connection.health_check_interval and asyncio.get_running_loop().time() > connection.next_health_check:
            return False
        transport, parser = connection._writer.transport, connection._parser  # noqa: SLF001  # REDIS_PY_INTERNALS
        is_free = not transport.is_closing() and not transport.get_write_buffer_size()
        return is_free and bool(parser.is_fresh)

    def exchange(
        self, commands: Sequence[Args], on_reply: Callable[[Any], None], on_end: Callable[[int], None]
    ) -> QuickExchange:
        """Send commands without a task, and return the exchange that reads their replies."""
        transport = self._writer.transport  # type: ignore[attr-defined]
        exchange = QuickExchange(transport, self._parser, len(commands), on_reply)  # type: ignore[attr-defined]
        exchange.start(on_end)
        transport.write(pack_all(commands))
        return exchange

    def note_unusual(self) -> None:
        """Remember if hiredis must not read a reply. ``exchange`` is not used again then."""
        self._is_unusual = self._parser.is_careful  # type: ignore[attr-defined]

    async def read_replies(self, count: int, on_reply: Callable[[Any], None]) -> None:
        """Call ``on_reply`` with each of the next replies, with error replies as exceptions.

        The caller limits the time.
        """
        parser: BoundedParser = self._parser  # type: ignore[attr-defined]
        if parser.is_fresh:
            exchange = QuickExchange(self._writer.transport, parser, count, on_reply)  # type: ignore[attr-defined]
            count = await exchange.run()
        for _ in range(count):
            on_reply(await self.read_reply())

    async def read_reply(self) -> Any:
        """Return the next reply, with an error reply as an exception. The caller limits the time."""
        try:
            return await self._parser.read_response(disable_decoding=True)  # type: ignore[attr-defined]
        except TimeoutError:
            raise
        except OSError as error:
            host = self._host_error()  # type: ignore[attr-defined]
            raise RedisConnectionError(f"Error while reading from {host} : {error.args}") from error
        except Exception as error:
            if not is_error_reply(error):
                raise
            return error

    def replied(self) -> None:
        """Record that the server has replied just now, so that no PING must prove that the connection works."""
        if self.health_check_interval:  # type: ignore[attr-defined]
            self.next_health_check = asyncio.get_running_loop().time() + self.health_check_interval  # type: ignore[attr-defined]

    async def disconnect(self, nowait: bool = False, *arguments: Any, **named: Any) -> None:
        """Close it. With ``nowait``, TLS sends its last record, and the socket closes without the reply to it.

        redis-py would leave the socket of a silent server open for half a minute, or until the process ends.
        """
        writer = self._writer  # type: ignore[attr-defined]  # super() forgets it
        try:
            await super().disconnect(nowait, *arguments, **named)  # type: ignore[misc]
        finally:
            if nowait and writer is not None:
                writer.transport.abort()

    async def _connect_now(self) -> None:
        if self._credentials is None:
            await self._attempt()
            return
        started = monotonic()
        try:
            self._login_provider.login = await self._credentials.read()
        except BaseException as error:
            self._on_attempt(monotonic() - started, error)
            raise
        try:
            await self._attempt()
        except AuthenticationError:
            renewed = await self._credentials.after_rejection(self.login)
            if renewed is None:
                raise
            self._login_provider.login = renewed
            await self._attempt()
        self._credentials.accepted(self.login)
        self.serves_until = asyncio.get_running_loop().time() + self.login.life

    async def _attempt(self) -> None:
        started = monotonic()
        try:
            check_descriptor_available()
            await super().connect()  # type: ignore[misc]
        except BaseException as error:
            self._on_attempt(monotonic() - started, error)
            raise
        self.names_sent.clear()
        self._parser.allow_full_size()  # type: ignore[attr-defined]
        self.replied()
        self._on_attempt(monotonic() - started, None)


class _ResolvingConnection(_InstrumentedConnection):
    """Resolves the host name in a thread of this package, and tries one address after the other."""

    _address: str | None = None

    def __init__(self, *, permitted: PermittedAddresses | None, **options: Any) -> None:
        self._permitted = permitted
        super().__init__(**options)

    async def _connect(self) -> None:
        last_error: OSError = OSError("no address")
        async with asyncio.timeout(self.socket_connect_timeout):  # type: ignore[attr-defined]
            host, port = self.host, self.port  # type: ignore[attr-defined]
            found = await resolve(host, port, within=self.socket_connect_timeout)  # type: ignore[attr-defined]
            addresses = permitted_addresses(found, self._permitted)
            for _, address in addresses:
                self._address = host if "%" in host else address[0]  # address[0] lacks the scope of an IPv6 address
                try:
                    # A dead address must leave time for the next one.
                    async with asyncio.timeout(None if address is addresses[-1][1] else ADDRESS_TIMEOUT):
                        await super()._connect()  # type: ignore[misc]
                except ssl.SSLError:
                    raise  # the next address would show the same certificate
                except OSError as error:
                    last_error = error
                else:
                    return
        raise last_error

    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments = dict(super()._connection_arguments())  # type: ignore[misc]
        if self._address is not None:
            arguments["host"] = self._address
        return arguments


class _InstrumentedTcpConnection(_ResolvingConnection, Connection):
    pass


class _InstrumentedUnixConnection(_InstrumentedConnection, UnixDomainSocketConnection):
    pass


class _InstrumentedTlsConnection(_ResolvingConnection, SSLConnection):
    """TLS with one context for all connections of a target: making one reads the system's certificates, 10 ms."""

    def __init__(self, *, tls_context: TlsContext, server_name: str | None, **options: Any) -> None:
        super().__init__(**options)
        self._tls_context = tls_context
        self._server_name = server_name

    async def _connect(self) -> None:
        self.ssl_context.context = await self._tls_context.ready()
        await super()._connect()

    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments = dict(super()._connection_arguments())
        arguments["server_hostname"] = self._server_name or self.host
        return arguments


class ConnectionPool(BlockingConnectionPool):
    """A pool that never connects implicitly, so that a dead connection is an error that can be counted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: how many tasks wait for a connection
        self._waiting = 0
        self._closing: set[asyncio.Task[None]] = set()

    async def ensure_connection(self, connection: Any) -> None:
        """Do nothing: the caller of ``take`` connects it."""

    async def take(self) -> Any:
        """Return a connection. An idle one needs no lock, because nothing else runs meanwhile."""
        if self._available_connections and not self._waiting:
            return self.get_available_connection()  # type: ignore[no-untyped-call]
        self._waiting += 1
        try:
            return await self.get_connection()  # type: ignore[no-untyped-call]
        finally:
            self._waiting -= 1

    async def give_back(self, connection: Any) -> None:
        """Let others take a connection."""
        if self._waiting:
            await self.release(connection)
        else:
            self._in_use_connections.remove(connection)
            self._available_connections.append(connection)

    @property
    def idle(self) -> Any:
        """The connection that is used next. It is None if tasks wait for one, or if a surplus one must be closed."""
        *surplus, newest = self._available_connections or (None,)
        return None if self._waiting or any(one.is_connected for one in surplus) else newest

    def take_idle(self) -> Any:
        """Return the connection ``idle``."""
        return self.get_available_connection()  # type: ignore[no-untyped-call]

    def give_back_soon(self, connection: Any, *, close: bool) -> None:
        """Let others take a connection, from outside of a task. ``close`` it before that."""
        if close or self._waiting:
            task = asyncio.get_running_loop().create_task(self._give_back(connection, close=close))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        else:
            self._in_use_connections.remove(connection)
            self._available_connections.append(connection)

    async def _give_back(self, connection: Any, *, close: bool) -> None:
        if close:
            await connection.disconnect(nowait=True)
        await self.give_back(connection)

    async def close_surplus(self) -> None:
        """Close all idle connections but the one that is used next: two at once are rarely needed."""
        for connection in self._available_connections[:-1]:
            if connection in self._available_connections:
                await connection.disconnect(nowait=True)

    async def close_all(self) -> None:
        """Close every connection without waiting for the server."""
        for connection in (*self._available_connections, *self._in_use_connections):
            with suppress(Exception):
                await connection.disconnect(nowait=True)


class _LoginProvider(CredentialProvider):
    """Gives redis-py the login that its connection has read."""

    def __init__(self) -> None:
        self.login = ServerLogin()

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        raise NotImplementedError  # only connections of asyncio use it

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        username, password = self.login.username, self.login.password
        if password is None:
            # A password file without an entry for this server. redis-py sends no AUTH for an empty tuple.
            return ()  # type: ignore[return-value]
        return (username, password) if username else (password,)


def connection_factory(
    settings: TargetSettings, db: int, tls_context: TlsContext, credentials: Credentials
) -> tuple[Callable[..., AbstractConnection], dict[str, Any]]:
    """Return the class of the connections to a target, and its arguments.

    ``on_connect`` and ``connect_limiter`` are not among the arguments.
    """
    endpoint = settings.endpoint
    options: dict[str, Any] = {
        "db": db,
        "credentials": credentials if settings.has_login else None,
        "protocol": 2,
        "parser_class": parser_factory(settings.poll.max_reply),
        "driver_info": None,
        "retry": Retry(NoBackoff(), 0),
        "event_dispatcher": NO_EVENTS,
        "socket_connect_timeout": settings.connection.socket_connect_timeout,
    }
    if endpoint.kind == "unix":
        return _InstrumentedUnixConnection, {**options, "path": str(endpoint.path)}
    options |= {
        "host": endpoint.host,
        "port": endpoint.port,
        "permitted": settings.permitted,
        "socket_keepalive": settings.connection.socket_keepalive,
    }
    if endpoint.tls:
        tls_options = {"tls_context": tls_context, "server_name": settings.tls.server_name}
        return _InstrumentedTlsConnection, {**options, **tls_options}
    return _InstrumentedTcpConnection, options


def make_pool(
    settings: TargetSettings,
    db: int,
    on_connect: OnConnect,
    *,
    tls_context: TlsContext,
    credentials: Credentials,
    connect_limiter: ConnectLimiter,
) -> ConnectionPool:
    """Return the pool for one database of a target. Polls use it, probes do not."""
    kind, options = connection_factory(settings, db, tls_context, credentials)
    connection = settings.connection
    return ConnectionPool(
        max_connections=connection.max_connections,
        timeout=None,  # the deadline of the operation limits the wait
        connection_class=kind,
        socket_timeout=connection.socket_timeout,
        health_check_interval=connection.health_check_interval,
        on_connect=on_connect,
        connect_limiter=connect_limiter,
        **options,
    )
