"""The session with one target: deadlines, the circuit breaker, reconnect delays and error mapping.

There are two ways to the server. ``commands()`` serves polls and uses a small connection pool of redis-py.
``connect_probe()`` makes a separate, bare connection for pings.

Nothing is retried implicitly. A read that failed on a dead pooled connection is sent again, within its deadline. That
retry is counted.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from time import monotonic, time_ns
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from redis_pulse.backoff import Backoff
from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client.client_name import ClientNaming
from redis_pulse.client.connect_limiter import ConnectLimiter, QueueTicket
from redis_pulse.client.credentials import Credentials
from redis_pulse.client.error_mapping import HINT_TRY_PLAIN, ErrorMapper, with_hint, with_tls_hint
from redis_pulse.client.glance import Glance, OnReplies
from redis_pulse.client.observer import ClientObserver
from redis_pulse.client.operation_commands import GuardedCall, OperationCommands
from redis_pulse.client.pipeline import OperationOf, PipelineReplies
from redis_pulse.client.pool import ConnectionPool, make_pool
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
from redis_pulse.tokens import TokenRegistry

#: Seconds: the first reconnect delay is at most BASE, and no delay is longer than CAP.
RECONNECT_BASE, RECONNECT_CAP = 0.1, 5.0


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
        tokens: TokenRegistry | None = None,
    ) -> None:
        self.target = target
        #: limits the concurrent connects of all targets together
        self.connect_limiter = connect_limiter or ConnectLimiter()
        self._breaker = breaker
        self._observer = observer
        self._clock = clock
        self._wall_clock = wall_clock
        #: makes the TLS context of all connections to the target
        self.tls_context = TlsContext(target.tls)
        #: the login of all connections to the target
        self.credentials = Credentials(target, tokens, on_not_renewed=observer.token_not_renewed)
        self._probe_connector = ProbeConnector(target, self.tls_context.ready, self.credentials, clock)
        self._uses_tls = target.endpoint.tls
        self._backoff = backoff or Backoff(RECONNECT_BASE, RECONNECT_CAP)
        #: how many connections the polls have made; a new connection may lead to another server
        self.connects = 0
        self._reconnect_after = self._connect_failed_at = 0.0
        self._connect_error: TargetError | None = None
        self._pools: dict[int, ConnectionPool] = {}  # by database
        #: the commands that tell the server the name of this client
        self.naming = ClientNaming()
        #: usual name of a command → its name on this server
        self._renamed_commands = {name.upper(): word.get_secret_value() for name, word in target.commands.items()}
        self._error_mapper = ErrorMapper(target, self.credentials, self._renamed_commands)
        #: the last phase of the newest probe connect that ended or was cut off
        self._last_phase = ""
        #: whether a poll ever received a reply; if so, the scheme of the URL is right
        self._has_replied = False
        self._hangs_in_tls = False

    @property
    def is_busy(self) -> bool:
        """Whether a poll waits for a reply."""
        return any(pool._in_use_connections for pool in self._pools.values())  # noqa: SLF001  # REDIS_PY_INTERNALS

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
            received = PipelineReplies(commands, self._clock)
            await self._send_with_retries(lambda _: operation, deadline, db, ticket, received)
        replies = received.received
        self._observer.replied(commands, replies)
        call.record_replies(replies)
        return replies

    async def execute_pipeline(
        self, commands: Sequence[Args], operation: OperationOf, deadline: float, call: GuardedCall
    ) -> PipelineReplies:
        """Send commands at once, as a part of ``call``. Return the replies that came, and the error after them.

        ``operation`` returns the name under which a command is counted when it is sent again.
        """
        replies, ticket = PipelineReplies(commands, self._clock), QueueTicket()
        try:
            async with self.attempt(call, deadline - self._clock(), ticket):
                await self._send_with_retries(operation, deadline, None, ticket, replies)
        except TargetError as error:
            replies.end(error)
        received = replies.received
        self._observer.replied(commands[: len(received)], received)
        call.record_replies(received)
        return replies

    def attempt(
        self, call: GuardedCall, within: float, ticket: QueueTicket | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Run one attempt of ``call``, for at most ``within`` seconds, and record its verdict in the call.

        Raises TargetError without an attempt while the backoff of connecting lasts or the breaker is open. It is the
        error that caused that state. Raises OperationTimeoutError after ``within`` seconds. Raises SkippedError instead
        if ``ticket`` was still waiting for the connect limiter: that queue is not the target's fault.
        """
        if (delay_error := self.reconnect_delay_error()) is not None:
            raise delay_error.untried()
        return call.attempt(within, ticket, self._with_hint)

    async def _send_with_retries(
        self, operation: OperationOf, deadline: float, db: int | None, ticket: QueueTicket, replies: PipelineReplies
    ) -> None:
        """Send commands. After a lost connection, reads are sent again, at most ``poll.retries`` times.

        Only commands without a reply are sent again.
        """
        target, commands = self.target, replies.commands
        retries = target.poll.retries if all(map(is_read, commands)) else 0
        database = target.db if db is None else db
        while True:
            rest = commands[len(replies.received) :]
            try:
                return await self._send(rest, database, ticket, target.connection.socket_timeout, replies)
            except (ConnectionResetByTargetError, OperationTimeoutError) as error:
                if len(replies.received) == len(commands):
                    return None  # the deadline passed in the moment when the last reply came
                timed_out = isinstance(error, OperationTimeoutError)
                if retries <= 0 or (timed_out and not target.connection.retry_on_timeout):
                    raise
                if self._clock() >= deadline or self.reconnect_delay_error() is not None:
                    raise
            retries -= 1
            self._observer.retried(operation(commands[len(replies.received)]))

    async def ask(self, commands: Sequence[Args], within: float) -> list[Any]:
        """Send commands to the server for their evidence, with a deadline of ``within`` seconds of their own.

        The breaker neither allows nor counts them, and nothing is sent again. An error reply is a value. Raises
        TargetError when there is no reply.
        """
        try:
            async with asyncio.timeout(within):
                replies = PipelineReplies(commands, self._clock)
                await self._send(commands, self.target.db, QueueTicket(), None, replies)
                await self._pools[self.target.db].close_surplus()
                return replies.received
        except TimeoutError:
            raise OperationTimeoutError("no answer in time") from None

    def glance(self, commands: Sequence[Args], within: float, on_end: OnReplies) -> bool:
        """Do what ``ask`` does without a task, and pass the replies to ``on_end``.

        Return False if nothing was sent, because that needs more than one idle connection.
        """
        pool = self._pools.get(self.target.db)
        connection = None if pool is None else pool.idle
        if pool is None or connection is None or not connection.is_ready(self.naming.commands()):
            return False
        if self._must_replace(connection):
            return False
        commands = [self._with_server_name(args) for args in commands]
        Glance(pool, commands, within, mapped=self._mapped, on_end=on_end)
        return True

    async def _send(
        self, commands: Sequence[Args], db: int, ticket: QueueTicket, within: float | None, replies: PipelineReplies
    ) -> None:
        """Send commands, and add their replies as they come. Without ``within``, the caller limits the time."""
        pool = self._pools.get(db)
        if pool is None:
            pool = self._pools[db] = make_pool(
                self.target,
                db,
                self._on_pool_connect,
                tls_context=self.tls_context,
                credentials=self.credentials,
                connect_limiter=self.connect_limiter,
            )
        connection = None
        try:
            connection = await pool.take()
            if connection.is_connected and self._must_replace(connection):
                await connection.disconnect(nowait=True)
            if not connection.is_connected:
                await connection.connect(ticket)
            await self._write_and_read(connection, commands, within, replies)
        except BaseException as error:
            if connection is not None:
                await connection.disconnect(nowait=True)  # late replies may still arrive on it
            if isinstance(error, Exception):
                raise self._map_error(error) from error
            raise
        else:
            self._has_replied = True
            if any(isinstance(reply, AuthError) for reply in replies.received):
                await connection.disconnect(nowait=True)  # the next connection reads the credentials again
        finally:
            if connection is not None:
                await pool.give_back(connection)

    async def _write_and_read(
        self, connection: Any, commands: Sequence[Args], within: float | None, replies: PipelineReplies
    ) -> None:
        """Send commands and add their replies. The first commands of a connection are sent with the client name."""
        if within is not None:
            async with asyncio.timeout(within):
                await self._write_and_read(connection, commands, None, replies)
            return
        sent = connection.names_sent
        names = [args for args in self.naming.commands() if args not in sent]
        await connection.send([self._with_server_name(args) for args in (*names, *commands)])
        for args in names:
            sent.add(args)
            try:
                reply = self._mapped(await connection.read_reply())
            except (RedisConnectionError, OSError, EOFError):
                if args == names[0]:
                    self.naming.record_hang_up()
                raise
            if isinstance(reply, MaxClientsError) or str(reply).startswith("DENIED"):
                raise reply  # the reason why the server closes the connection; no other reply will come
            self.naming.record_reply(args, reply if isinstance(reply, TargetError) else None)
        await connection.read_replies(len(commands), lambda reply: replies.add(self._mapped(reply)))
        connection.replied()

    def _with_server_name(self, args: Args) -> Args:
        """Return a command with the name that it has on this server."""
        name = self._renamed_commands.get(str(args[0]).upper()) if self._renamed_commands else None
        return args if name is None else (name, *args[1:])

    def _mapped(self, reply: Any) -> Any:
        """Return a reply. An error reply is returned as a TargetError."""
        if isinstance(reply, ResponseError | RedisConnectionError):
            self._has_replied = True
            return self._map_error(reply)
        return reply

    async def connect_probe(self, on_phase: OnPhase = lambda *_: None, *, is_spare: bool = False) -> ProbeConnection:
        """Return a connection for pings, made within ``socket_connect_timeout``.

        ``on_phase`` receives the duration of each phase. Raises TargetError. The caller holds a permit of the breaker
        and has waited for the connect limiter. ``is_spare`` means that another connection works. Then a failure delays
        nothing else.
        """
        started, sock = self._clock(), None
        is_trial = self._breaker.state != "closed"
        self._last_phase = ""

        def on_phase_end(phase: Phase, seconds: float) -> None:
            self._last_phase = phase
            on_phase(phase, seconds)

        try:
            login = await self.credentials.read()  # it may take seconds, which are not those of the server
            started = self._clock()
            async with asyncio.timeout(self.target.connection.socket_connect_timeout):
                sock, tls, lines, login = await self._probe_connector.connect(login, on_phase_end, is_trial=is_trial)
        except Exception as error:
            if sock is not None:
                sock.close()  # the deadline passed in the moment when the connect succeeded
            self._hangs_in_tls = isinstance(error, TimeoutError) and self._last_phase == "tls"
            self._on_connect(self._clock() - started, error, is_spare=is_spare)
            raise self._map_error(error) from error
        self._on_connect(self._clock() - started, None)
        connection = ProbeConnection(
            sock, tls, lines, clock=self._clock, wall_clock=self._wall_clock, map_error=self._map_error, login=login
        )
        connection.introduce(
            [
                (encode_command(*map(str, self._with_server_name(args))), partial(self.naming.record_reply, args))
                for args in self.naming.commands()
            ],
            self.naming.record_hang_up,
        )
        return connection

    def must_replace(self, connection: ProbeConnection) -> bool:
        """Whether the service will soon cut a connection for pings, and a new login can prevent that."""
        return self._clock() >= connection.serves_until and self.credentials.has_newer(connection.login)

    def _must_replace(self, connection: Any) -> bool:
        is_due = asyncio.get_running_loop().time() >= connection.serves_until
        return is_due and self.credentials.has_newer(connection.login)

    def connect_timeout_error(self) -> TargetError:
        """Return the error of a ping that had no connection in time, with a hint if the TLS handshake hangs."""
        if self.credentials.is_awaiting_first_token:
            return SkippedError("the first login is not there yet")
        hangs = self._uses_tls and not self._has_replied and self._last_phase == "tcp"
        return OperationTimeoutError(with_hint("no connection in time", HINT_TRY_PLAIN if hangs else ""))

    async def aclose(self) -> None:
        """Close every pooled connection. Raises nothing, and does not wait for the server."""
        for pool in self._pools.values():
            await pool.close_all()

    def _on_pool_connect(self, seconds: float, error: BaseException | None) -> None:
        self.connects += error is None
        self._on_connect(seconds, error)

    def _on_connect(self, seconds: float, error: BaseException | None, *, is_spare: bool = False) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = OperationTimeoutError("no answer in time")
        mapped = None if error is None else self._map_error(error)
        if mapped is None:
            self._backoff.reset()
            self._reconnect_after = 0.0
        elif not is_spare and (mapped.unavailable or isinstance(mapped, AuthError)):
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
        return with_tls_hint(error, self._uses_tls, self.target.tls.cert_file is not None, self._hangs_in_tls)
