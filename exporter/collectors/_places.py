"""Which values of a label have series of their own, where others choose the values: at most so many, and steadily.

Were the most frequent ones chosen afresh each time, values near the limit would come and go with every poll, and each
would leave its series behind in Prometheus.
"""

import heapq
from collections.abc import Hashable, Mapping
from math import inf
from typing import Generic, TypeVar

#: The label value of all those that have none of their own.
OVERFLOW = "overflow"

Value = TypeVar("Value", bound=Hashable)


class Places(Generic[Value]):
    """Who has a place keeps it while it is there, and for ``keep`` seconds after; newcomers get what is free."""

    def __init__(self, keep: float = inf) -> None:
        self._keep = keep
        self._seen: dict[Value, float] = {}

    def seat(self, weights: Mapping[Value, float], most: int, now: float = 0.0) -> frozenset[Value]:
        """Return those of ``weights`` that have a place, of which there are ``most``; the heaviest come first."""
        self._seen = {value: seen for value, seen in self._seen.items() if value in weights or now - seen <= self._keep}
        newcomers = {value: weight for value, weight in weights.items() if value not in self._seen}
        for value in heapq.nlargest(max(0, most - len(self._seen)), newcomers, key=newcomers.__getitem__):
            self._seen[value] = now
        seated = frozenset(value for value in weights if value in self._seen)
        self._seen |= dict.fromkeys(seated, now)
        return seated
