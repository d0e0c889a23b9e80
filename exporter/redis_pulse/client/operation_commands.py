"""The two units in which a client counts work.

``GuardedCall`` is one call for the circuit breaker: one permit and one verdict for all commands of a poll.
``OperationCommands`` is the port through which collectors send the commands of one operation with one deadline.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, Self

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client.connect_limiter import QueueTicket
from redis_pulse.commands import Args, Word
from redis_pulse.errors import OperationTimeoutError, SkippedError, TargetError


class GuardedCall:
    """One permit of the breaker, which all commands of a call share.

    The first error that shows the target unavailable becomes the verdict. Otherwise ``end()`` records the verdict.
    A reply that arrives while the breaker is open shows that the target is available again. The call then continues.
    """

    __slots__ = ("_breaker", "_got_reply", "_permit", "_replied_while_open")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._permit = breaker.acquire()
        self._got_reply = self._replied_while_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def check(self) -> None:
        """Raise the error that opened the breaker, if the breaker refused this call or has opened since."""
        if self._permit is None or (self._breaker.state == "open" and not self._replied_while_open):
            raise self._breaker.rejection_error()

    @asynccontextmanager
    async def attempt(
        self, within: float, ticket: QueueTicket | None, with_hint: Callable[[TargetError], TargetError]
    ) -> AsyncIterator[None]:
        """Run one attempt for at most ``within`` seconds, and record its verdict.

        ``TargetClient.attempt`` says what it raises. ``with_hint`` adds a hint to the error of a deadline.
        """
        self.check()
        limit = asyncio.timeout(max(0.0, within))
        try:
            try:
                async with limit:
                    yield
            except TimeoutError:
                raise with_hint(_timeout_error(ticket)) from None
        except TargetError as error:
            self.record_error(error)
            raise
        except asyncio.CancelledError:
            if limit.expired():  # a deadline of the caller passed at once, because something blocked the event loop
                self.record_error(with_hint(_timeout_error(ticket)))
            raise
        self.record_reply()

    def record_reply(self) -> None:
        """Record that the target replied."""
        self._got_reply = True
        self._replied_while_open = self._breaker.state == "open"

    def record_error(self, error: TargetError) -> None:
        """Record that a command failed. An error reply that only a live server sends counts as a reply."""
        if error.unavailable:
            self._replied_while_open = False
            if self._permit is not None:
                self._permit.failure(error)
        elif not isinstance(error, SkippedError):
            self._got_reply = True

    def record_replies(self, replies: Iterable[Any]) -> None:
        """Record the error replies among these."""
        for reply in replies:
            if isinstance(reply, TargetError):
                self.record_error(reply)

    def end(self) -> None:
        """End the call: with a success if the target replied, without a verdict if nothing reached it."""
        if self._permit is None:
            return
        if self._got_reply:
            self._permit.success()
        else:
            self._permit.release()


def _timeout_error(ticket: QueueTicket | None) -> TargetError:
    """Return the error of an attempt whose deadline has passed. The queue of connects is not the target's fault."""
    if ticket is not None and ticket.is_waiting:
        return SkippedError("too many connects at once")
    return OperationTimeoutError("no answer in time")


class CommandExecutor(Protocol):
    """Sends commands and returns their replies, with error replies as values."""

    async def execute_batch(
        self,
        commands: Sequence[Args],
        operation: str,
        deadline: float,
        db: int | None = None,
        ticket: QueueTicket | None = None,
        call: GuardedCall | None = None,
    ) -> list[Any]:
        """Return one reply for each command. Raises TargetError when there is no reply."""
        ...


class OperationCommands:
    """The ``Commands`` port of one operation with one deadline."""

    __slots__ = ("_call", "_client", "_deadline", "_operation", "_ticket")

    def __init__(
        self, client: CommandExecutor, operation: str, deadline: float, call: GuardedCall | None = None
    ) -> None:
        self._call = call
        self._client = client
        self._operation = operation
        self._deadline = deadline
        self._ticket = QueueTicket()

    @property
    def is_queueing(self) -> bool:
        """Whether the operation waits for the connect limiter, or waited for it when it was cut off."""
        return self._ticket.is_waiting

    async def execute(self, *args: Word, db: int | None = None) -> Any:
        """Send one command and return its reply. Raises TargetError."""
        (reply,) = await self._client.execute_batch(
            [args], self._operation, self._deadline, db, self._ticket, self._call
        )
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[Args], *, db: int | None = None) -> list[Any]:
        """Send commands at once and return their replies, with error replies as values.

        Raises TargetError when there is no reply.
        """
        if not commands:
            return []
        return await self._client.execute_batch(commands, self._operation, self._deadline, db, self._ticket, self._call)
