"""Which part of the targets this daemon takes, and which shard owns a target.

``0/3`` is the first of three shards. ``auto/3`` takes the number from the name of the host, as in a StatefulSet.
Rendezvous hashing of the names decides which shard owns a target. Every shard can compute the owner of every name,
without communication. When a shard is added to n, one target in n + 1 moves to it. No other target moves.
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
    """One of ``count`` shards. ``index`` begins with 0."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def shard_text(value: Any) -> Any:
    """Return the text of a shard, checked. ``resolve_shard`` resolves it, when the environment is known."""
    if value is None:
        return None
    match = _SHARD.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match["count"]) == 0:
        raise ValueError("must be a part and a number of parts such as 0/3, or auto/3")
    if match["index"] != "auto" and int(match["index"]) >= int(match["count"]):
        raise ValueError(f"must be one of 0/{match['count']} to {int(match['count']) - 1}/{match['count']}")
    return match[0]


def resolve_shard(text: str | None, environ: Mapping[str, str]) -> Shard | None:
    """Return the shard that a checked text names, or None. ``auto`` is the ordinal in the name of a pod.

    Raises ValueError if the name of the host has no ordinal below the count. The message contains a hint.
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


#: Number of shards that get their hashes from one digest.
_SHARDS_PER_DIGEST = 8
_HASHES = struct.Struct(f">{_SHARDS_PER_DIGEST}Q")


@lru_cache(maxsize=100_000)
def owner(name: str, count: int) -> int:
    """Return the index of the shard that owns a name among ``count``: the one with the greatest hash."""
    text = name.encode()
    hashes = [
        shard_hash
        for block in range((count + _SHARDS_PER_DIGEST - 1) // _SHARDS_PER_DIGEST)
        for shard_hash in _HASHES.unpack(
            blake2b(text, digest_size=_HASHES.size, salt=block.to_bytes(8, "big")).digest()
        )
    ]
    return max(range(count), key=hashes.__getitem__)


def owns(name: str, shard: Shard | None) -> bool:
    """Whether a shard owns a name. Without a shard, every name is owned."""
    return shard is None or shard.count == 1 or owner(name, shard.count) == shard.index
