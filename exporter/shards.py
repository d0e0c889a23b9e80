"""Which targets are ours when several daemons share them: rendezvous hashing of their names.

Every shard can say of every name who owns it, without asking the others. When a shard is added to n, one target in
n + 1 moves, to the new one; no other target changes hands.
"""

import struct
from functools import lru_cache
from hashlib import blake2b

from exporter.config import Shard

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


def is_ours(name: str, shard: Shard | None) -> bool:
    """Whether a name is ours; without shards every name is."""
    return shard is None or shard.count == 1 or owner(name, shard.count) == shard.index
