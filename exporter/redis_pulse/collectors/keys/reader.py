"""Reads type, size, memory and text of a batch of keys, in two or three pipelines."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from redis_pulse.commands import UNSUPPORTED, Args, Commands
from redis_pulse.errors import KeyDeniedError, MovedError
from redis_pulse.parse.reply import as_integer, as_text, command_word, reply_or_none

#: Type → the command that returns the size. Each takes the same time for keys of any size.
SIZE_COMMANDS: Mapping[str, str] = {
    "string": "STRLEN",
    "list": "LLEN",
    "set": "SCARD",
    "zset": "ZCARD",
    "hash": "HLEN",
    "stream": "XLEN",
    "array": "ARCOUNT",
}
COMMANDS = ("type", "memory|usage", "getrange", "pfcount", *(command.lower() for command in SIZE_COMMANDS.values()))
#: Bytes at the start of a string that are enough to recognize a HyperLogLog and read its cached cardinality.
HEAD_BYTES = 16
_STALE = 0x80


class KeyReading(NamedTuple):
    """What was read of one key."""

    #: As the server names it; ``none`` for a missing key, None if it could not be read.
    kind: str | None
    size: int | None = None
    memory: int | None = None
    #: The first bytes of a string that is not a HyperLogLog.
    text: bytes | None = None
    #: Commands with an unreadable reply: ``TYPE``, ``STRLEN``, …
    unreadable: tuple[str, ...] = ()
    #: True if another node of the cluster has the key.
    moved: bool = False


class _Content(NamedTuple):
    """Replies about the content of one key; None where no command was sent."""

    size: Any
    #: First bytes of a string.
    head: Any


class _KeyPlan(NamedTuple):
    """Positions of the replies about one key in the replies of a pipeline; None where no command is sent."""

    size_at: int | None
    head_at: int | None

    def content(self, replies: Sequence[Any]) -> _Content:
        size = None if self.size_at is None else replies[self.size_at]
        head = None if self.head_at is None else reply_or_none(replies[self.head_at])
        return _Content(cached_cardinality(head) if is_hyperloglog(head) else size, head)


class KeyReader(NamedTuple):
    """Reads keys of one database."""

    commands: Commands
    db: int
    #: How many bytes of a string to return as text; 0 for no text.
    value_bytes: int = 0
    #: Whether PFCOUNT may be sent. It may write to the key.
    pfcount: bool = False

    async def read(self, keys: list[bytes]) -> list[KeyReading]:
        """Return what was read of each key, in order. Raises TargetError."""
        words = [command_word(key) for key in keys]
        pairs = [pair for key in words for pair in (("TYPE", key), ("MEMORY", "USAGE", key))]
        replies = await self.commands.pipeline(pairs, db=self.db)
        types = replies[::2]
        for reply in types:
            if isinstance(reply, UNSUPPORTED) and not isinstance(reply, KeyDeniedError):
                raise reply
        kinds = [as_text(reply_or_none(reply)) for reply in types]
        memory = [_memory(reply) for reply in replies[1::2]]
        contents = await self._read_contents(words, kinds)
        moved = [isinstance(reply, MovedError) for reply in types]
        return [
            KeyReading(None, moved=True) if is_moved else self._reading(kind, content, usage)
            for is_moved, kind, content, usage in zip(moved, kinds, contents, memory, strict=True)
        ]

    async def _read_contents(self, words: list[str | bytes], kinds: list[str | None]) -> list[_Content]:
        """Return the content of each key, in order. Raises TargetError."""
        commands: list[Args] = []
        plans = [self._plan(key, kind, commands) for key, kind in zip(words, kinds, strict=True)]
        replies = await self.commands.pipeline(commands, db=self.db)
        contents = [plan.content(replies) for plan in plans]
        stale = [at for at, content in enumerate(contents) if is_hyperloglog(content.head) and content.size is None]
        if self.pfcount and stale:
            counts = await self.commands.pipeline([("PFCOUNT", words[at]) for at in stale], db=self.db)
            for at, count in zip(stale, counts, strict=True):
                contents[at] = contents[at]._replace(size=count)
        return contents

    def _plan(self, key: str | bytes, kind: str | None, commands: list[Args]) -> _KeyPlan:
        """Add the commands that read the content of one key, and return where their replies will be."""
        size_at = head_at = None
        if kind is not None and kind in SIZE_COMMANDS:
            size_at = len(commands)
            commands.append((SIZE_COMMANDS[kind], key))
        if kind == "string":
            head_at = len(commands)
            commands.append(("GETRANGE", key, 0, max(HEAD_BYTES, self.value_bytes) - 1))
        return _KeyPlan(size_at, head_at)

    def _reading(self, kind: str | None, content: _Content, memory: tuple[int | None, bool]) -> KeyReading:
        usage, is_readable = memory
        unreadable = [] if is_readable else ["MEMORY USAGE"]
        if kind is None:
            return KeyReading(None, unreadable=("TYPE",))
        if kind == "none":
            return KeyReading(kind, 0)
        size = as_integer(reply_or_none(content.size))
        head = content.head
        is_stale = is_hyperloglog(head) and content.size is None
        if kind in SIZE_COMMANDS and size is None and not is_stale:
            unreadable.append(SIZE_COMMANDS[kind])
        text = head if isinstance(head, bytes) and self.value_bytes and not is_hyperloglog(head) else None
        return KeyReading(kind, size, usage, text, tuple(unreadable))


def _memory(reply: Any) -> tuple[int | None, bool]:
    """Return the bytes, or None if the server does not tell, and whether the reply is readable."""
    if reply is None or (isinstance(reply, UNSUPPORTED) and not isinstance(reply, KeyDeniedError)):
        return None, True
    value = as_integer(reply_or_none(reply))
    return value, value is not None


def is_hyperloglog(head: Any) -> TypeGuard[bytes]:
    """Return whether a string that starts with ``head`` is a HyperLogLog.

    PFCOUNT would answer this with an error for other strings, but servers count errors.
    """
    return isinstance(head, bytes) and len(head) >= HEAD_BYTES and head[:4] == b"HYLL" and head[4] <= 1


def cached_cardinality(head: bytes) -> int | None:
    """Return the cardinality in the head of a HyperLogLog, or None if the key changed since it was counted.

    PFCOUNT would count it again and write the result into the key. Replicas and watchers see that write.
    """
    return None if head[HEAD_BYTES - 1] & _STALE else int.from_bytes(head[8:HEAD_BYTES], "little")
