"""Sends what the collectors of a poll announce, in one pipeline.

A collector that needs the reply to another command first announces the rest after INFO was read. This is the second
pipeline. What a collector does not announce, it sends itself.

A command that fails costs only the collectors that want it. If it costs the connection, the commands after it are sent
again, as long as the server replies to some. A server that falls silent costs all commands without a reply. The first
of them is the last one in later polls, until it gets its reply. So a command that hangs alone holds up no others.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from redis_pulse.client import GuardedCall, PipelineReplies
from redis_pulse.commands import Args
from redis_pulse.errors import ConnectionResetByTargetError, OperationTimeoutError, TargetError
from redis_pulse.polling.poll_commands import PipelinedReplies, PipelinedReply

#: Commands that are remembered because they hung. A poll of the default collectors has some twenty commands.
_MAX_HUNG = 50


class PipelineSender(Protocol):
    """Sends commands at once. ``TargetClient`` is one."""

    async def execute_pipeline(
        self, commands: Sequence[Args], operation: Callable[[Args], str], deadline: float, call: GuardedCall
    ) -> PipelineReplies:
        """Send commands at once, and return the replies that came."""
        ...


class Pipelines:
    """The pipelines of one target."""

    def __init__(self, client: PipelineSender, clock: Callable[[], float], timeout: float) -> None:
        self._client = client
        self._clock = clock
        self._timeout = timeout
        self._hung: dict[Args, None] = {}

    async def send(self, wanted: Mapping[Args, str], call: GuardedCall) -> PipelinedReplies:
        """Send the commands. Return a reply or an error for each. ``wanted`` maps them to their operations."""
        replies: PipelinedReplies = {}
        rest = self._in_order(wanted)
        deadline = self._clock() + self._timeout
        while rest:
            found = await self._client.execute_pipeline(rest, wanted.__getitem__, deadline, call)
            for args, reply, seconds in zip(rest, found.received, found.seconds, strict=False):
                replies[args] = PipelinedReply(reply, seconds)
                self._hung.pop(args, None)
            rest = rest[len(found.received) :]
            if found.error is None or not rest:
                break
            replies[rest[0]] = PipelinedReply(found.error, found.seconds[-1], is_failure=True)
            is_reset = isinstance(found.error, ConnectionResetByTargetError)
            if found.error.was_tried and (is_reset or isinstance(found.error, OperationTimeoutError)):
                self._remember(rest[0])
            if not found.received or (found.error.unavailable and not is_reset):
                replies |= _failed(rest[1:], found.error)
                break
            rest = rest[1:]
        return replies

    def _in_order(self, wanted: Iterable[Args]) -> list[Args]:
        """Return the commands. Those that hung are the last ones."""
        commands = list(wanted)
        if self._hung:
            commands.sort(key=self._hung.__contains__)
        return commands

    def _remember(self, args: Args) -> None:
        if len(self._hung) < _MAX_HUNG:
            self._hung[args] = None


def _failed(commands: Iterable[Args], error: TargetError) -> PipelinedReplies:
    return {args: PipelinedReply(error, 0.0, is_failure=True) for args in commands}
