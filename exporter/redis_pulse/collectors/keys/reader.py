"""What keys are and how large: a batch of them in two or three pipelines."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from redis_pulse.commands import UNSUPPORTED, Commands, Word
from redis_pulse.errors import KeyDeniedError, MovedError
from redis_pulse.parse.reply import as_integer, as_text, command_word, reply_or_none

#: TYPE → the command that tells the size; each takes the same time however large the key is.
SIZE: Mapping[str, str] = {
    "string": "STRLEN",
    "list": "LLEN",
    "set": "SCARD",
    "zset": "ZCARD",
    "hash": "HLEN",
    "stream": "XLEN",
    "array": "ARCOUNT",
}
COMMANDS = ("type", "memory|usage", "getrange", "pfcount", *(command.lower() for command in SIZE.values()))
#: Bytes at the begin of a string in which a HyperLogLog shows itself.
HEAD = 16
_STALE = 0x80


class KeyReading(NamedTuple):
    """What was read of one key."""

    #: In the server's words; ``none`` for a missing key, None when it could not be read.
    kind: str | None
    size: int | None = None
    memory: int | None = None
    #: The first bytes of a plain string.
    text: bytes | None = None
    #: What could not be read: ``TYPE``, ``STRLEN``, …
    unreadable: tuple[str, ...] = ()
    #: Whether another node of the cluster has it.
    elsewhere: bool = False


class KeyReader(NamedTuple):
    """Reads keys of one database; of a plain string it reads ``longest`` bytes, or none at all when that is 0."""

    commands: Commands
    db: int
    longest: int = 0
    pfcount: bool = False

    async def read(self, keys: list[bytes]) -> list[KeyReading]:
        """Return what was read of each key, in order. Raises TargetError."""
        words = [command_word(key) for key in keys]
        asked = [pair for key in words for pair in (("TYPE", key), ("MEMORY", "USAGE", key))]
        replies = await self.commands.pipeline(asked, db=self.db)
        for reply in replies[::2]:
            if isinstance(reply, UNSUPPORTED) and not isinstance(reply, KeyDeniedError):
                raise reply
        kinds = [as_text(reply_or_none(reply)) for reply in replies[::2]]
        memory = [_memory(reply) for reply in replies[1::2]]
        sizes, heads = await self._sizes(words, kinds)
        moved = [isinstance(reply, MovedError) for reply in replies[::2]]
        return [
            KeyReading(None, elsewhere=True) if gone else self._read(*one)
            for gone, *one in zip(moved, kinds, sizes, heads, memory, strict=True)
        ]

    async def _sizes(self, words: list[str | bytes], kinds: list[str | None]) -> tuple[list[Any], list[Any]]:
        """Return the replies that tell sizes, and the heads of strings; None where nothing was asked."""
        end = max(HEAD, self.longest) - 1
        asked: list[tuple[Word, ...]] = []
        for key, kind in zip(words, kinds, strict=True):
            if kind is not None and kind in SIZE:
                asked.append((SIZE[kind], key))
            if kind == "string":
                asked.append(("GETRANGE", key, 0, end))
        replies = iter(await self.commands.pipeline(asked, db=self.db))
        sizes, heads = [], []
        for kind in kinds:
            sizes.append(next(replies) if kind in SIZE else None)
            heads.append(reply_or_none(next(replies)) if kind == "string" else None)
        logs = [place for place, head in enumerate(heads) if is_hyperloglog(head)]
        for place in logs:
            sizes[place] = cached_cardinality(heads[place] or b"")
        if self.pfcount and (stale := [place for place in logs if sizes[place] is None]):
            counted = await self.commands.pipeline([("PFCOUNT", words[place]) for place in stale], db=self.db)
            for place, reply in zip(stale, counted, strict=True):
                sizes[place] = reply
        return sizes, heads

    def _read(self, kind: str | None, size: Any, head: Any, memory: tuple[int | None, bool]) -> KeyReading:
        unreadable = [] if memory[1] else ["MEMORY USAGE"]
        if kind is None:
            return KeyReading(None, unreadable=("TYPE",))
        if kind == "none":
            return KeyReading(kind, 0)
        count = as_integer(reply_or_none(size))
        stale = is_hyperloglog(head) and size is None
        if kind in SIZE and count is None and not stale:
            unreadable.append(SIZE[kind])
        text = head if isinstance(head, bytes) and self.longest and not is_hyperloglog(head) else None
        return KeyReading(kind, count, memory[0], text, tuple(unreadable))


def _memory(reply: Any) -> tuple[int | None, bool]:
    """Return the bytes, None where the server does not say, and whether the reply makes sense."""
    if reply is None or (isinstance(reply, UNSUPPORTED) and not isinstance(reply, KeyDeniedError)):
        return None, True
    value = as_integer(reply_or_none(reply))
    return value, value is not None


def is_hyperloglog(head: Any) -> bool:
    """Whether a string that begins like this is a HyperLogLog (PFCOUNT says so by an error, which servers count)."""
    return isinstance(head, bytes) and len(head) >= HEAD and head[:4] == b"HYLL" and head[4] <= 1


def cached_cardinality(head: bytes) -> int | None:
    """Return the cardinality that the head holds, or None when it was not counted since the key changed.

    PFCOUNT would count it anew, and write the result into the key: a write that replicas and watchers see.
    """
    return None if head[HEAD - 1] & _STALE else int.from_bytes(head[8:HEAD], "little")
