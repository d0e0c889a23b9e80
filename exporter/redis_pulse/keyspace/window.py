"""The random draws of the last hour, summed in buckets by pattern and type.

A bucket keeps sums, not names. Only draws of large keys are kept one by one, because the walk may find the same keys.
"""

import math
from array import array
from collections import deque
from typing import NamedTuple

BUCKETS = 8
#: Seconds of the first buckets of a server. Later ones are a sixth of the time since then, until they are full size.
_FIRST_BUCKET, _GROWTH = 10.0, 6
#: Buckets at most. There are more than eight at first, and when patterns were split.
_RING = 40
#: Large keys whose draws are kept one by one.
MAX_LARGE = 900
#: Bins of a distribution: powers of two of seconds for idle times, steps of eight for frequencies.
BINS = 32

#: A pattern (the number of its node) and a type.
CellKey = tuple[int, str]


class Draw(NamedTuple):
    """One key that was drawn at random, or found by the walk. None stands for what the server did not tell."""

    name: bytes
    type: str
    #: Bytes, or a length where MEMORY USAGE is denied.
    size: int | None
    #: Milliseconds; -1 for a key that never expires.
    ttl: int | None
    #: Seconds since the last access, or the frequency of an LFU policy.
    recency: int | None


class Cell:
    """The sums over the draws of one pattern and one type in one bucket."""

    __slots__ = ("draws", "expiry_known", "forever", "squares", "total")

    def __init__(self) -> None:
        self.draws = self.forever = self.expiry_known = 0
        self.total = self.squares = 0.0

    def add_size(self, size: float, hits: int = 1) -> None:
        """Count draws with their size."""
        self.draws += hits
        self.total += size * hits
        self.squares += size * size * hits

    def add_expiry(self, ttl: int) -> None:
        """Count whether a key expires."""
        self.expiry_known += 1
        self.forever += ttl == -1

    def merge(self, other: "Cell") -> None:
        """Add the sums of another cell."""
        self.draws += other.draws
        self.forever += other.forever
        self.expiry_known += other.expiry_known
        self.total += other.total
        self.squares += other.squares


class LargeDraw:
    """A large key that was drawn, and how often in each bucket."""

    __slots__ = ("cell", "db", "hits", "size")

    def __init__(self, db: int, cell: CellKey, size: float) -> None:
        self.db, self.cell, self.size = db, cell, size
        #: by the number of the bucket, modulo ``_RING``
        self.hits = array("I", bytes(4 * _RING))


class Bucket:
    """The draws of a part of the window."""

    __slots__ = ("began", "cells", "draws", "keys", "number")

    def __init__(self, number: int, began: float) -> None:
        self.number, self.began = number, began
        #: by database
        self.draws: dict[int, int] = {}
        #: How many keys each database had, summed over its draws.
        self.keys: dict[int, int] = {}
        self.cells: dict[CellKey, Cell] = {}

    @property
    def slot(self) -> int:
        """Where the hits of this bucket are."""
        return self.number % _RING

    def cell(self, key: CellKey) -> Cell:
        """Return the sums of a pattern and a type."""
        if key not in self.cells:
            self.cells[key] = Cell()
        return self.cells[key]


class DrawWindow:
    """The buckets, the newest last."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.buckets: deque[Bucket] = deque()
        self._number = 0
        #: Draws of at least this size are kept one by one, by digest of the key.
        self.threshold = 0.0
        self.large: dict[int, LargeDraw] = {}
        #: The distributions of idle times or frequencies, of this half of the window and of the one before.
        self.recency: tuple[dict[CellKey, array[int]], dict[CellKey, array[int]]] = ({}, {})
        self._half_began: float | None = None
        #: node → the number of the first bucket whose draws count for it
        self.since: dict[int, int] = {}

    def add(self, db: int, digest: int, number: int, draw: Draw, now: float, *, keys: int, is_lfu: bool) -> None:
        """Count one draw of the pattern ``number``, from a database that has so many ``keys`` now."""
        bucket = self.rotate(now)
        bucket.draws[db] = bucket.draws.get(db, 0) + 1
        bucket.keys[db] = bucket.keys.get(db, 0) + keys
        key = (number, draw.type)
        cell = bucket.cell(key)
        if draw.ttl is not None:
            cell.add_expiry(draw.ttl)
        if draw.recency is not None:
            self._add_recency(key, draw.recency // 8 if is_lfu else max(0, draw.recency).bit_length(), now)
        size = float(draw.size or 0)
        if size < self.threshold:
            cell.add_size(size)
            return
        if digest not in self.large:
            self.large[digest] = LargeDraw(db, key, size)
        self.large[digest].hits[bucket.slot] += 1
        if len(self.large) > MAX_LARGE:
            sizes = sorted(one.size for one in self.large.values())
            self.raise_threshold(sizes[len(sizes) // 2] + 1)

    def _add_recency(self, key: CellKey, at: int, now: float) -> None:
        if self._half_began is None or now - self._half_began > self.seconds / 2:
            self.recency, self._half_began = ({}, self.recency[0]), now
        bins = self.recency[0].get(key)
        if bins is None:
            bins = self.recency[0][key] = array("I", bytes(4 * BINS))
        bins[min(max(0, at), BINS - 1)] += 1

    def rotate(self, now: float, *, force: bool = False) -> Bucket:
        """Return the bucket of this moment. Forget those that left the window."""
        if not self.buckets or force or now - self.buckets[-1].began >= self._length(now):
            self._number += 1
            self.buckets.append(Bucket(self._number, now))
        # Many splits in one window make more buckets. The oldest of them then leave early.
        while len(self.buckets) > 1 and (now - self.buckets[0].began > self.seconds or len(self.buckets) >= _RING):
            self._drop_oldest()
        return self.buckets[-1]

    def _length(self, now: float) -> float:
        """Return the seconds of a bucket: short ones at first, so that changes are seen soon."""
        young = max(_FIRST_BUCKET, (now - self.buckets[0].began) / _GROWTH)
        return min(self.seconds / BUCKETS, young)

    def _drop_oldest(self) -> None:
        slot = self.buckets.popleft().slot
        for digest, large in tuple(self.large.items()):
            large.hits[slot] = 0
            if not any(large.hits):
                del self.large[digest]

    def raise_threshold(self, threshold: float) -> None:
        """Keep only larger draws one by one from now on."""
        self.threshold = max(self.threshold, threshold)
        for digest, large in tuple(self.large.items()):
            if large.size < self.threshold:
                del self.large[digest]
                for bucket in self.buckets:
                    if hits := large.hits[bucket.slot]:
                        bucket.cell(large.cell).add_size(large.size, hits)

    def drop_key(self, digest: int) -> None:
        """Forget the size of a large key that does not exist any more. Its draws still count as draws."""
        self.large.pop(digest, None)

    def move(self, old: int, new: int) -> None:
        """Count the draws of one node for another one."""
        for bucket in self.buckets:
            for key in [key for key in bucket.cells if key[0] == old]:
                bucket.cell((new, key[1])).merge(bucket.cells.pop(key))
        for large in self.large.values():
            if large.cell[0] == old:
                large.cell = (new, large.cell[1])
        for half in self.recency:
            for key in [key for key in half if key[0] == old]:
                bins = half.pop(key)
                into = half.setdefault((new, key[1]), array("I", bytes(4 * BINS)))
                for at, count in enumerate(bins):
                    into[at] += count
        if old in self.since:
            self.since[new] = max(self.since.pop(old), self.since.get(new, 0))

    def split(self, old: int, new: int, now: float) -> None:
        """Let the draws of a node, and of the one that was split off, count from now on."""
        if self.buckets and self.buckets[-1].draws:
            self.rotate(now, force=True)
        self.since[old] = self.since[new] = self.rotate(now).number

    def forget_database(self, db: int, nodes: set[int]) -> None:
        """Forget all draws of a database. ``nodes`` are its patterns."""
        for bucket in self.buckets:
            bucket.draws.pop(db, None)
            bucket.keys.pop(db, None)
            for key in [key for key in bucket.cells if key[0] in nodes]:
                del bucket.cells[key]
        for half in self.recency:
            for key in [key for key in half if key[0] in nodes]:
                del half[key]
        for digest in [digest for digest, large in self.large.items() if large.db == db]:
            del self.large[digest]

    def draws(self) -> int:
        """Return the draws of all databases."""
        return sum(sum(bucket.draws.values()) for bucket in self.buckets)


def median_of(bins: "array[int]", *, is_lfu: bool) -> float | None:
    """Return the median of a distribution, interpolated within its bin; None if it is empty."""
    total = sum(bins)
    below = 0
    for at, count in enumerate(bins):
        if count and below + count >= total / 2:
            share = (total / 2 - below) / count
            if is_lfu:
                return 8.0 * (at + share)
            return 0.0 if at == 0 else math.ldexp(1.0 + share, at - 1)
        below += count
    return None
