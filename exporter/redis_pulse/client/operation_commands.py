"""One call to a target in the eyes of its circuit breaker: one permit and one verdict for all of its commands.

The port that collectors see: commands of one operation, which must all be answered by one deadline.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client.pool import QueueTicket
from redis_pulse.commands import Args, Word
from redis_pulse.errors import SkippedError, TargetError


class GuardedCall:
    """Holds one permit of the breaker; the commands of a whole poll share one call.

    The first error that shows the target unavailable is the verdict. Otherwise ``end()`` gives it. An answer that came
    although the breaker has opened since shows that the target is there again: then the call goes on.
    """

    __slots__ = ("_breaker", "_is_there_again", "_permit", "_was_answered")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._permit = breaker.acquire()
        self._was_answered = self._is_there_again = False

    def check(self) -> None:
        """Raise the error that opened the breaker, when it does not permit this call or has opened since."""
        if self._permit is None or (self._breaker.state == "open" and not self._is_there_again):
            raise self._breaker.rejection_error()

    def answered(self) -> None:
        """Record that the target answered."""
        self._was_answered = True
        self._is_there_again = self._breaker.state == "open"

    def failed(self, error: TargetError) -> None:
        """Record that a command ended in an error. An error reply that only a live server gives is an answer."""
        if error.unavailable:
            self._is_there_again = False
            if self._permit is not None:
                self._permit.failure(error)
        elif not isinstance(error, SkippedError):
            self._was_answered = True

    def end(self) -> None:
        """End the call: a success when the target answered, no verdict when nothing reached it."""
        if self._permit is None:
            return
        if self._was_answered:
            self._permit.success()
        else:
            self._permit.release()


class CommandExecutor(Protocol):
    """What sends commands and returns their replies, error replies as values."""

    async def execute_batch(
        self,
        commands: Sequence[Args],
        operation: str,
        deadline: float,
        db: int | None = None,
        place: QueueTicket | None = None,
        call: GuardedCall | None = None,
    ) -> list[Any]:
        """Raise TargetError when there is no reply."""
        ...


class OperationCommands:
    """The ``Commands`` port of one operation with one deadline."""

    __slots__ = ("_call", "_client", "_deadline", "_operation", "_place")

    def __init__(
        self, client: CommandExecutor, operation: str, deadline: float, call: GuardedCall | None = None
    ) -> None:
        self._call = call
        self._client = client
        self._operation = operation
        self._deadline = deadline
        self._place = QueueTicket()

    @property
    def is_queueing(self) -> bool:
        """Whether it waits, or was cut off while it waited, for others that connect."""
        return self._place.is_waiting

    async def execute(self, *args: Word, db: int | None = None) -> Any:
        """Send one command and return its reply. Raises TargetError."""
        (reply,) = await self._client.execute_batch(
            [args], self._operation, self._deadline, db, self._place, self._call
        )
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[Args], *, db: int | None = None) -> list[Any]:
        """Send commands at once; error replies are values in the list. Raises TargetError when there is no reply."""
        if not commands:
            return []
        return await self._client.execute_batch(commands, self._operation, self._deadline, db, self._place, self._call)
