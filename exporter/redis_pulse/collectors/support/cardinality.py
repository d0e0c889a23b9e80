"""Estimates how many different items a stream holds, in bounded memory, by adaptive sampling (Wegman)."""

from collections.abc import Iterable


class DistinctCounter:
    """Counts different byte strings in a stream with few duplicates, such as the keys of a SCAN.

    Up to ``limit`` different items, the count is exact. Beyond that, the counter keeps a random sample of the items:
    those with hashes that end in enough zero bits. The share of duplicates in the sample estimates their share in the
    stream. So the count stays exact without duplicates, however long the stream is. With duplicates, its error is about
    their share of the stream / sqrt(limit).
    """

    __slots__ = ("_limit", "_mask", "_sample", "_sampled", "seen")

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._mask = 0  # a hash with none of these bits belongs to the sample
        self._sample: set[int] = set()
        self._sampled = 0  # items that belonged to the sample, with duplicates
        #: All items, with duplicates.
        self.seen = 0

    def add(self, items: Iterable[bytes]) -> None:
        """Count some more items."""
        for item in items:
            self.seen += 1
            value = hash(item)
            if not value & self._mask:
                self._sampled += 1
                self._sample.add(value)
        while len(self._sample) > self._limit:
            before = len(self._sample)
            self._mask = self._mask << 1 | 1
            self._sample = {value for value in self._sample if not value & self._mask}
            # Scale the count with duplicates by the share of the sample that was kept: hashes are equally random.
            self._sampled = round(self._sampled * len(self._sample) / before)

    @property
    def ratio(self) -> float:
        """Different items per item seen: 1 without duplicates."""
        return len(self._sample) / self._sampled if self._sampled else 1.0

    @property
    def count(self) -> int:
        """The number of different items."""
        return round(self.seen * self.ratio)
