"""The port that collectors see: commands of one operation, which must all be answered by one deadline."""

from collections.abc import Sequence
from typing import Any, Protocol

from exporter.client.call import Call
from exporter.client.ramp import Place
from exporter.client.reads import Args
from exporter.errors import TargetError


class Exchanging(Protocol):
    """What sends commands and returns their replies, error replies as values."""

    async def exchange(
        self,
        commands: Sequence[Args],
        operation: str,
        deadline: float,
        db: int | None = None,
        place: Place | None = None,
        call: Call | None = None,
    ) -> list[Any]:
        """Raise TargetError when there is no reply."""
        ...


class BoundCommands:
    """The ``Commands`` port of one operation with one deadline."""

    __slots__ = ("_call", "_client", "_deadline", "_operation", "_place")

    def __init__(self, client: Exchanging, operation: str, deadline: float, call: Call | None = None) -> None:
        self._call = call
        self._client = client
        self._operation = operation
        self._deadline = deadline
        self._place = Place()

    @property
    def is_queueing(self) -> bool:
        """Whether it waits, or was cut off while it waited, for others that connect."""
        return self._place.is_waiting

    async def execute(self, *args: str | int | bytes, db: int | None = None) -> Any:
        """Send one command and return its reply. Raises TargetError."""
        (reply,) = await self._client.exchange([args], self._operation, self._deadline, db, self._place, self._call)
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[Args], *, db: int | None = None) -> list[Any]:
        """Send commands at once; error replies are values in the list. Raises TargetError when there is no reply."""
        if not commands:
            return []
        return await self._client.exchange(commands, self._operation, self._deadline, db, self._place, self._call)
