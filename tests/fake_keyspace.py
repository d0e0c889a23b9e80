"""A keyspace in memory that implements ``Commands``: SCAN, TYPE, MEMORY USAGE and sizes, as a server returns them."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from redis_pulse.collectors.support.time_budget import TimeBudget
from redis_pulse.commands import Word
from redis_pulse.errors import MovedError, TargetError
from tests.fakes import ManualClock

Args = tuple[Any, ...]
#: Bytes are a string; the other types are named by their Python types.
Value = bytes | list[bytes] | set[bytes] | dict[bytes, bytes]
_KIND = {bytes: b"string", list: b"list", set: b"set", dict: b"hash"}
_SIZE_TYPES = {"STRLEN": bytes, "LLEN": list, "SCARD": set, "HLEN": dict}


class FakeKeyspace:
    """Databases of keys. ``sent`` lists the commands, and ``batches`` the sizes of the pipelines.

    Each command advances ``clock`` by ``seconds_per_command``. ``kinds`` overrides TYPE by key.
    ``overrides`` replaces the replies to a command, by its name (``SCAN``, ``MEMORY``). The replacement is a value, an
    error, or a function of the words of the command.
    With ``duplicate_keys``, SCAN returns each key again in the next step.
    """

    def __init__(
        self,
        databases: Mapping[int, Mapping[bytes, Value]],
        clock: ManualClock | None = None,
        seconds_per_command: float = 0.0,
        *,
        overrides: Mapping[str, Any] | None = None,
        duplicate_keys: bool = False,
    ) -> None:
        self.databases = {db: dict(keys) for db, keys in databases.items()}
        self.clock = clock or ManualClock()
        self.seconds_per_command = seconds_per_command
        self.overrides = dict(overrides or {})
        self.kinds: dict[bytes, bytes] = {}
        self.duplicate_keys = duplicate_keys
        #: Keys that another node of the cluster has.
        self.moved: set[bytes] = set()
        self.sent: list[Args] = []
        self.batches: list[int] = []

    async def execute(self, *args: Word, db: int | None = None) -> Any:
        """Return the reply to one command, or raise its error."""
        reply = self._reply(args, db)
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[tuple[Word, ...]], *, db: int | None = None) -> list[Any]:
        """Return the replies to several commands, with errors as values."""
        self.batches.append(len(commands))
        return [self._reply(args, db) for args in commands]

    def command_names(self) -> list[str]:
        """Return the names of all commands that were sent."""
        return [str(args[0]) for args in self.sent]

    def _reply(self, args: Args, db: int | None) -> Any:
        self.sent.append(args)
        self.clock.advance(self.seconds_per_command)
        name = args[0]
        if name in self.overrides:
            reply = self.overrides[name]
            return reply(*args) if callable(reply) else reply
        return self._reply_of_keyspace(args, db)

    def _reply_of_keyspace(self, args: Args, db: int | None) -> Any:
        name, keys = args[0], self.databases.get(db or 0, {})
        if name == "SCAN":
            return self._scan(keys, *args[1:])
        key = args[2] if name == "MEMORY" else args[1]
        key = key.encode() if isinstance(key, str) else key
        if key in self.moved:
            return MovedError("MOVED 1 127.0.0.1:7001")
        value = keys.get(key)
        if name == "TYPE":
            return self.kinds.get(key) or (b"none" if value is None else _KIND[type(value)])
        if name == "MEMORY":
            return None if value is None else 50 + len(key) + len(value)
        if name == "GETRANGE":
            assert isinstance(value, bytes)
            return value[args[2] : args[3] + 1]
        if name in _SIZE_TYPES and isinstance(value, _SIZE_TYPES[name]):
            return len(value)
        raise AssertionError(f"the fake keyspace has no reply to {args}")

    def _scan(self, keys: Mapping[bytes, Value], cursor: str, *words: Any) -> list[Any]:
        options = dict(zip(words[::2], words[1::2], strict=True))
        start, count = int(cursor), int(options["COUNT"])
        first = max(0, start - count) if self.duplicate_keys else start
        pattern, kind = options["MATCH"], options.get("TYPE")
        step = [
            key
            for key in list(keys)[first : start + count]
            if fnmatchcase(key.decode("latin-1"), pattern)
            and kind in (None, (self.kinds.get(key) or _KIND[type(keys[key])]).decode())
        ]
        end = start + count
        return [b"%d" % end if end < len(keys) else b"0", step]


def fake_sleep(clock: ManualClock, pauses: list[float] | None = None) -> Callable[[float], Any]:
    """Return a sleep that advances the clock; it adds each duration to ``pauses``."""

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        if pauses is not None:
            pauses.append(seconds)

    return sleep


def time_budget(clock: ManualClock, options: Any) -> TimeBudget:
    """Return the time budget of one run on a manual clock."""
    return TimeBudget(options, clock, fake_sleep(clock))
