"""Which part of the targets this daemon takes: the first of three is ``0/3``; ``auto/3`` is told by the host's name.

Which targets are ours when several daemons share them: rendezvous hashing of their names.

Every shard can say of every name who owns it, without asking the others. When a shard is added to n, one target in
n + 1 moves, to the new one; no other target changes hands.
"""

import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

_SHARD = re.compile(r"(?P<index>\d{1,6}|auto)/(?P<count>\d{1,6})")
_ORDINAL = re.compile(r".*-(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``index``, from 0, of ``count``."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def shard_text(value: Any) -> Any:
    """Check how a shard is written; it is resolved when the environment is known."""
    if value is None:
        return None
    match = _SHARD.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match["count"]) == 0:
        raise ValueError("must be a part and a number of parts such as 0/3, or auto/3")
    if match["index"] != "auto" and int(match["index"]) >= int(match["count"]):
        raise ValueError(f"must be one of 0/{match['count']} to {int(match['count']) - 1}/{match['count']}")
    return match[0]


def resolve_shard(text: str | None, environ: Mapping[str, str]) -> Shard | None:
    """Return the shard that a checked text names; ``auto`` is the ordinal of a StatefulSet's pod, from its name.

    Raises ValueError, with message and cure, when the name of the host has no ordinal below the count.
    """
    if text is None:
        return None
    index, _, count = text.partition("/")
    if index != "auto":
        return Shard(int(index), int(count))
    host = environ.get("HOSTNAME") or socket.gethostname()
    match = _ORDINAL.fullmatch(host.partition(".")[0])
    if match is None:
        raise ValueError(f"is {text}, and the name of this host, {host}, does not end in a number such as -0")
    if int(match[1]) >= int(count):
        raise ValueError(f"is {text}, and this host is number {match[1]}, {host}: there are more pods than parts")
    return Shard(int(match[1]), int(count))


#: So many shards have their hashes in one digest.
_AT_ONCE = 8
_HASHES = struct.Struct(f">{_AT_ONCE}Q")


@lru_cache(maxsize=100_000)
def owner(name: str, count: int) -> int:
    """Return the number of the shard, from 0, that owns a name among ``count``: the one with the greatest hash."""
    text = name.encode()
    hashes = [
        one
        for block in range((count + _AT_ONCE - 1) // _AT_ONCE)
        for one in _HASHES.unpack(blake2b(text, digest_size=_HASHES.size, salt=block.to_bytes(8, "big")).digest())
    ]
    return max(range(count), key=hashes.__getitem__)


def owns(name: str, shard: Shard | None) -> bool:
    """Whether a name is ours; without shards every name is."""
    return shard is None or shard.count == 1 or owner(name, shard.count) == shard.index
