"""The replies to commands that were sent at once, and how long each of them took."""

from collections.abc import Callable, Sequence
from typing import Any

from redis_pulse.commands import Args
from redis_pulse.errors import TargetError

#: Returns the operation of a command, under which it is counted when it is sent again.
OperationOf = Callable[[Args], str]


class PipelineReplies:
    """Collects replies in the order of their commands. ``clock`` is monotonic, in seconds.

    The server executes the commands one after the other. So a reply took the time since the reply before it. The first
    one also took the round trip, and the connect if there was one.
    """

    __slots__ = ("_clock", "_newest", "commands", "error", "received", "seconds")

    def __init__(self, commands: Sequence[Args], clock: Callable[[], float]) -> None:
        self.commands = commands
        self._clock = clock
        self._newest = clock()
        #: The replies so far, with error replies as values.
        self.received: list[Any] = []
        #: How long each of them took. If an error ended the pipeline, the last one is the time until then.
        self.seconds: list[float] = []
        #: Why there is no further reply, or None.
        self.error: TargetError | None = None

    def add(self, reply: Any) -> None:
        """Add the next reply."""
        self.received.append(reply)
        self._add_time()

    def end(self, error: TargetError) -> None:
        """Record why no further reply will come."""
        self.error = error
        self._add_time()

    def _add_time(self) -> None:
        now = self._clock()
        self.seconds.append(now - self._newest)
        self._newest = now
