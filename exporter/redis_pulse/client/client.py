"""The session with one target: deadlines, the circuit breaker, reconnect delays and error mapping.

There are two ways to the server. ``commands()`` serves polls and uses a small connection pool of redis-py.
``connect_probe()`` makes a separate, bare connection for pings.

Nothing is retried implicitly. A read that failed on a dead pooled connection is sent again, within its deadline. That
retry is counted.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import monotonic, time_ns
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from redis_pulse.backoff import Backoff
from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client.client_name import ClientNaming
from redis_pulse.client.credentials import Credentials
from redis_pulse.client.error_mapping import (
    HINT_CLIENT_CERTIFICATE,
    HINT_TRY_PLAIN,
    HINT_TRY_TLS,
    ErrorMapper,
    is_error_reply,
    with_hint,
)
from redis_pulse.client.operation_commands import GuardedCall, OperationCommands
from redis_pulse.client.pool import ConnectionPool, ConnectLimiter, QueueTicket, make_pool
from redis_pulse.client.probe_connect import OnPhase, Phase, ProbeConnector
from redis_pulse.client.probe_connection import ProbeConnection, encode_command
from redis_pulse.client.tls import TlsContext
from redis_pulse.commands import Args, is_read
from redis_pulse.config import TargetSettings
from redis_pulse.errors import (
    AuthError,
    ConnectionResetByTargetError,
    MaxClientsError,
    OperationTimeoutError,
    SkippedError,
    TargetError,
)
from redis_pulse.file_descriptors import count_shortage

#: Seconds: the first reconnect delay is at most BASE, and no delay is longer than CAP.
RECONNECT_BASE, RECONNECT_CAP = 0.1, 5.0
#: Seconds until a connection that does not close is aborted.
CLOSE_TIMEOUT = 0.5


class ClientObserver(Protocol):
    """Receives the events of a client. The client never calls a higher layer directly."""

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Record an attempt to connect: its duration, and its error if it failed."""
        ...

    def retried(self, operation: str) -> None:
        """Record a read that is sent a second time."""
        ...


class NullClientObserver:
    """Ignores the events of a client, for connections that are not counted."""

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Ignore an attempt to connect."""

    def retried(self, operation: str) -> None:
        """Ignore a retry."""


class TargetClient:
    """A session with one target, for one event loop.

    ``clock`` is monotonic, in seconds. ``wall_clock`` returns nanoseconds of CLOCK_REALTIME.
    """

    def __init__(
        self,
        target: TargetSettings,
        breaker: CircuitBreaker,
        observer: ClientObserver,
        *,
        clock: Callable[[], float] = monotonic,
        wall_clock: Callable[[], int] = time_ns,
        backoff: Backoff | None = None,
        connect_limiter: ConnectLimiter | None = None,
    ) -> None:
        self.target = target
        #: limits the concurrent connects of all targets together
        self.connect_limiter = connect_limiter or ConnectLimiter()
        self._breaker = breaker
        self._observer = observer
        self._clock = clock
        self._wall_clock = wall_clock
        self._tls_context = TlsContext(target.tls)
        self._credentials = Credentials(target)
        self._probe_connector = ProbeConnector(target, self._tls_context.ready, self._credentials, clock)
        self._uses_tls = target.endpoint.tls
        self._backoff = backoff or Backoff(RECONNECT_BASE, RECONNECT_CAP)
        #: how many connections the polls have made; a new connection may lead to another server
        self.connects = 0
        self._reconnect_after = self._connect_failed_at = 0.0
        self._connect_error: TargetError | None = None
        self._pools: dict[int, ConnectionPool] = {}  # by database
        #: the commands that tell the server the name of this client
        self.naming = ClientNaming()
        #: those of them that were sent, by connection
        self._names_sent: WeakKeyDictionary[AbstractConnection, set[Args]] = WeakKeyDictionary()
        #: usual name of a command → its name on this server
        self._renamed_commands = {name.upper(): word.get_secret_value() for name, word in target.commands.items()}
        self._error_mapper = ErrorMapper(target, self._credentials, self._renamed_commands)
        #: the last phase of the newest probe connect that ended or was cut off
        self._last_phase = ""
        #: whether a poll ever received a reply; if so, the scheme of the URL is right
        self._has_replied = False
        self._hangs_in_tls = False

    def start_call(self) -> GuardedCall:
        """Request a permit for one call of several commands, and return the call. Use it in a ``with`` statement."""
        return GuardedCall(self._breaker)

    def commands(self, operation: str, deadline: float, call: GuardedCall | None = None) -> OperationCommands:
        """Return the ``Commands`` port of one operation, which must end by ``deadline`` (in seconds of the clock).

        The commands belong to ``call``. Without one, each exchange is a call.
        """
        return OperationCommands(self, operation, deadline, call)

    def reconnect_delay_error(self) -> TargetError | None:
        """Return the error of the newest attempt to connect while its backoff lasts, or None if connecting is allowed.

        When the breaker is not closed, its schedule decides. If it has closed since that attempt, the target replied.
        """
        breaker = self._breaker
        if breaker.state != "closed" or breaker.closed_since > self._connect_failed_at:
            return None
        return self._connect_error if self._clock() < self._reconnect_after else None

    async def execute_batch(
        self,
        commands: Sequence[Args],
        operation: str,
        deadline: float,
        db: int | None = None,
        ticket: QueueTicket | None = None,
        call: GuardedCall | None = None,
    ) -> list[Any]:
        """Send commands at once and return their replies in order, with error replies as values.

        The commands belong to ``call``, or are one call. Raises TargetError, as ``attempt`` does, when there is no
        reply.
        """
        if call is None:
            with self.start_call() as own_call:
                return await self.execute_batch(commands, operation, deadline, db, ticket, own_call)
        ticket = ticket or QueueTicket()
        async with self.attempt(call, deadline - self._clock(), ticket):
            replies = await self._send_with_retries(commands, operation, deadline, db, ticket)
        for reply in replies:
            if isinstance(reply, TargetError):
                call.record_error(reply)
        return replies

    @asynccontextmanager
    async def attempt(self, call: GuardedCall, within: float, ticket: QueueTicket | None = None) -> AsyncIterator[None]:
        """Run one attempt of ``call``, for at most ``within`` seconds, and record its verdict in the call.

        Raises TargetError without an attempt while the backoff of connecting lasts or the breaker is open. It is the
        error that caused that state. Raises OperationTimeoutError after ``within`` seconds. Raises SkippedError instead
        if ``ticket`` was still waiting for the connect limiter: that queue is not the target's fault.
        """
        if (delay_error := self.reconnect_delay_error()) is not None:
            raise delay_error.untried()
        call.check()
        try:
            try:
                async with asyncio.timeout(max(0.0, within)):
                    yield
            except TimeoutError:
                if ticket is not None and ticket.is_waiting:
                    raise SkippedError("too many connects at once") from None
                raise self._with_hint(OperationTimeoutError("no answer in time")) from None
        except TargetError as error:
            call.record_error(error)
            raise
        call.record_reply()

    async def _send_with_retries(
        self, commands: Sequence[Args], operation: str, deadline: float, db: int | None, ticket: QueueTicket
    ) -> list[Any]:
        """Send commands. Reads are sent again after a lost connection, at most ``poll.retries`` times."""
        target = self.target
        retries = target.poll.retries if all(map(is_read, commands)) else 0
        database = target.db if db is None else db
        while True:
            try:
                return await self._send(commands, database, ticket, target.connection.socket_timeout)
            except (ConnectionResetByTargetError, OperationTimeoutError) as error:
                timed_out = isinstance(error, OperationTimeoutError)
                if retries <= 0 or (timed_out and not target.connection.retry_on_timeout):
                    raise
                if self._clock() >= deadline or self.reconnect_delay_error() is not None:
                    raise
            retries -= 1
            self._observer.retried(operation)

    async def ask(self, commands: Sequence[Args], within: float) -> list[Any]:
        """Send commands to the server for their evidence, with a deadline of ``within`` seconds of their own.

        The breaker neither allows nor counts them, and nothing is sent again. An error reply is a value. Raises
        TargetError when there is no reply.
        """
        try:
            async with asyncio.timeout(within):
                return await self._send(commands, self.target.db, QueueTicket(), within)
        except TimeoutError:
            raise OperationTimeoutError("no answer in time") from None

    async def _send(self, commands: Sequence[Args], db: int, ticket: QueueTicket, within: float) -> list[Any]:
        pool = self._pools.get(db)
        if pool is None:
            pool = self._pools[db] = make_pool(
                self.target,
                db,
                self._on_pool_connect,
                tls_context=self._tls_context,
                credentials=self._credentials,
                connect_limiter=self.connect_limiter,
            )
        connection = None
        try:
            connection = await pool.get_connection()  # type: ignore[no-untyped-call]
            if not connection.is_connected:
                self._names_sent.pop(connection, None)
            await connection.connect(ticket)
            async with asyncio.timeout(within):
                replies = await self._write_and_read(connection, commands)
        except BaseException as error:
            if connection is not None:
                await connection.disconnect(nowait=True)  # late replies may still arrive on it
            if isinstance(error, Exception):
                raise self._map_error(error) from error
            raise
        else:
            self._has_replied = True
            if any(isinstance(reply, AuthError) for reply in replies):
                await connection.disconnect(nowait=True)  # the next connection reads the credentials again
            return replies
        finally:
            if connection is not None:
                await pool.release(connection)

    async def _write_and_read(self, connection: AbstractConnection, commands: Sequence[Args]) -> list[Any]:
        """Send commands and return their replies. The first commands of a connection are sent with the client name."""
        sent = self._names_sent.setdefault(connection, set())
        names = [args for args in self.naming.commands() if args not in sent]
        renamed = [self._with_server_name(args) for args in (*names, *commands)]
        await connection.send_packed_command(connection.pack_commands(renamed))
        for args in names:
            sent.add(args)
            try:
                reply = await self._read_reply(connection)
            except (RedisConnectionError, OSError, EOFError):
                if args == names[0]:
                    self.naming.record_hang_up()
                raise
            if isinstance(reply, MaxClientsError) or str(reply).startswith("DENIED"):
                raise reply  # the reason why the server closes the connection; no other reply will come
            self.naming.record_reply(args, reply if isinstance(reply, TargetError) else None)
        return [await self._read_reply(connection) for _ in commands]

    def _with_server_name(self, args: Args) -> Args:
        """Return a command with the name that it has on this server."""
        name = self._renamed_commands.get(str(args[0]).upper()) if self._renamed_commands else None
        return args if name is None else (name, *args[1:])

    async def _read_reply(self, connection: AbstractConnection) -> Any:
        """Read one reply. An error reply is returned as a TargetError."""
        try:
            return await connection.read_response(disconnect_on_error=False)
        except Exception as error:
            if is_error_reply(error):
                self._has_replied = True
                return self._map_error(error)
            raise

    async def connect_probe(self, on_phase: OnPhase = lambda *_: None) -> ProbeConnection:
        """Return a connection for pings, made within ``socket_connect_timeout``.

        ``on_phase`` receives the duration of each phase. Raises TargetError. The caller holds a permit of the breaker
        and has waited for the connect limiter.
        """
        started, sock = self._clock(), None
        is_trial = self._breaker.state != "closed"
        self._last_phase = ""

        def on_phase_end(phase: Phase, seconds: float) -> None:
            self._last_phase = phase
            on_phase(phase, seconds)

        try:
            async with asyncio.timeout(self.target.connection.socket_connect_timeout):
                sock, tls, lines = await self._probe_connector.connect(on_phase_end, is_trial=is_trial)
        except Exception as error:
            if sock is not None:
                sock.close()  # the deadline passed in the moment when the connect succeeded
            self._hangs_in_tls = isinstance(error, TimeoutError) and self._last_phase == "tls"
            self._on_connect(self._clock() - started, error)
            raise self._map_error(error) from error
        self._on_connect(self._clock() - started, None)
        connection = ProbeConnection(
            sock, tls, lines, clock=self._clock, wall_clock=self._wall_clock, map_error=self._map_error
        )
        connection.introduce(
            [
                (encode_command(*map(str, self._with_server_name(args))), partial(self.naming.record_reply, args))
                for args in self.naming.commands()
            ],
            self.naming.record_hang_up,
        )
        return connection

    def connect_timeout_error(self) -> OperationTimeoutError:
        """Return the error of a ping that had no connection in time, with a hint if the TLS handshake hangs."""
        hangs = self._uses_tls and not self._has_replied and self._last_phase == "tcp"
        return OperationTimeoutError(with_hint("no connection in time", HINT_TRY_PLAIN if hangs else ""))

    async def aclose(self) -> None:
        """Close every pooled connection. Raises nothing, and does not wait for the server."""
        for pool in self._pools.values():
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await pool.close_all(CLOSE_TIMEOUT)

    def _on_pool_connect(self, seconds: float, error: BaseException | None) -> None:
        self.connects += error is None
        self._on_connect(seconds, error)

    def _on_connect(self, seconds: float, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = OperationTimeoutError("no answer in time")
        mapped = None if error is None else self._map_error(error)
        if mapped is None:
            self._backoff.reset()
            self._reconnect_after = 0.0
        elif mapped.unavailable or isinstance(mapped, AuthError):
            # Other errors delay nothing: a database that is refused (SELECT) does not concern other databases.
            self._connect_failed_at = self._clock()
            self._reconnect_after = self._connect_failed_at + self._backoff.next()
            self._connect_error = mapped
        self._observer.connected(seconds, mapped)

    def _map_error(self, error: BaseException) -> TargetError:
        mapped = self._error_mapper(error)
        if isinstance(error, TargetError):
            return mapped  # its text has its hint already
        if isinstance(mapped, SkippedError):
            count_shortage()
        return self._with_hint(mapped)

    def _with_hint(self, error: TargetError) -> TargetError:
        """Return the error of a target that never replied with a hint about TLS, where one may help."""
        if self._has_replied or self.target.endpoint.kind == "unix":
            return error
        is_reset = isinstance(error, ConnectionResetByTargetError)
        if is_reset and not self._uses_tls:
            return type(error)(with_hint(str(error), HINT_TRY_TLS))
        if is_reset and self.target.tls.cert_file is None:
            # The alert that would name the cause was lost with the connection.
            return type(error)(with_hint(str(error), HINT_CLIENT_CERTIFICATE))
        if isinstance(error, OperationTimeoutError) and self._uses_tls and self._hangs_in_tls:
            return type(error)(with_hint(str(error), HINT_TRY_PLAIN))
        return error
