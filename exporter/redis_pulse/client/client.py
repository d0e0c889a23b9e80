"""Who is told what a client does: a hook, since nothing here calls up.

A session with one target: a deadline on every operation, the breaker before it, our errors out of it.

Two ways to the server: ``commands()`` for what is polled, through a small pool of redis-py, and ``dial()`` for the
prober, which has a bare connection of its own (``dial`` makes it, ``wire`` is it). Neither retries behind our back; a
read that met a dead pooled connection is sent once more, within its deadline, and counted.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
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
    MAY_WANT_CERTIFICATE,
    WANTS_TLS,
    WITHOUT_TLS,
    is_reply,
    map_error,
    safe_text,
    with_hint,
    with_own_names,
)
from redis_pulse.client.operation_commands import GuardedCall, OperationCommands
from redis_pulse.client.pool import ConnectionPool, ConnectLimiter, QueueTicket, TlsContext, make_pool
from redis_pulse.client.probe_connect import OnPhase, Phase, ProbeConnector
from redis_pulse.client.probe_connection import ProbeConnection, encode_command
from redis_pulse.commands import Args, is_read
from redis_pulse.errors import (
    AuthError,
    ConnectionResetByTargetError,
    MaxClientsError,
    OperationTimeoutError,
    SkippedError,
    TargetError,
)
from redis_pulse.file_descriptors import note_shortage
from redis_pulse.server_info import Target


class ClientObserver(Protocol):
    """Who wants to know what a client does."""

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Take note of an attempt to connect: its seconds, and the error it ended in."""
        ...

    def retried(self, operation: str) -> None:
        """Take note of a read that is sent a second time."""
        ...


#: Seconds: the first wait before connecting anew is up to BASE, and no wait is longer than CAP.
RECONNECT_BASE, RECONNECT_CAP = 0.1, 5.0
#: Seconds after which a connection that is being closed is cut off.
CLOSE_WITHIN = 0.5


class TargetClient:
    """A session with one target, for one event loop."""

    def __init__(
        self,
        target: Target,
        breaker: CircuitBreaker,
        observer: ClientObserver,
        *,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], int] = time_ns,
        backoff: Backoff | None = None,
        connect_limiter: ConnectLimiter | None = None,
    ) -> None:
        self.target = target
        #: whoever connects waits for a turn of it, together with all targets
        self.connect_limiter = connect_limiter or ConnectLimiter()
        self._breaker = breaker
        self._observer = observer
        self._clock = clock
        self._wall = wall
        self._context = TlsContext(target.settings.tls)
        self._credentials = Credentials(target.settings)
        self._probe_connector = ProbeConnector(target.settings, self._context.ready, self._credentials, clock)
        self._tls = target.settings.endpoint.tls
        self._backoff = backoff or Backoff(RECONNECT_BASE, RECONNECT_CAP)
        #: how many connections of polls were made so far: behind a new one there may be another server
        self.connects = 0
        self._not_before = self._failed_at = 0.0
        self._last_error: TargetError | None = None
        self._pools: dict[int, ConnectionPool] = {}  # by database
        #: who we say we are
        self.naming = ClientNaming()
        #: what of it was said on each connection
        self._named: WeakKeyDictionary[AbstractConnection, set[Args]] = WeakKeyDictionary()
        #: what commands are called here that have another name
        self._renamed = {name.upper(): word.get_secret_value() for name, word in target.settings.commands.items()}
        #: the last phase of the newest dialling that ended, or was cut off
        self._phase = ""
        #: whether a poll ever got a reply: the scheme of the URL is right then
        self._has_answered = False
        self._hangs_in_tls = False

    def start_call(self) -> GuardedCall:
        """Ask the breaker for one call of several commands; ``end()`` it."""
        return GuardedCall(self._breaker)

    def commands(self, operation: str, deadline: float, call: GuardedCall | None = None) -> "OperationCommands":
        """Return the commands port of one operation that must end by ``deadline`` (seconds on our clock).

        Its commands belong to ``call``; without one, each exchange is a call of its own.
        """
        return OperationCommands(self, operation, deadline, call)

    def reconnect_delay_error(self) -> TargetError | None:
        """Return why not to connect just now: the newest attempt failed, and its backoff is not over.

        When the breaker is not closed, its own schedule decides. When it closed since, the target has answered.
        """
        breaker = self._breaker
        if breaker.state == "closed" and breaker.closed_since <= self._failed_at and self._clock() < self._not_before:
            return self._last_error
        return None

    async def execute_batch(
        self,
        commands: Sequence[Args],
        operation: str,
        deadline: float,
        db: int | None = None,
        place: QueueTicket | None = None,
        call: GuardedCall | None = None,
    ) -> list[Any]:
        """Send commands at once and return their replies, error replies as values, in order.

        The breaker is asked first, and told afterwards, unless ``call`` does both for several exchanges. Raises
        TargetError when there is no reply: the error that opened the breaker while it is open, OperationTimeoutError at
        the deadline, SkippedError when it still waited for its turn to connect then (``place`` tells): the queue is
        ours.
        """
        if (waiting := self.reconnect_delay_error()) is not None:
            raise waiting.untried()
        if call is not None:
            return await self._execute_batch(call, commands, operation, deadline, db, place or QueueTicket())
        call = self.start_call()
        try:
            return await self._execute_batch(call, commands, operation, deadline, db, place or QueueTicket())
        finally:
            call.end()

    async def _execute_batch(
        self,
        call: GuardedCall,
        commands: Sequence[Args],
        operation: str,
        deadline: float,
        db: int | None,
        place: QueueTicket,
    ) -> list[Any]:
        call.check()
        settings = self.target.settings
        retries = settings.poll.retries if all(map(is_read, commands)) else 0
        database = settings.db if db is None else db
        try:
            while True:
                try:
                    replies = await self._with_deadline(commands, database, deadline, place)
                    break
                except (ConnectionResetByTargetError, OperationTimeoutError) as error:
                    timed_out = isinstance(error, OperationTimeoutError)
                    if retries <= 0 or (timed_out and not settings.connection.retry_on_timeout):
                        raise
                    if self._clock() >= deadline or self.reconnect_delay_error() is not None:
                        raise
                retries -= 1
                self._observer.retried(operation)
        except TargetError as error:
            call.failed(error)
            raise
        call.answered()
        for reply in replies:
            if isinstance(reply, TargetError):
                call.failed(reply)
        return replies

    async def _with_deadline(self, commands: Sequence[Args], db: int, deadline: float, place: QueueTicket) -> list[Any]:
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock())):
                return await self._send(commands, db, place)
        except TimeoutError:
            if place.is_waiting:
                raise SkippedError("too many connects at once") from None
            raise self._with_hint(OperationTimeoutError("no answer in time")) from None

    async def _send(self, commands: Sequence[Args], db: int, place: QueueTicket) -> list[Any]:
        pool = self._pools.get(db)
        if pool is None:
            pool = self._pools[db] = make_pool(
                self.target.settings,
                db,
                self._on_pool_connect,
                context=self._context,
                credentials=self._credentials,
                ramp=self.connect_limiter,
            )
        connection = None
        try:
            connection = await pool.get_connection()  # type: ignore[no-untyped-call]
            if not connection.is_connected:
                self._named.pop(connection, None)
            await connection.connect(place)
            async with asyncio.timeout(self.target.settings.connection.socket_timeout):
                replies = await self._write_and_read(connection, commands)
        except BaseException as error:
            if connection is not None:
                await connection.disconnect(nowait=True)  # it may still owe us replies
            if isinstance(error, Exception):
                raise self._translate(error) from error
            raise
        else:
            self._has_answered = True
            if any(isinstance(reply, AuthError) for reply in replies):
                await connection.disconnect(nowait=True)  # a new connection reads the credentials anew
            return replies
        finally:
            if connection is not None:
                await pool.release(connection)

    async def _write_and_read(self, connection: AbstractConnection, commands: Sequence[Args]) -> list[Any]:
        """Send commands and read their replies; who we are is said with the first ones."""
        said = self._named.setdefault(connection, set())
        names = [args for args in self.naming.commands() if args not in said]
        words = [self._as_renamed(args) for args in (*names, *commands)]
        await connection.send_packed_command(connection.pack_commands(words))
        for args in names:
            said.add(args)
            try:
                answer = await self._reply(connection)
            except (RedisConnectionError, OSError, EOFError):
                if args == names[0]:
                    self.naming.record_hang_up()
                raise
            if isinstance(answer, MaxClientsError) or str(answer).startswith("DENIED"):
                raise answer  # the server says why it hangs up: nothing else will come
            self.naming.record_reply(args, answer if isinstance(answer, TargetError) else None)
        return [await self._reply(connection) for _ in commands]

    def _as_renamed(self, args: Args) -> Args:
        """Return a command by the name that this server knows it by."""
        known = self._renamed.get(str(args[0]).upper()) if self._renamed else None
        return args if known is None else (known, *args[1:])

    async def _reply(self, connection: AbstractConnection) -> Any:
        """Read one reply; an error that the server answered is a value."""
        try:
            return await connection.read_response(disconnect_on_error=False)
        except Exception as error:
            if is_reply(error):
                self._has_answered = True
                return self._translate(error)
            raise

    async def connect_probe(self, on_phase: OnPhase = lambda *_: None) -> ProbeConnection:
        """Connect for the prober, within the deadline of connecting; ``on_phase`` hears how long each phase took.

        Raises TargetError. The caller holds the breaker's permit and has had its turn of the ramp.
        """
        started, sock = self._clock(), None
        is_trial = self._breaker.state != "closed"
        self._phase = ""

        def phase_over(phase: Phase, seconds: float) -> None:
            self._phase = phase
            on_phase(phase, seconds)

        try:
            async with asyncio.timeout(self.target.settings.connection.socket_connect_timeout):
                sock, layer, lines = await self._probe_connector.connect(phase_over, is_trial=is_trial)
        except Exception as error:
            if sock is not None:
                sock.close()  # the deadline came together with the end
            self._hangs_in_tls = isinstance(error, TimeoutError) and self._phase == "tls"
            self._on_connect(self._clock() - started, error)
            raise self._translate(error) from error
        self._on_connect(self._clock() - started, None)
        wire = ProbeConnection(sock, layer, lines, clock=self._clock, wall=self._wall, translator=self._translate)
        wire.introduce(
            [
                (encode_command(*map(str, self._as_renamed(args))), partial(self.naming.record_reply, args))
                for args in self.naming.commands()
            ],
            self.naming.record_hang_up,
        )
        return wire

    def connection_error(self) -> OperationTimeoutError:
        """Return the error of a slot that found no connection in time, with what would help when TLS is stuck."""
        is_stuck = self._tls and not self._has_answered and self._phase == "tcp"
        return OperationTimeoutError(with_hint("no connection in time", WITHOUT_TLS if is_stuck else ""))

    async def aclose(self) -> None:
        """Close every connection of the pools; raises nothing, and never waits for the server."""
        for pool in self._pools.values():
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_WITHIN):
                    await pool.hang_up(CLOSE_WITHIN)

    def _on_pool_connect(self, seconds: float, error: BaseException | None) -> None:
        self.connects += error is None
        self._on_connect(seconds, error)

    def _on_connect(self, seconds: float, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = OperationTimeoutError("no answer in time")
        translated = None if error is None else self._translate(error)
        if translated is None:
            self._backoff.reset()
            self._not_before = 0.0
        elif translated.unavailable or isinstance(translated, AuthError):
            # A database that is refused (SELECT) says nothing of the server, nor of other databases.
            self._failed_at = self._clock()
            self._not_before = self._failed_at + self._backoff.next()
            self._last_error = translated
        self._observer.connected(seconds, translated)

    def _translate(self, error: BaseException) -> TargetError:
        if isinstance(error, TargetError):
            return safe_text(error, self.target.settings)
        translated = map_error(error, tls=self._tls, secret=self._credentials.secret)
        if isinstance(translated, SkippedError):
            note_shortage()
        if self._renamed:
            translated = type(translated)(with_own_names(str(translated), self._renamed))
        return self._with_hint(safe_text(translated, self.target.settings))

    def _with_hint(self, error: TargetError) -> TargetError:
        """Add what would help to the error of a target that never answered anything."""
        if self._has_answered or self.target.settings.endpoint.kind == "unix":
            return error
        if isinstance(error, ConnectionResetByTargetError) and not self._tls:
            return type(error)(with_hint(str(error), WANTS_TLS))
        if isinstance(error, ConnectionResetByTargetError) and self.target.settings.tls.cert_file is None:
            return type(error)(with_hint(str(error), MAY_WANT_CERTIFICATE))  # its alert was lost with the connection
        if isinstance(error, OperationTimeoutError) and self._tls and self._hangs_in_tls:
            return type(error)(with_hint(str(error), WITHOUT_TLS))
        return error
