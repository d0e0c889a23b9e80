"""Connections of redis-py, without its hidden help: no retries, no CLIENT SETINFO, RESP2, each connect timed."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

from exporter.client.ramp import Place, Ramp
from exporter.client.replies import bounded
from exporter.config import TargetSettings, Tls

#: Told about every attempt to connect (DNS, TCP, TLS, AUTH together): its seconds, and what went wrong.
OnConnect = Callable[[float, BaseException | None], None]


class _Timed:
    """A connection whose every attempt to connect is told to ``on_connect``."""

    def __init__(self, *, on_connect: OnConnect, ramp: Ramp, **options: Any) -> None:
        self._on_attempt = on_connect
        self._ramp = ramp
        super().__init__(**options)

    async def connect(self, place: Place | None = None) -> None:
        """Connect when it is its turn, unless it is connected; ``place`` tells whether it waits for that."""
        if self.is_connected:  # type: ignore[attr-defined]
            return
        async with self._ramp.turn(place):
            await self._connect_now()

    async def _connect_now(self) -> None:
        started = monotonic()
        try:
            await super().connect()  # type: ignore[misc]
        except BaseException as error:
            self._on_attempt(monotonic() - started, error)
            raise
        self._parser.widen()  # type: ignore[attr-defined]
        if self.health_check_interval:  # type: ignore[attr-defined]
            # A connection that was just made needs no PING to prove that it lives.
            self.next_health_check = asyncio.get_running_loop().time() + self.health_check_interval  # type: ignore[attr-defined]
        self._on_attempt(monotonic() - started, None)


class _TimedTcp(_Timed, Connection):
    pass


class _TimedUnix(_Timed, UnixDomainSocketConnection):
    pass


class _TimedTls(_Timed, SSLConnection):
    """TLS with one context for all connections of a target: making one reads the system's certificates, 10 ms."""

    def __init__(self, *, context: Callable[[], ssl.SSLContext], server_name: str | None, **options: Any) -> None:
        super().__init__(**options)
        self._make_context = context
        self._server_name = server_name

    def _connection_arguments(self) -> Mapping[str, Any]:
        self.ssl_context.context = self._make_context()
        arguments = dict(super()._connection_arguments())
        if self._server_name:
            arguments["server_hostname"] = self._server_name
        return arguments


class Pool(BlockingConnectionPool):
    """A pool that never connects behind our back: a dead connection is an error, and is seen."""

    async def ensure_connection(self, connection: Any) -> None:
        """Leave it as it is: whoever takes it connects it."""


class TlsContext:
    """Makes the TLS context of a target, anew when one of its files has changed (a rotated certificate)."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._stamps: list[float] = []
        self._context: ssl.SSLContext | None = None

    def __call__(self) -> ssl.SSLContext:
        """Return the context. Raises OSError or ssl.SSLError when a file is missing or wrong."""
        files = (self._tls.ca_file, self._tls.cert_file, self._tls.key_file)
        stamps = [Path(file).stat().st_mtime for file in files if file]
        if self._context is None or stamps != self._stamps:
            self._context, self._stamps = self._make(), stamps
        return self._context

    def _make(self) -> ssl.SSLContext:
        tls = self._tls
        context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
        verify = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
        context.check_hostname = tls.check_hostname and tls.cert_reqs != "none"
        context.verify_mode = verify[tls.cert_reqs]
        if tls.cert_file:
            context.load_cert_chain(str(tls.cert_file), str(tls.key_file) if tls.key_file else None)
        return context


class _Credentials(CredentialProvider):
    """The credentials of a target, read anew for each connection: a rotated password file needs no restart."""

    def __init__(self, settings: TargetSettings) -> None:
        self._settings = settings

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        try:
            username, password = self._settings.credentials()
        except OSError as error:
            raise AuthenticationError(f"cannot read the password file: {error.strerror}") from None
        if password is None:
            return ()  # type: ignore[return-value]  # nothing to say: redis-py sends no AUTH then
        return (username, password) if username else (password,)


def how(
    settings: TargetSettings, db: int, context: TlsContext
) -> tuple[Callable[..., AbstractConnection], dict[str, Any]]:
    """Return the class of the connections to a target, and what to make them with (besides ``on_connect``)."""
    endpoint = settings.endpoint
    options: dict[str, Any] = {
        "db": db,
        "credential_provider": _Credentials(settings),
        "protocol": 2,
        "parser_class": bounded(settings.poll.max_reply),
        "driver_info": None,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": settings.connection.socket_connect_timeout,
    }
    if endpoint.kind == "unix":
        return _TimedUnix, {**options, "path": str(endpoint.path)}
    options |= {
        "host": endpoint.host,
        "port": endpoint.port,
        "socket_keepalive": settings.connection.socket_keepalive,
    }
    if endpoint.tls:
        return _TimedTls, {**options, "context": context, "server_name": settings.tls.server_name}
    return _TimedTcp, options


def make_pool(settings: TargetSettings, db: int, on_connect: OnConnect, *, context: TlsContext, ramp: Ramp) -> Pool:
    """Make the pool of a database of a target: for polls, not for probes."""
    kind, options = how(settings, db, context)
    connection = settings.connection
    return Pool(
        max_connections=connection.max_connections,
        timeout=None,  # the deadline of the operation bounds the wait
        connection_class=kind,  # type: ignore[arg-type]  # whatever makes connections
        socket_timeout=connection.socket_timeout,
        health_check_interval=connection.health_check_interval,
        on_connect=on_connect,
        ramp=ramp,
        **options,
    )
