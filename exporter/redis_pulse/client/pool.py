"""Connections of redis-py, without its hidden help: no retries, no CLIENT SETINFO, RESP2, each connect timed.

So many connects at once and no more, over all targets: a thousand at once would spoil each other's measurement.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from redis_pulse.blocking import FILES, BlockedError, regular, resolve
from redis_pulse.client.bounded_parser import bounded
from redis_pulse.client.credentials import FIRST_DEADLINE, KNOWN_DEADLINE, Credentials
from redis_pulse.config import TargetSettings, TlsSettings
from redis_pulse.file_descriptors import check_room

#: A connect that hangs costs nothing, so it gives its place back after so many seconds.
MAX_CONCURRENT, MAX_HOLD_SECONDS = 50, 0.1


class QueueTicket:
    """Where somebody stands who may have to wait for a turn: cut off while he waits, it was our queue that was slow."""

    __slots__ = ("is_waiting",)

    def __init__(self) -> None:
        self.is_waiting = False


class ConnectLimiter:
    """Lets ``at_once`` connects begin; each makes room for the next when it is over, or ``longest`` seconds old."""

    def __init__(self, at_once: int = MAX_CONCURRENT, longest: float = MAX_HOLD_SECONDS) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._longest = longest

    @asynccontextmanager
    async def acquire(self, place: QueueTicket | None = None) -> AsyncIterator[None]:
        """Wait for a turn and hold it for as long as the block lasts, or a little; ``place`` tells whether it waits."""
        place = place or QueueTicket()
        place.is_waiting = True
        await self._places.acquire()
        place.is_waiting = False
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._places.release()

        timer = asyncio.get_running_loop().call_later(self._longest, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()


#: Seconds for one address of a name, when there are more.
ADDRESS_TIMEOUT = 2.0
#: Told about every attempt to connect (DNS, TCP, TLS, AUTH together): its seconds, and what went wrong.
OnConnect = Callable[[float, BaseException | None], None]


class _InstrumentedConnection:
    """A connection whose every attempt to connect is told to ``on_connect``."""

    def __init__(self, *, on_connect: OnConnect, ramp: ConnectLimiter, **options: Any) -> None:
        self._on_attempt = on_connect
        self._ramp = ramp
        super().__init__(**options)

    async def connect(self, place: QueueTicket | None = None) -> None:
        """Connect when it is its turn, unless it is connected; ``place`` tells whether it waits for that."""
        if self.is_connected:  # type: ignore[attr-defined]
            return
        async with self._ramp.acquire(place):
            await self._connect_now()

    async def _connect_now(self) -> None:
        started = monotonic()
        try:
            check_room()
            await super().connect()  # type: ignore[misc]
        except BaseException as error:
            self._on_attempt(monotonic() - started, error)
            raise
        self._parser.widen()  # type: ignore[attr-defined]
        if self.health_check_interval:  # type: ignore[attr-defined]
            # A connection that was just made needs no PING to prove that it lives.
            self.next_health_check = asyncio.get_running_loop().time() + self.health_check_interval  # type: ignore[attr-defined]
        self._on_attempt(monotonic() - started, None)


class _Resolving(_InstrumentedConnection):
    """Resolves the name in a thread of ours, and tries one address after the other."""

    _at: str | None = None

    async def _connect(self) -> None:
        last: OSError = OSError("no address")
        async with asyncio.timeout(self.socket_connect_timeout):  # type: ignore[attr-defined]
            host, port = self.host, self.port  # type: ignore[attr-defined]
            found = await resolve(host, port, within=self.socket_connect_timeout)  # type: ignore[attr-defined]
            for _, address in found:
                self._at = host if "%" in host else address[0]  # a scope is not a part of the address
                try:
                    # A dead address must leave time for the next one.
                    async with asyncio.timeout(None if address is found[-1][1] else ADDRESS_TIMEOUT):
                        await super()._connect()  # type: ignore[misc]
                except ssl.SSLError:
                    raise  # the next address would show the same certificate
                except OSError as error:
                    last = error
                else:
                    return
        raise last

    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments = dict(super()._connection_arguments())  # type: ignore[misc]
        if self._at is not None:
            arguments["host"] = self._at
        return arguments


class _InstrumentedTcpConnection(_Resolving, Connection):
    pass


class _InstrumentedUnixConnection(_InstrumentedConnection, UnixDomainSocketConnection):
    pass


class _InstrumentedTlsConnection(_Resolving, SSLConnection):
    """TLS with one context for all connections of a target: making one reads the system's certificates, 10 ms."""

    def __init__(self, *, context: "TlsContext", server_name: str | None, **options: Any) -> None:
        super().__init__(**options)
        self._tls_context = context
        self._server_name = server_name

    async def _connect(self) -> None:
        self.ssl_context.context = await self._tls_context.ready()
        await super()._connect()

    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments = dict(super()._connection_arguments())
        arguments["server_hostname"] = self._server_name or self.host
        return arguments


class ConnectionPool(BlockingConnectionPool):
    """A pool that never connects behind our back: a dead connection is an error, and is seen."""

    async def ensure_connection(self, connection: Any) -> None:
        """Leave it as it is: whoever takes it connects it."""

    async def hang_up(self, within: float) -> None:
        """Close every connection, each by itself, and wait for no peer.

        TLS says goodbye in the background. A connection that is not closed ``within`` seconds is cut off.
        """
        for connection in (*self._available_connections, *self._in_use_connections):
            writer = connection._writer  # noqa: SLF001  # disconnecting forgets it
            with suppress(Exception):
                await connection.disconnect(nowait=True)
            if writer is not None:
                asyncio.get_running_loop().call_later(within, writer.transport.abort)


#: Bytes of a file of certificates or keys; the bundle of a system has 300 KB.
_LARGEST = 10_000_000


class TlsContext:
    """Makes the TLS context of a target, anew when one of its files has changed (a rotated certificate)."""

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._stamps: list[float] = []
        self._context: ssl.SSLContext | None = None

    async def ready(self) -> ssl.SSLContext:
        """Return the context, made in a thread; the one before when a file does not answer in time."""
        try:
            within = FIRST_DEADLINE if self._context is None else KNOWN_DEADLINE
            # All settings are in the key: whoever comes meanwhile gets this context, and it must check as much.
            return await FILES.run(("tls", self._tls.model_dump_json()), self, within=within)
        except BlockedError:
            if self._context is None:
                raise ssl.SSLError("cannot read the files of certificates: no answer in time") from None
            return self._context

    @property
    def _files(self) -> tuple[Any, ...]:
        return (self._tls.ca_file, self._tls.cert_file, self._tls.key_file)

    def __call__(self) -> ssl.SSLContext:
        """Return the context; reads files. Raises OSError or ssl.SSLError when a file is missing or wrong."""
        stamps = []
        for status in (regular(file) for file in self._files if file):
            if status.st_size > _LARGEST:
                raise OSError(f"a file of certificates is longer than {_LARGEST} bytes")
            stamps.append(status.st_mtime)
        if self._context is None or stamps != self._stamps:
            self._context, self._stamps = self._make(), stamps
        return self._context

    def _make(self) -> ssl.SSLContext:
        tls = self._tls
        check_room()  # without a descriptor the system's certificates are left out in silence
        context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
        verify = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
        context.check_hostname = tls.check_hostname and tls.cert_reqs != "none"
        context.verify_mode = verify[tls.cert_reqs]
        if tls.cert_file:
            context.load_cert_chain(str(tls.cert_file), str(tls.key_file) if tls.key_file else None)
        return context


class _Credentials(CredentialProvider):
    """The credentials of a target, as redis-py asks for them."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        raise NotImplementedError  # it would read a file on the event loop

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        username, password = await self._credentials.read()
        if password is None:
            return ()  # type: ignore[return-value]  # nothing to say: redis-py sends no AUTH then
        return (username, password) if username else (password,)


def connection_factory(
    settings: TargetSettings, db: int, context: TlsContext, credentials: Credentials
) -> tuple[Callable[..., AbstractConnection], dict[str, Any]]:
    """Return the class of the connections to a target, and what to make them with (besides ``on_connect``)."""
    endpoint = settings.endpoint
    options: dict[str, Any] = {
        "db": db,
        "credential_provider": _Credentials(credentials),
        "protocol": 2,
        "parser_class": bounded(settings.poll.max_reply),
        "driver_info": None,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": settings.connection.socket_connect_timeout,
    }
    if endpoint.kind == "unix":
        return _InstrumentedUnixConnection, {**options, "path": str(endpoint.path)}
    options |= {
        "host": endpoint.host,
        "port": endpoint.port,
        "socket_keepalive": settings.connection.socket_keepalive,
    }
    if endpoint.tls:
        return _InstrumentedTlsConnection, {**options, "context": context, "server_name": settings.tls.server_name}
    return _InstrumentedTcpConnection, options


def make_pool(
    settings: TargetSettings,
    db: int,
    on_connect: OnConnect,
    *,
    context: TlsContext,
    credentials: Credentials,
    ramp: ConnectLimiter,
) -> ConnectionPool:
    """Make the pool of a database of a target: for polls, not for probes."""
    kind, options = connection_factory(settings, db, context, credentials)
    connection = settings.connection
    return ConnectionPool(
        max_connections=connection.max_connections,
        timeout=None,  # the deadline of the operation bounds the wait
        connection_class=kind,  # type: ignore[arg-type]  # whatever makes connections
        socket_timeout=connection.socket_timeout,
        health_check_interval=connection.health_check_interval,
        on_connect=on_connect,
        ramp=ramp,
        **options,
    )
