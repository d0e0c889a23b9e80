"""A keyspace in memory behind the port ``Commands``: SCAN, TYPE, MEMORY USAGE and sizes, as a server answers them."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from redis_pulse.collectors.support.time_budget import TimeBudget
from redis_pulse.commands import Word
from redis_pulse.errors import MovedError, TargetError
from tests.fakes import ManualClock

Args = tuple[Any, ...]
#: Bytes are a string; the others by their type in Python.
Value = bytes | list[bytes] | set[bytes] | dict[bytes, bytes]
_KIND = {bytes: b"string", list: b"list", set: b"set", dict: b"hash"}
_SIZE = {"STRLEN": bytes, "LLEN": list, "SCARD": set, "HLEN": dict}


class FakeKeyspace:
    """Databases of keys. ``each`` seconds pass on ``clock`` with every command; ``asked`` lists what was asked.

    ``instead`` gives other replies to a command, by its name (``SCAN``, ``MEMORY``): a value, an error, or a callable
    that is given the command's words. ``kinds`` overrides TYPE by key. With ``twice``, SCAN returns every key again in
    the next step.
    """

    def __init__(
        self,
        databases: Mapping[int, Mapping[bytes, Value]],
        clock: ManualClock | None = None,
        each: float = 0.0,
        *,
        instead: Mapping[str, Any] | None = None,
        twice: bool = False,
    ) -> None:
        self.databases = {db: dict(keys) for db, keys in databases.items()}
        self.clock = clock or ManualClock()
        self.each = each
        self.instead = dict(instead or {})
        self.kinds: dict[bytes, bytes] = {}
        self.twice = twice
        #: keys that another node of the cluster has
        self.moved: set[bytes] = set()
        self.asked: list[Args] = []
        self.batches: list[int] = []

    async def execute(self, *args: Word, db: int | None = None) -> Any:
        """Answer one command, or raise its error."""
        reply = self._answer(args, db)
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[tuple[Word, ...]], *, db: int | None = None) -> list[Any]:
        """Answer some commands, errors as values."""
        self.batches.append(len(commands))
        return [self._answer(args, db) for args in commands]

    def names(self) -> list[str]:
        """Return the names of all commands that were asked."""
        return [str(args[0]) for args in self.asked]

    def _answer(self, args: Args, db: int | None) -> Any:
        self.asked.append(args)
        self.clock.advance(self.each)
        name = args[0]
        if name in self.instead:
            found = self.instead[name]
            return found(*args) if callable(found) else found
        return self._of_key(args, db)

    def _of_key(self, args: Args, db: int | None) -> Any:
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
        if name in _SIZE and isinstance(value, _SIZE[name]):
            return len(value)
        raise AssertionError(f"nobody said how to answer {args}")

    def _scan(self, keys: Mapping[bytes, Value], cursor: str, *words: Any) -> list[Any]:
        options = dict(zip(words[::2], words[1::2], strict=True))
        start, count = int(cursor), int(options["COUNT"])
        first = max(0, start - count) if self.twice else start
        pattern, kind = options["MATCH"], options.get("TYPE")
        step = [
            key
            for key in list(keys)[first : start + count]
            if fnmatchcase(key.decode("latin-1"), pattern)
            and kind in (None, (self.kinds.get(key) or _KIND[type(keys[key])]).decode())
        ]
        end = start + count
        return [b"%d" % end if end < len(keys) else b"0", step]


def fake_sleep(clock: ManualClock, rests: list[float] | None = None) -> Callable[[float], Any]:
    """Return a sleep that turns the clock; ``rests`` takes note of each."""

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        if rests is not None:
            rests.append(seconds)

    return sleep


def time_budget(clock: ManualClock, options: Any) -> TimeBudget:
    """Return the pace of a run on a clock turned by hand."""
    return TimeBudget(options, clock, fake_sleep(clock))
