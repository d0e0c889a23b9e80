"""A session with one target: a deadline on every operation, the breaker before it, our errors out of it.

Two ways to the server: ``commands()`` for what is polled, through a small pool, and ``dial()`` for the prober, which
has a connection of its own. Neither retries behind our back; a read that met a dead pooled connection is sent once
more, within its deadline, and counted.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from exporter.breaker import Backoff, Breaker
from exporter.client.connect import make_connection, make_pool
from exporter.client.translate import translate
from exporter.client.wire import Wire
from exporter.errors import (
    AuthError,
    ConnectionResetByTargetError,
    OperationTimeoutError,
    ProtocolError,
    RejectedError,
    TargetError,
)
from exporter.targets import Target

__all__ = ["BoundCommands", "Client", "Observer", "Wire"]

#: What may be sent a second time: reads, by their first word, or their first two.
READS = frozenset(
    {"INFO", "PING", "TYPE", "SLOWLOG GET", "SLOWLOG LEN", "LATENCY LATEST", "LATENCY HISTOGRAM", "CONFIG GET"}
)
#: Seconds: the first wait before connecting anew is up to BASE, and no wait is longer than CAP.
RECONNECT_BASE, RECONNECT_CAP = 0.1, 5.0


class Observer(Protocol):
    """Who wants to know what a client does."""

    def connected(self, seconds: float, error: TargetError | None) -> None:
        """Take note of an attempt to connect: its seconds, and the error it ended in."""
        ...

    def retried(self, operation: str) -> None:
        """Take note of a read that is sent a second time."""
        ...


class Client:
    """A session with one target, for one event loop."""

    def __init__(
        self,
        target: Target,
        breaker: Breaker,
        observer: Observer,
        *,
        clock: Callable[[], float] = monotonic,
        backoff: Backoff | None = None,
    ) -> None:
        self.target = target
        self._breaker = breaker
        self._observer = observer
        self._clock = clock
        self._tls = target.settings.endpoint.tls
        self._backoff = backoff or Backoff(RECONNECT_BASE, RECONNECT_CAP)
        self._not_before = 0.0
        self._last_error: TargetError | None = None
        self._pool = make_pool(target.settings, self._on_connect)

    def commands(self, operation: str, deadline: float) -> "BoundCommands":
        """Return the commands port of one operation that must end by ``deadline`` (seconds on our clock)."""
        return BoundCommands(self, operation, deadline)

    def hold_back(self) -> TargetError | None:
        """Return why not to connect just now: the newest attempt failed, and its backoff is not over.

        When the breaker is not closed, its own schedule decides.
        """
        if self._breaker.state == "closed" and self._clock() < self._not_before:
            return self._last_error
        return None

    async def execute(self, args: tuple[str | int, ...], operation: str, deadline: float) -> Any:
        """Send one command and return its reply; the breaker is asked first, and told afterwards.

        Raises TargetError: RejectedError when the breaker is open, OperationTimeoutError at the deadline.
        """
        retries = self.target.settings.poll.retries if _is_read(args) else 0
        while True:
            try:
                return await self._guarded(args, deadline)
            except (ConnectionResetByTargetError, OperationTimeoutError) as error:
                timed_out = isinstance(error, OperationTimeoutError)
                if retries <= 0 or (timed_out and not self.target.settings.connection.retry_on_timeout):
                    raise
                if self._clock() >= deadline or self.hold_back() is not None:
                    raise
            retries -= 1
            self._observer.retried(operation)

    async def _guarded(self, args: tuple[str | int, ...], deadline: float) -> Any:
        if (waiting := self.hold_back()) is not None:
            raise type(waiting)(str(waiting))
        permit = self._breaker.acquire()
        if permit is None:
            raise RejectedError("the circuit breaker is open")
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock())):
                reply = await self._once(args)
        except TargetError as error:
            permit.failure() if error.unavailable else permit.success()
            raise
        except TimeoutError:
            permit.failure()
            raise OperationTimeoutError("no answer in time") from None
        except BaseException:
            permit.release()
            raise
        permit.success()
        return reply

    async def _once(self, args: tuple[str | int, ...]) -> Any:
        connection = None
        try:
            connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            await connection.send_command(*args)
            return await connection.read_response()
        except Exception as error:
            translated = self._translate(error)
            if connection is not None and isinstance(translated, AuthError | ProtocolError):
                await connection.disconnect(nowait=True)
            raise translated from error
        finally:
            if connection is not None:
                await self._pool.release(connection)

    async def dial(self) -> "Wire":
        """Connect for the prober. Raises TargetError. The caller holds the breaker's permit."""
        connection = make_connection(self.target.settings, self._on_connect)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise self._translate(error) from error
        return Wire(connection, self._translate)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.disconnect(inuse_connections=True)

    def _on_connect(self, seconds: float, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError):
            error = OperationTimeoutError("no answer in time")
        translated = None if error is None else self._translate(error)
        if translated is None:
            self._backoff.reset()
            self._not_before = 0.0
        else:
            self._not_before = self._clock() + self._backoff.next()
            self._last_error = translated
        self._observer.connected(seconds, translated)

    def _translate(self, error: BaseException) -> TargetError:
        if isinstance(error, TargetError):
            return error
        try:
            _, secret = self.target.settings.credentials()
        except OSError:
            secret = None
        return translate(error, tls=self._tls, secret=secret)


class BoundCommands:
    """The ``Commands`` port of one operation with one deadline."""

    __slots__ = ("_client", "_deadline", "_operation")

    def __init__(self, client: Client, operation: str, deadline: float) -> None:
        self._client = client
        self._operation = operation
        self._deadline = deadline

    async def execute(self, *args: str | int) -> Any:
        """Send one command and return its reply. Raises TargetError."""
        return await self._client.execute(args, self._operation, self._deadline)


def _is_read(args: tuple[str | int, ...]) -> bool:
    words = [str(arg).upper() for arg in args[:2]]
    return words[0] in READS or " ".join(words) in READS
