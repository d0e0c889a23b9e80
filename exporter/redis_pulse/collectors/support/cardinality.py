"""How many different things there were, in bounded memory."""

from collections.abc import Iterable


class DistinctCounter:
    """Counts different byte strings in a stream in which few come more than once, as with the keys of a SCAN.

    Up to ``limit`` of them the count is exact. Beyond, a random sample of them is remembered (those whose hash ends in
    enough zero bits), and what share of the sample came only once tells how many of all were new. So the count stays
    exact when nothing came twice, however many there are, and else is off by about the share of doubles / sqrt(limit).
    """

    __slots__ = ("_limit", "_mask", "_sample", "_sampled", "seen")

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._mask = 0
        self._sample: set[int] = set()
        self._sampled = 0
        #: How many there were, each counted as often as it came.
        self.seen = 0

    def add(self, items: Iterable[bytes]) -> None:
        """Take in some more."""
        for item in items:
            self.seen += 1
            value = hash(item)
            if not value & self._mask:
                self._sampled += 1
                self._sample.add(value)
        while len(self._sample) > self._limit:
            # Of the doubles in the sample, as many go as of the sample itself: their hashes are as random.
            before = len(self._sample)
            self._mask = self._mask << 1 | 1
            self._sample = {value for value in self._sample if not value & self._mask}
            self._sampled = round(self._sampled * len(self._sample) / before)

    @property
    def exact(self) -> bool:
        """Whether every one of them is remembered."""
        return not self._mask

    @property
    def ratio(self) -> float:
        """How many different ones there are to each one seen: 1 when nothing came twice."""
        return len(self._sample) / self._sampled if self._sampled else 1.0

    @property
    def count(self) -> int:
        """How many different ones there were."""
        return round(self.seen * self.ratio)
