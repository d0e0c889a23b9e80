"""Which values of a label have series of their own, where others choose the values: at most so many, and steadily.

Were the most frequent ones chosen afresh each time, values near the limit would come and go with every poll, and each
would leave its series behind in Prometheus.

Keys and nested replies as plain values: for labels, for commands, for rows.
"""

import heapq
from collections.abc import Hashable, Mapping
from hashlib import blake2b
from math import inf
from typing import Generic, TypeVar

from redis_pulse.errors import NoDatabaseError, TargetError
from redis_pulse.metric import UnreadableField

#: The label value of all those that have none of their own.
OVERFLOW = "overflow"
Value = TypeVar("Value", bound=Hashable)


class LabelLimiter(Generic[Value]):
    """Who has a place keeps it while it is there, and for ``keep`` seconds after; newcomers get what is free."""

    def __init__(self, keep: float = inf) -> None:
        self._keep = keep
        self._seen: dict[Value, float] = {}

    def admit(self, weights: Mapping[Value, float], most: int, now: float = 0.0) -> frozenset[Value]:
        """Return those of ``weights`` that have a place, of which there are ``most``; the heaviest come first."""
        self._seen = {value: seen for value, seen in self._seen.items() if value in weights or now - seen <= self._keep}
        newcomers = {value: weight for value, weight in weights.items() if value not in self._seen}
        for value in heapq.nlargest(max(0, most - len(self._seen)), newcomers, key=newcomers.__getitem__):
            self._seen[value] = now
        seated = frozenset(value for value in weights if value in self._seen)
        self._seen |= dict.fromkeys(seated, now)
        return seated


#: Characters of a label value; a longer name is cut, and told from others by a digest.
MAX_LABEL_LENGTH = 200


def label_value(name: bytes | str) -> str:
    """Return a name that users chose as a label value: bytes that are no UTF-8 become U+FFFD, a long one is cut."""
    raw = name.encode("utf-8", errors="replace") if isinstance(name, str) else name
    text = raw[: 4 * MAX_LABEL_LENGTH + 4].decode("utf-8", errors="replace")
    if len(raw) <= MAX_LABEL_LENGTH or len(text) <= MAX_LABEL_LENGTH:
        return text
    return f"{text[: MAX_LABEL_LENGTH - 10]}…{blake2b(raw, digest_size=4).hexdigest()}"


def unreadable_database(error: TargetError, db: int, place: str) -> UnreadableField:
    """Return what an error says that concerns one database alone: it was refused, or there is none of that number.

    Raises the error when it concerns the whole server.
    """
    if isinstance(error, NoDatabaseError):
        return UnreadableField(f"SELECT/db{db}")
    if type(error) is TargetError:
        return UnreadableField(place)
    raise error
