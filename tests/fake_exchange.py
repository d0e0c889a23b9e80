"""A server of keys in this process, behind the port ``Exchange`` of the sampler. Its clock moves with each exchange."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from redis_pulse.commands import Args
from redis_pulse.errors import PermissionDeniedError, TargetError, UnknownCommandError
from tests.fakes import ManualClock

#: Seconds of the main thread for a command.
COMMAND_SECONDS = 1e-6
_LENGTHS = ("STRLEN", "LLEN", "HLEN", "SCARD", "ZCARD", "XLEN")


class FakeExchange:
    """Keys with their size, by database. ``refused`` maps the first words of commands to errors."""

    def __init__(self, keys: dict[int, dict[bytes, int]], clock: ManualClock) -> None:
        self.keys = keys
        self.clock = clock
        self.kind = "string"
        self.refused: dict[str, type[TargetError]] = {}
        #: Commands that fail the whole exchange: first word → error.
        self.failing: dict[str, TargetError] = {}
        self.sent: list[tuple[int, Args]] = []
        self.batches: list[int] = []
        self.closed = 0
        self.round_trip = 0.0002
        self.command_seconds = COMMAND_SECONDS
        self.before_reply: Callable[[Args], None] = lambda _args: None
        self._random = random.Random(8)
        self._cpu = 1.0

    def count(self, *words: str) -> int:
        """Return how often a command was sent."""
        return sum(args[: len(words)] == words for _, args in self.sent)

    async def exchange(
        self,
        commands: Sequence[Args],
        *,
        db: int = 0,
        once: Sequence[Args] = (),
        within: float | None = None,  # the port has it
    ) -> list[Any]:
        """Return the replies."""
        self.clock.advance(self.round_trip)
        self.batches.append(len(commands))
        replies = []
        for args in (*once, *commands):
            self.sent.append((db, args))
            if error := self.failing.get(str(args[0])):
                raise error
            self.before_reply(args)
            self._cpu += self.command_seconds
            replies.append(self._reply(args, self.keys.get(db, {})))
        return replies[len(once) :]

    async def aclose(self) -> None:
        """Count it."""
        self.closed += 1

    def _reply(self, args: Args, keys: dict[bytes, int]) -> Any:  # noqa: C901, PLR0911  # one case for each command
        name = str(args[0])
        for refused, error in self.refused.items():
            if " ".join(map(str, args[:2])).startswith(refused):
                return error("refused")
        key = args[2] if name in ("MEMORY", "OBJECT") else args[-1]
        size = keys.get(key) if isinstance(key, bytes) else None
        match name:
            case "RANDOMKEY":
                return self._random.choice(list(keys)) if keys else None
            case "DBSIZE":
                return len(keys)
            case "SCAN":
                return self._scan(list(keys), int(args[1]), int(args[3]))
            case "TYPE":
                return b"none" if size is None else self.kind.encode()
            case "PTTL":
                return -2 if size is None else -1
            case "MEMORY" | "STRLEN" | "LLEN" | "HLEN" | "SCARD" | "ZCARD" | "XLEN":
                return size if size is not None or name not in _LENGTHS else 0
            case "OBJECT":
                return None if size is None else 7
            case "INFO":
                return (
                    f"# CPU\r\nused_cpu_sys_main_thread:0.0\r\nused_cpu_user_main_thread:{self._cpu:.6f}\r\n".encode()
                )
            case "CLIENT":
                return b"OK"
        return UnknownCommandError(f"unknown command '{name}'")

    @staticmethod
    def _scan(names: list[bytes], cursor: int, count: int) -> list[Any]:
        following = cursor + count
        return [b"0" if following >= len(names) else str(following).encode(), names[cursor:following]]


DENIED = PermissionDeniedError
