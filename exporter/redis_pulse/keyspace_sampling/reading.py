"""Send the commands that look at keys, in short pipelines, and read their replies.

None of them changes when a key was last used. MEMORY USAGE, TYPE, PTTL, OBJECT and SCAN leave LRU and LFU data alone.
STRLEN, LLEN and the like do not, so they are sent only on a connection with CLIENT NO-TOUCH ON.
"""

import re
from collections.abc import Sequence
from typing import Any, Protocol

from redis_pulse.commands import UNSUPPORTED, Args
from redis_pulse.errors import KeyDeniedError, NoDatabaseError, PermissionDeniedError, TargetError
from redis_pulse.keyspace import Capabilities, Draw
from redis_pulse.parse.reply import as_integer, as_list, as_text

#: Elements that MEMORY USAGE measures of one key: exactly, and for a first impression.
EXACT, ROUGH = 5, 1
#: Bytes of one reply. A longer name is not read.
MAX_REPLY = 1 << 20
#: Keys of one reply to SCAN. Redis returns about COUNT keys.
MAX_KEYS_PER_STEP = 2000
NO_TOUCH: tuple[Args, ...] = (("CLIENT", "NO-TOUCH", "ON"),)
_LENGTH_COMMANDS = {
    "string": "STRLEN",
    "list": "LLEN",
    "hash": "HLEN",
    "set": "SCARD",
    "zset": "ZCARD",
    "stream": "XLEN",
}
_CPU = re.compile(rb"^used_cpu_(?:user|sys)(_main_thread)?:(\d{1,9}\.\d{1,6})", re.MULTILINE)
#: Attribute of ``Capabilities`` → the ACL name of its command.
_ACL_NAMES = {"randomkey": "randomkey", "scan": "scan", "type": "type", "memory": "memory|usage", "pttl": "pttl"}


class Exchange(Protocol):
    """One connection to a server; see ``DedicatedConnection``."""

    async def exchange(
        self, commands: Sequence[Args], *, db: int = 0, once: Sequence[Args] = (), within: float | None = None
    ) -> list[Any]:
        """Return the replies, errors as values. Raises TargetError."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...


class KeySampleReader:
    """Reads keys of one server. It remembers in ``capabilities`` what the server refuses."""

    def __init__(self, connection: Exchange) -> None:
        self._connection = connection
        self.capabilities = Capabilities()
        self.is_lfu = False
        #: Whether this version has CLIENT NO-TOUCH.
        self.has_no_touch = False
        self._no_touch_refused = False
        #: Seconds of the server's main thread, and the keys that were read for them, in measured pipelines.
        self.cpu_seconds = 0.0
        self.cpu_keys = 0

    def start_turn(self, capabilities: Capabilities, *, is_lfu: bool, has_no_touch: bool) -> None:
        """Take over what is known about the server now."""
        if capabilities is not self.capabilities:  # another server, or refusals that are old
            self._no_touch_refused = False
        self.capabilities, self.is_lfu, self.has_no_touch = capabilities, is_lfu, has_no_touch

    async def random_keys(self, db: int, count: int) -> list[bytes]:
        """Return keys that were drawn at random. Raises TargetError."""
        replies = await self._send([("RANDOMKEY",)] * count, db)
        self._check("randomkey", replies)
        return [key for key in replies if isinstance(key, bytes)]

    async def size_of(self, db: int) -> int | None:
        """Return the number of keys of a database, or None if the server does not tell."""
        (reply,) = await self._send([("DBSIZE",)], db)
        return as_integer(reply)

    async def scan(self, db: int, cursor: int, count: int) -> tuple[int, list[bytes]] | None:
        """Return the next cursor and keys, or None if the reply is invalid or refused. Raises TargetError."""
        (reply,) = await self._send([("SCAN", cursor, "COUNT", count)], db)
        self._check("scan", [reply])
        following, keys = [*(as_list(reply) or []), None, None][:2]
        names = as_list(keys)
        if not isinstance(following, bytes) or not following.isdigit() or len(following) > 20 or names is None:
            return None
        return int(following), [name for name in names[:MAX_KEYS_PER_STEP] if isinstance(name, bytes)]

    async def rough_sizes(self, db: int, keys: Sequence[bytes], *, measured: bool = False) -> list[int | None]:
        """Return a rough size of each key: bytes, or a length where MEMORY USAGE is refused. Raises TargetError."""
        if self.capabilities.memory:
            replies = await self._send([("MEMORY", "USAGE", key, "SAMPLES", ROUGH) for key in keys], db, measured)
            self._check("memory", replies)
            return [as_integer(reply) for reply in replies]
        if self.lengths_allowed:
            return await self._lengths(db, keys, await self._types(db, keys))
        return [None] * len(keys)

    @property
    def lengths_allowed(self) -> bool:
        """Whether lengths take the place of sizes: only where reading them changes nothing."""
        can = self.capabilities
        return not can.memory and can.type and self.has_no_touch and not self._no_touch_refused

    async def describe(self, db: int, keys: Sequence[bytes], *, measured: bool = False) -> list[Draw]:
        """Return what the server tells about each key. Keys that vanished meanwhile are left out. Raises TargetError.

        A pipeline that is ``measured`` adds to ``cpu_seconds``.
        """
        can = self.capabilities
        parts: list[tuple[str, Args]] = []
        if can.type:
            parts.append(("type", ("TYPE",)))
        if can.memory:
            parts.append(("memory", ("MEMORY", "USAGE")))
        if can.pttl:
            parts.append(("pttl", ("PTTL",)))
        if can.recency:
            parts.append(("recency", ("OBJECT", "FREQ" if self.is_lfu else "IDLETIME")))
        commands = [
            (*words, key, "SAMPLES", EXACT) if part == "memory" else (*words, key)
            for key in keys
            for part, words in parts
        ]
        replies = await self._send(commands, db, measured, len(keys))
        columns = {part: replies[at :: len(parts)] for at, (part, _) in enumerate(parts)}
        for part, column in columns.items():
            self._check(part, column)
        if not parts:
            return [Draw(key, "unknown", None, None, None) for key in keys]
        draws = [
            Draw(
                key,
                _type_of(columns["type"][at]) if "type" in columns else "unknown",
                as_integer(columns["memory"][at]) if "memory" in columns else None,
                _ttl_of(columns["pttl"][at]) if "pttl" in columns else None,
                as_integer(columns["recency"][at]) if "recency" in columns else None,
            )
            for at, key in enumerate(keys)
        ]
        if self.lengths_allowed:
            lengths = await self._lengths(db, keys, [draw.type for draw in draws])
            draws = [draw._replace(size=length) for draw, length in zip(draws, lengths, strict=True)]
        return draws

    async def _types(self, db: int, keys: Sequence[bytes]) -> list[str]:
        replies = await self._send([("TYPE", key) for key in keys], db)
        self._check("type", replies)
        return [_type_of(reply) for reply in replies]

    async def _lengths(self, db: int, keys: Sequence[bytes], types: Sequence[str]) -> list[int | None]:
        known = [(at, _LENGTH_COMMANDS[kind]) for at, kind in enumerate(types) if kind in _LENGTH_COMMANDS]
        lengths: list[int | None] = [None] * len(keys)
        if known and await self._is_untouched():
            replies = await self._send([(command, keys[at]) for at, command in known], db, once=NO_TOUCH)
            for (at, _), reply in zip(known, replies, strict=True):
                lengths[at] = as_integer(reply)
        return lengths

    async def _is_untouched(self) -> bool:
        """Return whether the server has accepted CLIENT NO-TOUCH ON. Without it, no length is read."""
        (reply,) = await self._send(list(NO_TOUCH), 0)
        if isinstance(reply, PermissionDeniedError):
            self.capabilities.denied.add("client|no-touch")
        self._no_touch_refused = isinstance(reply, TargetError)
        self.capabilities.lengths = self.lengths_allowed
        return not self._no_touch_refused

    async def _send(
        self, commands: Sequence[Args], db: int, measured: bool = False, keys: int = 0, *, once: Sequence[Args] = ()
    ) -> list[Any]:
        """Send commands and return their replies. Raise an error that concerns the whole server."""
        if not commands:
            return []
        cpu: list[Args] = [("INFO", "cpu")] if measured else []
        replies = await self._connection.exchange([*cpu, *commands, *cpu], db=db, once=once)
        if measured:
            before, after = cpu_seconds(replies[0]), cpu_seconds(replies[-1])
            replies = replies[1:-1]
            if before is not None and after is not None and after >= before:
                self.cpu_seconds += after - before
                self.cpu_keys += keys or len(commands)
        for reply in replies:
            if isinstance(reply, TargetError) and (reply.unavailable or isinstance(reply, NoDatabaseError)):
                raise reply
        return replies

    def _check(self, part: str, replies: Sequence[Any]) -> None:
        """Remember a command that the server refuses. A refusal of one key alone does not count."""
        for reply in replies:
            if isinstance(reply, UNSUPPORTED) and not isinstance(reply, KeyDeniedError):
                setattr(self.capabilities, part, False)
                self.capabilities.lengths = self.lengths_allowed
                if isinstance(reply, PermissionDeniedError):
                    recency = "object|freq" if self.is_lfu else "object|idletime"
                    self.capabilities.denied.add(_ACL_NAMES.get(part, recency))
                return


def cpu_seconds(reply: Any) -> float | None:
    """Return the CPU time of the server's main thread in INFO, or of all its threads. Return None without both."""
    if not isinstance(reply, bytes):
        return None
    found = _CPU.findall(reply[:65_536])
    main = [float(value) for is_main, value in found if is_main]
    return sum(main) if main else (sum(float(value) for _, value in found) if found else None)


def _type_of(reply: Any) -> str:
    return "unknown" if isinstance(reply, TargetError) else as_text(reply) or "unknown"


def _ttl_of(reply: Any) -> int | None:
    ttl = as_integer(reply)
    return None if ttl is None or ttl < -1 else ttl
