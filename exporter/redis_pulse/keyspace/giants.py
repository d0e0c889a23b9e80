"""The largest keys that were found, one by one. They count with certainty, and the estimate leaves them out."""

import heapq
from collections.abc import Iterator

#: Keys that are kept. On a server with fewer keys, all of them are kept, and nothing is estimated.
MAX_GIANTS = 600
#: Bytes of a name. A key with a longer name is not kept.
MAX_GIANT_NAME = 200


class Giant:
    """One key with its size, which is measured again from time to time."""

    __slots__ = ("at", "db", "length", "name", "node", "size", "ttl", "type")

    def __init__(self, db: int, name: bytes, node: int, kind: str) -> None:
        self.db, self.name, self.node, self.type = db, name, node, kind
        self.size = 0
        self.length: int | None = None
        #: milliseconds, -1 without expiry, None if unknown
        self.ttl: int | None = None
        self.at = 0.0

    @property
    def never_expires(self) -> bool:
        """Whether it has no expiry."""
        return self.ttl == -1


class GiantKeys:
    """At most ``MAX_GIANTS`` keys of at least ``threshold`` bytes, by digest."""

    def __init__(self) -> None:
        self.threshold = 0.0
        self._keys: dict[int, Giant] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, digest: int) -> bool:
        return digest in self._keys

    def __iter__(self) -> Iterator[Giant]:
        return iter(tuple(self._keys.values()))

    def items(self) -> Iterator[tuple[int, Giant]]:
        """Yield digests and keys."""
        return iter(tuple(self._keys.items()))

    def put(self, digest: int, giant: Giant) -> None:
        """Keep a key, if it is large enough. Raise the threshold if there are too many."""
        if giant.size < self.threshold or len(giant.name) > MAX_GIANT_NAME:
            self._keys.pop(digest, None)
            return
        self._keys[digest] = giant
        if len(self._keys) > MAX_GIANTS:
            sizes = sorted(one.size for one in self._keys.values())
            # The larger half stays. Of equal keys none stays: they are estimated well.
            self.raise_threshold(sizes[len(sizes) // 2] + 1)

    def raise_threshold(self, threshold: float) -> None:
        """Drop smaller keys, and keep only larger ones from now on."""
        self.threshold = max(self.threshold, threshold)
        for digest in [digest for digest, one in self._keys.items() if one.size < self.threshold]:
            del self._keys[digest]

    def drop(self, digest: int) -> None:
        """Forget a key."""
        self._keys.pop(digest, None)

    def forget(self, db: int | None = None) -> None:
        """Forget all keys of a database, or all of them."""
        for digest in [digest for digest, one in self._keys.items() if db is None or one.db == db]:
            del self._keys[digest]

    def move(self, old: int, new: int) -> None:
        """Count the keys of one node for another one."""
        for one in self._keys.values():
            if one.node == old:
                one.node = new

    def oldest(self, count: int, before: float) -> list[Giant]:
        """Return the keys whose measurement is oldest, and older than ``before``."""
        due = [one for one in self._keys.values() if one.at < before]
        return heapq.nsmallest(count, due, key=lambda one: one.at)

    def largest(self, count: int) -> list[Giant]:
        """Return the largest keys, the largest first."""
        return heapq.nlargest(count, self._keys.values(), key=lambda one: one.size)
